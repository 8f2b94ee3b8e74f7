/** Meters any object store: bytes in and out, requests by operation, and how much each tenant has stored. */
import { type Content, counted } from './content.ts';
import {
  type Change,
  type Operation,
  type StoredObject,
  StoreLedger,
  type StoreMeterOptions,
  type StoreMeterReport,
} from './store-ledger.ts';

/** What a store has to offer to be metered. Keys are text, `/` separates folders. */
export interface ObjectStore {
  /** undefined: no such object. */
  get(key: string): Promise<Content | undefined>;
  /** Replaces what was there. */
  put(key: string, body: Content): Promise<void>;
  /** False, and nothing written, when the key exists. */
  add(key: string, body: Content): Promise<boolean>;
  /** Of what is not there: nothing. `recursive`: the object and everything below `key/`. */
  delete(key: string, options?: { readonly recursive?: boolean }): Promise<void>;
  /** Every object whose key begins with `prefix`, in any order. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Bytes of one object. Without it `list` is asked. */
  size?(key: string): Promise<number | undefined>;
  /** Moves an object or everything below `from/`; an object at `to` is replaced. */
  rename?(from: string, to: string): Promise<void>;
}

export interface StoreMeter {
  /** Lists the store and sets every level. Never rejects; a failed one is counted and tried again. */
  sample(): Promise<void>;
  /** No more samples. The store goes on, its traffic still counted. */
  close(): void;
  report(): StoreMeterReport;
}

type Metered<S extends ObjectStore> = ObjectStore & { readonly meter: StoreMeter } & Pick<
    Required<ObjectStore>,
    Extract<keyof S, 'rename' | 'size'>
  >;

const sizeIn = async (store: ObjectStore, key: string): Promise<number | undefined> => {
  if (store.size) return store.size(key);
  for await (const object of store.list(key)) if (object.key === key) return object.size;
  return undefined;
};

class Wrapper {
  readonly ledger: StoreLedger;
  readonly #store: ObjectStore;

  constructor(store: ObjectStore, ledger: StoreLedger) {
    this.#store = store;
    this.ledger = ledger;
  }

  async get(key: string): Promise<Content | undefined> {
    this.ledger.request(key, 'get');
    const body = await this.#store.get(key);
    return body === undefined ? undefined : counted(body, (bytes) => this.ledger.sent(key, bytes));
  }

  put(key: string, body: Content): Promise<void> {
    return this.#write('put', key, body, (counting) => this.#store.put(key, counting));
  }

  add(key: string, body: Content): Promise<boolean> {
    return this.#write('add', key, body, (counting) => this.#store.add(key, counting));
  }

  delete(key: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
    this.ledger.request(key, 'delete');
    const isWide = options.recursive === true;
    const each = (change: Change, object: StoredObject) => change.add(this.ledger.level(object.key), -object.size);
    return this.ledger.change(
      [key],
      isWide,
      (change) => this.#below(key, isWide, (object) => each(change, object)),
      () => this.#store.delete(key, options),
      () => undefined,
    );
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    this.ledger.request(prefix, 'list');
    yield* this.#store.list(prefix);
  }

  rename(from: string, to: string): Promise<void> {
    this.ledger.request(from, 'rename');
    const { ledger } = this;
    const before = async (change: Change): Promise<void> => {
      if (from === to) return;
      const replaced = await sizeIn(this.#store, to);
      if (replaced !== undefined) change.add(ledger.level(to), -replaced);
      await this.#below(from, true, ({ key, size }) => {
        change.add(ledger.level(key), -size);
        change.add(ledger.level(to + key.slice(from.length)), size);
      });
    };
    const work = async () => this.#store.rename?.(from, to);
    return ledger.change([from, to], true, before, work, () => undefined);
  }

  /** The object `key` and, when `wide`, those below it. */
  async #below(key: string, wide: boolean, each: (object: StoredObject) => void): Promise<void> {
    const size = await sizeIn(this.#store, key);
    if (size !== undefined) each({ key, size });
    if (wide) for await (const object of this.#store.list(`${key}/`)) each(object);
  }

  #write<T>(operation: Operation, key: string, body: Content, write: (body: Content) => Promise<T>): Promise<T> {
    const { ledger } = this;
    ledger.request(key, operation);
    let written = 0;
    const counting = counted(body, (bytes) => {
      written += bytes;
      ledger.received(key, bytes);
    });
    const before = async (change: Change): Promise<void> => {
      if (operation === 'put') change.add(ledger.level(key), -((await sizeIn(this.#store, key)) ?? 0));
    };
    return ledger.change(
      [key],
      false,
      before,
      () => write(counting),
      (change, result) => {
        if ((result as unknown) !== false) change.add(ledger.level(key), written);
      },
    );
  }
}

/**
 * A store that does what `store` does and counts. Before a put or delete it asks for the old size; nothing else is added
 * to an operation, and no error of the meter reaches it. Changes made around it are found by the next sample.
 */
export const meterStore = <S extends ObjectStore>(store: S, options: StoreMeterOptions): Metered<S> => {
  const ledger = new StoreLedger(options, () => store.list(''));
  const wrapper = new Wrapper(store, ledger);
  const meter: StoreMeter = {
    sample: () => ledger.sampler.now(),
    close: () => ledger.sampler.close(),
    report: () => ledger.report(),
  };
  const { size, rename } = store;
  const metered: ObjectStore & { readonly meter: StoreMeter } = {
    meter,
    get: (key) => wrapper.get(key),
    put: (key, body) => wrapper.put(key, body),
    add: (key, body) => wrapper.add(key, body),
    delete: (key, how) => wrapper.delete(key, how),
    list: (prefix) => wrapper.list(prefix),
    ...(size && { size: (key: string) => size.call(store, key) }),
    ...(rename && { rename: (from: string, to: string) => wrapper.rename(from, to) }),
  };
  return metered as Metered<S>;
};
