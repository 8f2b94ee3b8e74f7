/** A disk in memory that can lose power, tear writes, be full and refuse to sync. */
import type { SpoolDisk, SpoolFile } from '../disk.ts';

interface Content {
  bytes: Buffer;
  /** Of them, how many survive a power loss. */
  synced: number;
}

const failure = (code: string): Error => Object.assign(new Error(code), { code });

export class MemoryDisk implements SpoolDisk {
  readonly files = new Map<string, Content>();
  readonly notes = new Map<string, string[]>();
  /** Bytes that may still be written before the machine stops, in the middle of a write. */
  diesAfter = Number.POSITIVE_INFINITY;
  /** Bytes there is room for. */
  room = Number.POSITIVE_INFINITY;
  /** Syncs that fail from now on. */
  failingSyncs = 0;
  /** Awaited by every append: a slow disk. */
  gate: Promise<void> = Promise.resolve();
  dead = false;
  written = 0;
  #locked = false;

  get used(): number {
    let sum = 0;
    for (const { bytes } of this.files.values()) sum += bytes.length;
    return sum;
  }

  /** The machine is on again. `keep`: of what was not synced in a file, how much survived; all after a kill of the process. */
  revive(keep: (unsynced: number, name: string) => number): void {
    for (const [name, content] of this.files) {
      const { bytes, synced } = content;
      content.bytes = bytes.subarray(0, synced + keep(bytes.length - synced, name));
      content.synced = content.bytes.length;
    }
    this.dead = false;
    this.#locked = false;
    this.diesAfter = Number.POSITIVE_INFINITY;
    this.gate = Promise.resolve();
  }

  async lock(): Promise<() => Promise<void>> {
    this.#live();
    if (this.#locked) throw new Error('in use');
    this.#locked = true;
    return async () => {
      this.#locked = false;
    };
  }

  async list(): Promise<string[]> {
    this.#live();
    return [...this.files.keys()];
  }

  async read(name: string): Promise<Buffer> {
    return Buffer.from(this.#content(name).bytes);
  }

  async readAt(name: string, offset: number, length: number): Promise<Buffer> {
    const { bytes } = this.#content(name);
    if (offset + length > bytes.length) throw failure('EOF');
    return Buffer.from(bytes.subarray(offset, offset + length));
  }

  async create(name: string): Promise<SpoolFile> {
    this.#live();
    if (this.files.has(name)) throw failure('EEXIST');
    const content: Content = { bytes: Buffer.alloc(0), synced: 0 };
    this.files.set(name, content);
    return {
      append: async (bytes) => {
        await this.gate;
        this.#append(content, bytes);
      },
      sync: async () => {
        this.#live();
        if (this.failingSyncs > 0) {
          this.failingSyncs--;
          throw failure('EIO');
        }
        content.synced = content.bytes.length;
      },
      truncate: async (length) => {
        this.#live();
        content.bytes = content.bytes.subarray(0, length);
        content.synced = Math.min(content.synced, length);
      },
      close: async () => this.#live(),
    };
  }

  async beat(): Promise<Buffer> {
    return this.read('heartbeat');
  }

  async setBeat(bytes: Uint8Array, sync: boolean): Promise<void> {
    this.#live();
    const old = this.files.get('heartbeat');
    // In place: what was not synced is the older one, here the whole of it.
    if (sync || old === undefined) this.files.set('heartbeat', { bytes: Buffer.from(bytes), synced: bytes.length });
    else old.bytes = Buffer.from(bytes);
  }

  async truncate(name: string, length: number): Promise<void> {
    const content = this.#content(name);
    content.bytes = content.bytes.subarray(0, length);
  }

  async remove(name: string): Promise<void> {
    this.#live();
    this.files.delete(name);
  }

  async note(name: string, line: string): Promise<void> {
    this.#live();
    this.notes.set(name, [...(this.notes.get(name) ?? []), line]);
  }

  #content(name: string): Content {
    this.#live();
    const content = this.files.get(name);
    if (content === undefined) throw failure('ENOENT');
    return content;
  }

  #append(content: Content, bytes: Uint8Array): void {
    this.#live();
    const free = Math.max(0, this.room - this.used);
    const fits = Math.min(bytes.length, this.diesAfter, free);
    content.bytes = Buffer.concat([content.bytes, bytes.subarray(0, fits)]);
    this.written += fits;
    this.diesAfter -= fits;
    if (fits === bytes.length) return;
    if (this.diesAfter <= 0) this.dead = true;
    throw failure(this.dead ? 'EIO' : 'ENOSPC');
  }

  #live(): void {
    if (this.dead) throw failure('EIO');
  }
}
