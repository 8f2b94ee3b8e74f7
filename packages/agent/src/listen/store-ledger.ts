/** What is recorded about a store: traffic by tenant and operation, and the level of bytes each tenant has stored. */
import type { Measure, Recorder } from '../measure/recorder.ts';
import { Level } from './levels.ts';
import { type SampleOptions, Sampler } from './sampler.ts';
import { type TenantLimits, Tenants, type Unattributed } from './tenants.ts';

export type Operation = 'get' | 'put' | 'add' | 'delete' | 'list' | 'rename' | 'copy';

export interface StoredObject {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
}

export interface StoreMeterOptions extends TenantLimits, SampleOptions {
  readonly recorder: Recorder;
  /** Whose object this is, by its key; undefined: unattributed. Must give the same answer every time. */
  readonly tenant: (key: string) => string | undefined;
  /**
   * All tenants there are. Those without an object are set to 0 by a sample; without this, only tenants seen since the
   * start are.
   */
  readonly tenants?: () => Promise<Iterable<string>>;
  /** Further dimensions, the same for everything. */
  readonly dimensions?: Readonly<Record<string, string>>;
}

export interface StoreMeterReport {
  /** Errors of the meter, of the tenant function or of a look at a size, swallowed. */
  readonly errors: number;
  readonly failedSamples: number;
  /** Changes of one object that overlapped in time: a sample follows soon. */
  readonly conflicts: number;
  readonly unattributed: Readonly<Unattributed>;
}

interface Tally {
  readonly received: Measure;
  readonly sent: Measure;
  readonly requests: Map<Operation, Measure>;
  readonly level: Level;
}

const operations: readonly Operation[] = ['get', 'put', 'add', 'delete', 'list', 'rename', 'copy'];

/** What an operation does to the levels, in bytes. */
export class Change extends Map<Level, number> {
  add(level: Level, bytes: number): void {
    this.set(level, (this.get(level) ?? 0) + bytes);
  }
}

export class StoreLedger {
  conflicts = 0;
  errors = 0;
  readonly sampler: Sampler;
  readonly #recorder: Recorder;
  readonly #tenants: Tenants<Tally>;
  readonly #options: StoreMeterOptions;
  readonly #list: () => AsyncIterable<StoredObject>;
  readonly #changing = new Map<string, number>();
  #wide = 0;
  /** The whole store was listed once: a tenant not seen before has nothing. */
  #isComplete = false;

  constructor(options: StoreMeterOptions, list: () => AsyncIterable<StoredObject>) {
    const { recorder } = options;
    this.#options = options;
    this.#recorder = recorder;
    this.#list = list;
    this.#tenants = new Tenants(options, (subject) => {
      const measure = (meter: string, more?: Record<string, string>): Measure =>
        Object.freeze({ meter, subject, dimensions: Object.freeze({ ...options.dimensions, ...more }) });
      return {
        received: measure('storage.bytes.received'),
        sent: measure('storage.bytes.sent'),
        requests: new Map(operations.map((operation) => [operation, measure('storage.requests', { operation })])),
        level: new Level(recorder, measure('storage.bytes'), this.#isComplete ? 0 : undefined),
      };
    });
    this.sampler = new Sampler(options, () => this.#sample());
  }

  request(key: string, operation: Operation): void {
    this.safely(() => {
      const measure = this.#of(key).requests.get(operation);
      if (measure) this.#recorder.add(measure, 1);
    });
  }

  received(key: string, bytes: number): void {
    this.safely(() => this.#recorder.add(this.#of(key).received, bytes));
  }

  sent(key: string, bytes: number): void {
    this.safely(() => this.#recorder.add(this.#of(key).sent, bytes));
  }

  level(key: string): Level {
    return this.#of(key).level;
  }

  /**
   * Runs `work`, which changes `keys` (with everything below them when `wide`), and moves the levels by what `before`
   * found and `after` makes of it. Errors of `work` are its caller's; all others are swallowed and healed by a sample.
   */
  async change<T>(
    keys: readonly string[],
    wide: boolean,
    before: (change: Change) => Promise<void>,
    work: () => Promise<T>,
    after: (change: Change, result: T) => void | Promise<void>,
  ): Promise<T> {
    const release = this.#claim(keys, wide);
    const change = new Change();
    let isSure = await this.#surely(() => before(change));
    const opened = this.#open(keys, change);
    try {
      const result = await work();
      isSure &&= await this.#surely(async () => after(change, result));
      return result;
    } catch (error) {
      // Who knows how much of it was done.
      isSure = false;
      throw error;
    } finally {
      for (const level of opened) if (!level.end(isSure ? (change.get(level) ?? 0) : 0)) isSure = false;
      release();
      if (!isSure) this.sampler.soon();
    }
  }

  report(): StoreMeterReport {
    const { errors, conflicts } = this;
    return { errors, conflicts, failedSamples: this.sampler.failed, unattributed: { ...this.#tenants.unattributed } };
  }

  safely(work: () => void): void {
    try {
      work();
    } catch {
      this.errors += 1;
    }
  }

  #of(key: string): Tally {
    return this.#tenants.get(this.#options.tenant(key));
  }

  async #surely(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch {
      this.errors += 1;
      return false;
    }
  }

  /** Levels that `change` may move. They are open before `work` starts, so that a sample during it is not believed. */
  #open(keys: readonly string[], change: Change): Set<Level> {
    const levels = new Set(change.keys());
    this.safely(() => {
      for (const key of keys) levels.add(this.level(key));
    });
    for (const level of levels) level.begin();
    return levels;
  }

  /** Two changes of one object at a time both see the old size. We do not make one wait; a sample sets it right. */
  #claim(keys: readonly string[], wide: boolean): () => void {
    const isShared = this.#wide > 0 || (wide ? this.#changing.size > 0 : keys.some((key) => this.#changing.has(key)));
    if (isShared) this.conflicts += 1;
    this.#wide += wide ? 1 : 0;
    for (const key of keys) this.#changing.set(key, (this.#changing.get(key) ?? 0) + 1);
    return () => {
      this.#wide -= wide ? 1 : 0;
      for (const key of keys) {
        const left = (this.#changing.get(key) ?? 1) - 1;
        if (left > 0) this.#changing.set(key, left);
        else this.#changing.delete(key);
      }
      if (isShared) this.sampler.soon();
    };
  }

  async #sample(): Promise<boolean> {
    const marks = new Map([...this.#tenants.all()].map(([, { level }]) => [level, level.mark()]));
    const found = new Map<Level, number>();
    for (const tenant of (await this.#options.tenants?.()) ?? []) found.set(this.#tenants.get(tenant).level, 0);
    for await (const { key, size } of this.#list()) {
      const { level } = this.#of(key);
      found.set(level, (found.get(level) ?? 0) + size);
    }
    let isSettled = true;
    for (const [name, { level }] of this.#tenants.all()) {
      const value = found.get(level);
      // A level first seen during the listing has no mark, and 0 moves when nothing changed it.
      const mark = marks.get(level) ?? 0;
      // Nobody's level appears only once there is something in it.
      const isAbsent = name === '' && value === undefined && !level.value;
      if (!(isAbsent ? level.presumeNothing(mark) : level.settle(value ?? 0, mark))) isSettled = false;
    }
    this.#isComplete = true;
    return isSettled;
  }
}
