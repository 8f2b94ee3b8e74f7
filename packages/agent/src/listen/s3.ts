/** Meters what an application does with its own S3 client, by listening at `send`. */
import { counted } from './content.ts';
import { headSize, listObjects, type S3Client, type S3Fields, type S3Place, type Send } from './s3-commands.ts';
import type { StoreMeter } from './storage.ts';
import { type Change, StoreLedger, type StoreMeterOptions } from './store-ledger.ts';

export interface S3MeterOptions extends StoreMeterOptions, S3Place {}

/** Up to this many objects of one delete are asked for their sizes; beyond, one listing of what they have in common is. */
const MOST_HEADS = 20;
/** Objects looked at in that listing before a sample is left to find out. */
const MOST_LISTED = 10_000;

const commonPrefix = (keys: readonly string[]): string => {
  let prefix = keys[0] ?? '';
  for (const key of keys) while (!key.startsWith(prefix)) prefix = prefix.slice(0, -1);
  return prefix;
};

type Handler = (input: S3Fields, go: () => Promise<S3Fields>) => Promise<S3Fields>;

class Listener {
  readonly ledger: StoreLedger;
  readonly handlers: ReadonlyMap<unknown, Handler>;
  readonly #send: Send;
  readonly #place: S3Place;

  constructor(send: Send, options: S3MeterOptions) {
    this.#send = send;
    this.#place = options;
    this.ledger = new StoreLedger(options, () => listObjects(send, options, ''));
    const { commands } = options;
    this.handlers = new Map<unknown, Handler>([
      [commands.GetObjectCommand, (input, go) => this.#get(input, go)],
      [commands.PutObjectCommand, (input, go) => this.#put(input, go)],
      [commands.UploadPartCommand, (input, go) => this.#part(input, go)],
      [commands.CompleteMultipartUploadCommand, (input, go) => this.#replaced('put', input, go)],
      [commands.CopyObjectCommand, (input, go) => this.#replaced('copy', input, go)],
      [commands.DeleteObjectCommand, (input, go) => this.#delete([input.Key ?? ''], go)],
      [commands.DeleteObjectsCommand, (input, go) => this.#delete(this.#named(input), go)],
      [commands.ListObjectsV2Command, (input, go) => this.#list(input, go)],
    ]);
  }

  async #get(input: S3Fields, go: () => Promise<S3Fields>): Promise<S3Fields> {
    const key = input.Key ?? '';
    this.ledger.request(key, 'get');
    const output = await go();
    this.ledger.safely(() => {
      output.Body = counted(output.Body, (bytes) => this.ledger.sent(key, bytes));
    });
    return output;
  }

  #put(input: S3Fields, go: () => Promise<S3Fields>): Promise<S3Fields> {
    const key = input.Key ?? '';
    const isNew = input.IfNoneMatch === '*';
    this.ledger.request(key, isNew ? 'add' : 'put');
    const written = this.#countBody(key, input);
    const before = async (change: Change) => {
      if (!isNew) change.add(this.ledger.level(key), -(await this.#size(key)));
    };
    return this.ledger.change([key], false, before, go, (change) => change.add(this.ledger.level(key), written()));
  }

  /** A part is stored nowhere yet: the level moves when the upload is completed. */
  #part(input: S3Fields, go: () => Promise<S3Fields>): Promise<S3Fields> {
    this.ledger.request(input.Key ?? '', 'put');
    this.#countBody(input.Key ?? '', input);
    return go();
  }

  /** The store knows how big the new object is, we do not. */
  #replaced(operation: 'put' | 'copy', input: S3Fields, go: () => Promise<S3Fields>): Promise<S3Fields> {
    const key = input.Key ?? '';
    this.ledger.request(key, operation);
    const before = async (change: Change) => change.add(this.ledger.level(key), -(await this.#size(key)));
    const after = async (change: Change) => change.add(this.ledger.level(key), await this.#size(key));
    return this.ledger.change([key], false, before, go, after);
  }

  #delete(keys: readonly string[], go: () => Promise<S3Fields>): Promise<S3Fields> {
    for (const key of keys) this.ledger.request(key, 'delete');
    let sizes = new Map<string, number>();
    const before = async (change: Change) => {
      sizes = await this.#sizes(keys);
      // Named now, so that a sample during the delete knows whom it concerns.
      for (const key of sizes.keys()) change.add(this.ledger.level(key), 0);
    };
    return this.ledger.change(keys, false, before, go, (change, output) => {
      const failed = new Set(output.Errors?.map(({ Key }) => Key));
      for (const [key, size] of sizes) if (!failed.has(key)) change.add(this.ledger.level(key), -size);
    });
  }

  #list(input: S3Fields, go: () => Promise<S3Fields>): Promise<S3Fields> {
    this.ledger.request(input.Prefix ?? '', 'list');
    return go();
  }

  #named(input: S3Fields): string[] {
    return (input.Delete?.Objects ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
  }

  #countBody(key: string, input: S3Fields): () => number {
    let written = 0;
    this.ledger.safely(() => {
      input.Body = counted(input.Body, (bytes) => {
        written += bytes;
        this.ledger.received(key, bytes);
      });
    });
    return () => written;
  }

  async #size(key: string): Promise<number> {
    return (await headSize(this.#send, this.#place, key)) ?? 0;
  }

  async #sizes(keys: readonly string[]): Promise<Map<string, number>> {
    const wanted = [...new Set(keys)];
    if (wanted.length <= MOST_HEADS)
      return new Map(await Promise.all(wanted.map(async (key) => [key, await this.#size(key)] as const)));
    const missing = new Set(wanted);
    const sizes = new Map<string, number>();
    let listed = 0;
    for await (const { key, size } of listObjects(this.#send, this.#place, commonPrefix(wanted))) {
      if (missing.delete(key)) sizes.set(key, size);
      listed += 1;
      if (missing.size === 0) break;
      if (listed >= MOST_LISTED) throw new Error('too many objects to look through');
    }
    return sizes;
  }
}

/**
 * Listens at `client.send` for the commands on `options.bucket`; all others pass. Sizes are asked of the bucket by the
 * client itself (HeadObject before a put, copy or delete, and after a copy or a completed upload), unmetered. Calls with
 * a callback pass uncounted and bring a sample forward. Old versions of a versioned bucket are not in the level.
 */
export const meterS3 = (client: S3Client, options: S3MeterOptions): StoreMeter => {
  const inner = client.send;
  const isOwn = Object.hasOwn(client, 'send');
  const plain: Send = async (command) => inner.call(client, command as never) as Promise<S3Fields>;
  const listener = new Listener(plain, options);
  const { ledger, handlers } = listener;
  let isOpen = true;
  const send = (command: { constructor: unknown; input?: S3Fields }, ...rest: unknown[]): unknown => {
    const go = () => inner.call(client, command as never, ...(rest as never[]));
    const handler = isOpen ? handlers.get(command?.constructor) : undefined;
    if (!handler || command.input?.Bucket !== options.bucket) return go();
    if (rest.some((argument) => typeof argument === 'function')) {
      ledger.sampler.soon();
      return go();
    }
    return handler(command.input, async () => go() as Promise<S3Fields>);
  };
  client.send = send;
  return {
    sample: () => ledger.sampler.now(),
    close: () => {
      isOpen = false;
      ledger.sampler.close();
      if (client.send !== send) return;
      if (isOwn) client.send = inner;
      else Reflect.deleteProperty(client, 'send');
    },
    report: () => ledger.report(),
  };
};
