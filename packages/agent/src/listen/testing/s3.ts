/** An S3 client in memory, in the shape of the AWS SDK v3. Lists in pages of two, so that every listing turns pages. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { S3Commands } from '../s3-commands.ts';

interface Input {
  Bucket: string;
  Key: string;
  Body?: string | Uint8Array | Readable;
  CopySource?: string;
  Prefix?: string;
  ContinuationToken?: string;
  IfNoneMatch?: string;
  Delete?: { Objects: { Key: string }[] };
}

class Command {
  readonly input: Input;
  constructor(input: Input) {
    this.input = input;
  }
}
class HeadObjectCommand extends Command {}
class ListObjectsV2Command extends Command {}
class GetObjectCommand extends Command {}
class PutObjectCommand extends Command {}
class DeleteObjectCommand extends Command {}
class DeleteObjectsCommand extends Command {}
class CopyObjectCommand extends Command {}
class UploadPartCommand extends Command {}
class CompleteMultipartUploadCommand extends Command {}

export const commands = {
  HeadObjectCommand,
  ListObjectsV2Command,
  GetObjectCommand,
  PutObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  CopyObjectCommand,
  UploadPartCommand,
  CompleteMultipartUploadCommand,
} satisfies S3Commands;

const failure = (name: string, httpStatusCode: number): Error =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });

export class FakeS3 {
  readonly objects = new Map<string, Buffer>();
  readonly sent: string[] = [];
  /** Keys that a DeleteObjects refuses. */
  readonly stubborn = new Set<string>();
  #parts: Buffer[] = [];

  async send(command: Command, ..._rest: unknown[]): Promise<object> {
    const { input } = command;
    this.sent.push(command.constructor.name.replace(/Command$/, ''));
    if (command instanceof HeadObjectCommand) return { ContentLength: this.#existing(input.Key, 'NotFound').length };
    if (command instanceof GetObjectCommand) return { Body: Readable.from([this.#existing(input.Key, 'NoSuchKey')]) };
    if (command instanceof ListObjectsV2Command) return this.#page(input);
    if (command instanceof PutObjectCommand) {
      if (input.IfNoneMatch === '*' && this.objects.has(input.Key)) throw failure('PreconditionFailed', 412);
      this.objects.set(input.Key, await this.#read(input));
    } else if (command instanceof DeleteObjectCommand) this.objects.delete(input.Key);
    else if (command instanceof DeleteObjectsCommand) return this.#deleteAll(input);
    else if (command instanceof CopyObjectCommand) {
      const source = decodeURIComponent(input.CopySource ?? '').slice(input.Bucket.length + 1);
      this.objects.set(input.Key, this.#existing(source, 'NoSuchKey'));
    } else if (command instanceof UploadPartCommand) this.#parts.push(await this.#read(input));
    else if (command instanceof CompleteMultipartUploadCommand) {
      this.objects.set(input.Key, Buffer.concat(this.#parts));
      this.#parts = [];
    }
    return {};
  }

  #existing(key: string, error: string): Buffer {
    const found = this.objects.get(key);
    if (!found) throw failure(error, 404);
    return found;
  }

  async #read({ Body = '' }: Input): Promise<Buffer> {
    return Body instanceof Readable ? buffer(Body) : Buffer.from(Body as string);
  }

  #deleteAll(input: Input): object {
    const keys = (input.Delete?.Objects ?? []).map(({ Key }) => Key);
    const [failed, gone] = [keys.filter((k) => this.stubborn.has(k)), keys.filter((k) => !this.stubborn.has(k))];
    for (const key of gone) this.objects.delete(key);
    return failed.length > 0 ? { Errors: failed.map((Key) => ({ Key })) } : {};
  }

  #page({ Prefix = '', ContinuationToken = '' }: Input): object {
    const keys = [...this.objects.keys()].filter((k) => k.startsWith(Prefix) && k > ContinuationToken).sort();
    const Contents = keys.slice(0, 2).map((Key) => ({ Key, Size: this.objects.get(Key)?.length ?? 0 }));
    return { Contents, IsTruncated: keys.length > 2, NextContinuationToken: Contents.at(-1)?.Key };
  }
}
