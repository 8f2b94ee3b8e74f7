/**
 * Readings that wait for the server, on disk. What is offered is written at once and sent from there, oldest first; what
 * the disk does not take waits in memory, is tried again, and is sent from memory when nothing on disk is left.
 *
 * Everything that waits for the disk runs one at a time: nobody sees a segment between two of its states.
 */
import type { Randomness } from '../environment.ts';
import type { SpoolDisk } from '../spool/disk.ts';
import type { LostInterval } from '../spool/snapshot.ts';
import { type Batch, batchOf, type ReadingsQueue } from './flight.ts';
import { MemoryQueue } from './memory.ts';
import type { Portion } from './pass.ts';
import { recover } from './recover.ts';
import { makeRoom } from './room.ts';
import { Store } from './store.ts';

export interface BacklogSettings {
  source: string;
  /** Bytes of all segments together, and bytes after which a new one is begun. */
  maxBytes: number;
  segmentBytes: number;
  /** Readings in memory beyond which they are thinned, while the disk takes nothing. */
  memoryMax: number;
}

export interface BacklogWorld {
  disk: SpoolDisk;
  random: Randomness;
  report(report: { level: 'info' | 'warn' | 'error'; message: string }): void;
}

/** A segment is read into memory whole; and thinning wants some to choose from. */
const SEGMENT_MAX = 4 * 1024 * 1024;
const SEGMENTS_MIN = 8;

export class Backlog implements ReadingsQueue {
  forcedOut = 0;
  readonly #store: Store;
  readonly #tail: MemoryQueue;
  readonly #maxBytes: number;
  readonly #report: BacklogWorld['report'];
  readonly #unlock: () => Promise<void>;
  #working: Promise<unknown> = Promise.resolve();
  #due = false;
  /** Since the start: readings given up between others on disk. */
  #thinned = 0;
  /** Why the disk did not take what was offered last; '' when it did. */
  #trouble = '';
  /** Readings on their way to the disk. */
  #writing = 0;
  #flight: { parts: number; batch: Batch } | null = null;

  /** Rejects when another process has the folder, or it cannot be read. */
  static async open(world: BacklogWorld, settings: BacklogSettings): Promise<Backlog> {
    const unlock = await world.disk.lock();
    try {
      const { maxBytes } = settings;
      const segmentBytes = Math.min(settings.segmentBytes, SEGMENT_MAX, Math.floor(maxBytes / SEGMENTS_MIN));
      const found = await recover(world.disk);
      const own = { life: world.random.hex(8), source: settings.source };
      const store = new Store(world.disk, own, found, segmentBytes);
      if (found.damaged + found.torn > 0)
        world.report({
          level: 'warn',
          message: `the backlog of readings was cut short: ${found.torn} bytes torn off at an end, ${found.damaged} damaged`,
        });
      return new Backlog(world, store, settings, unlock);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  private constructor(world: BacklogWorld, store: Store, settings: BacklogSettings, unlock: () => Promise<void>) {
    this.#store = store;
    this.#maxBytes = settings.maxBytes;
    this.#report = world.report;
    this.#unlock = unlock;
    this.#tail = new MemoryQueue(`${world.random.hex(8)}-m`, settings.memoryMax, (dropped) => {
      const message = `neither the disk nor the server takes readings: ${dropped} between others given up, totals stay exact`;
      world.report({ level: 'warn', message });
    });
  }

  get waiting(): number {
    return this.#store.waiting + this.#writing + this.#tail.waiting;
  }
  get state(): { bytes: number; thinned: number; trouble: string } {
    return { bytes: this.#store.bytes, thinned: this.#thinned + this.#tail.thinned, trouble: this.#trouble };
  }
  /** Readings nothing stands for, of this life and earlier ones, as intervals. */
  lostIntervals(): readonly LostInterval[] {
    return this.#store.lost;
  }

  offer(portion: Portion): void {
    this.#tail.offer(portion);
    void this.flush();
  }

  /** What was offered before is on disk when this resolves, or the state says why not. */
  flush(): Promise<void> {
    if (this.#due) return this.#working as Promise<void>;
    this.#due = true;
    return this.#inTurn(async () => {
      this.#due = false;
      if (!this.#tail.isEmpty) await this.#write();
    });
  }

  async next(): Promise<Batch | null> {
    if (this.#flight !== null) return this.#flight.batch;
    await this.flush();
    if (this.#tail.flying.length > 0) return this.#tail.next();
    await this.#inTurn(() => this.#load());
    const loaded = this.#store.upcoming();
    const [first] = loaded;
    if (first === undefined) return this.#store.oldest === undefined ? this.#tail.next() : null;
    const parts = loaded.map((part) => part.read());
    const { source, run, sequence } = first;
    this.#flight = { parts: loaded.length, batch: { source, ...batchOf(parts, run, sequence) } };
    return this.#flight.batch;
  }

  settle(taken: boolean): void {
    if (this.#flight === null) this.#tail.settle(taken);
    else this.#store.settle(this.#flight.parts);
    this.#flight = null;
  }

  /** What is not acknowledged is there again at the next open. Never rejects. */
  async close(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#write();
      await this.#store.close().catch(() => undefined);
    });
    await this.#unlock().catch(() => undefined);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#working.then(work);
    this.#working = turn;
    return turn;
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const { flying } = this.#tail;
    const parts = this.#tail.takeAll();
    this.#writing = parts.reduce((sum, { items }) => sum + items.length, 0);
    let isWritten = false;
    try {
      await this.#store.append([...flying, ...parts]);
      isWritten = true;
      this.#writing = 0;
      // Settled meanwhile, or not: it comes again from the disk, under other numbers, and the server knows the readings.
      this.#tail.ground();
      for (const { settled } of [...flying, ...parts]) settled(true);
      await this.#tidy();
      if (this.#trouble !== '') this.#report({ level: 'info', message: 'the disk takes readings again' });
      this.#trouble = '';
    } catch (error) {
      this.#writing = 0;
      if (!isWritten) this.#tail.putBack(parts);
      this.#suffer(error);
    }
  }

  async #tidy(): Promise<void> {
    await this.#store.clean();
    const given = await makeRoom(this.#store, this.#maxBytes);
    if (given === null) return;
    // What was offered meanwhile has its turn before the next step.
    void this.#inTurn(() => this.#tidy().catch((error: unknown) => this.#suffer(error)));
    const { thinned, forcedOut } = given;
    this.#thinned += thinned;
    this.forcedOut += forcedOut;
    if (thinned > 0)
      this.#report({
        level: 'info',
        message: `the backlog has reached its bound: ${thinned} readings between others given up, totals stay exact`,
      });
    if (forcedOut > 0)
      this.#report({ level: 'error', message: `the backlog has reached its bound: ${forcedOut} readings lost` });
  }

  async #load(): Promise<void> {
    const { oldest } = this.#store;
    try {
      await this.#store.load();
    } catch (error) {
      // Not this time, or never: what can never be read must not hold back what comes after it.
      if (oldest !== undefined && isGone(error)) {
        this.forcedOut += oldest.items;
        this.#store.giveUp(oldest, 'damaged');
      }
      this.#suffer(error);
    }
    await this.#store.mark().catch((error: unknown) => this.#suffer(error));
  }

  #suffer(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== this.#trouble)
      this.#report({ level: 'error', message: `the backlog of readings cannot use its disk: ${message}` });
    this.#trouble = message;
  }
}

const isGone = (error: unknown): boolean =>
  ['ENOENT', 'EIO', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
