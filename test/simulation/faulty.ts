/**
 * Stores with faults: pauses before and after every call, writes that fail, writes that succeed and whose answer is lost,
 * commits of which only a beginning reached the disk, and a process that dies between any two steps.
 */

import type { Declaration, SeriesReading, StoredEvent } from 'tollgate/domain/fact.js';
import { StoreError } from 'tollgate/store/errors.js';
import type { FactWriter, IdentityHash, UsageStore } from 'tollgate/store/usage-store.js';
import type { Lots } from './lots.ts';

/** One life of a process: after `end`, nothing it waits for ever comes back to it. */
export class Life {
  #ended = false;
  #over: () => void = () => undefined;
  /** Resolves when this life ends. */
  readonly over = new Promise<void>((resolve) => {
    this.#over = resolve;
  });

  get ended(): boolean {
    return this.#ended;
  }
  end(): void {
    this.#ended = true;
    this.#over();
  }
  /** Passes the value on while alive; a dead process hears nothing any more. */
  hear<T>(value: Promise<T>): Promise<T> {
    return value.then(
      (v) => (this.#ended ? never<T>() : v),
      (error: unknown) => {
        if (this.#ended) return never<T>();
        throw error;
      },
    );
  }
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export interface Faults {
  readonly life: Life;
  /** Waits as long as this call takes; may be long. Called before and after every asynchronous call. */
  pause(call: string): Promise<void>;
  /** What happens to this write. */
  fate(call: string): 'written' | 'failed' | 'answer lost' | 'torn';
}

export const noFate = (): 'written' => 'written';
const diskError = (): StoreError => new StoreError('store.unavailable', 'the simulated disk said no');

/** Names of methods that change the store; of these, commits of facts are handled by their writer. */
const WRITES =
  /^(append|register|write|close(Counters)?$|advance|create|split|merge|start|finish|add|resolve|set[A-Z]|lease|acquire|release|finalise|save|remove|change|post|hold)/;

/** Wraps every asynchronous method. Synchronous members and async iterables pass through. */
export const withFaults = <T extends object>(inner: T, faults: Faults): T =>
  new Proxy(inner, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (name === 'billing' && typeof member === 'object' && member !== null) return withFaults(member, faults);
      if (typeof member !== 'function' || typeof name !== 'string') return member;
      if (name === 'writer') return () => new FaultyWriter((target as unknown as UsageStore).writer(), faults);
      if (name === 'close') return () => Promise.resolve();
      return (...args: unknown[]): unknown => {
        if (faults.life.ended) return never();
        if (isIterator(name)) return member.apply(target, args);
        return faults.life.hear(called(name, () => member.apply(target, args), faults));
      };
    },
  });

const isIterator = (name: string): boolean => name === 'events' || name === 'identities';

const called = async (name: string, call: () => unknown, faults: Faults): Promise<unknown> => {
  await faults.pause(name);
  if (faults.life.ended) return never();
  const fate = WRITES.test(name) ? faults.fate(name) : 'written';
  if (fate === 'failed' || fate === 'torn') throw diskError();
  const result = await call();
  await faults.pause(name);
  if (fate === 'answer lost') throw diskError();
  return result;
};

type Fact =
  | { kind: 'event'; event: StoredEvent; identity: IdentityHash }
  | { kind: 'reading'; reading: SeriesReading }
  | { kind: 'declaration'; declaration: Declaration };
const ORDER = { event: 0, reading: 1, declaration: 2 } as const;

/** Holds the facts back until the commit, so that a torn one can write a beginning of them. */
class FaultyWriter implements FactWriter {
  readonly #inner: FactWriter;
  readonly #faults: Faults;
  readonly #facts: Fact[] = [];

  constructor(inner: FactWriter, faults: Faults) {
    this.#inner = inner;
    this.#faults = faults;
  }

  get size(): number {
    return this.#facts.length;
  }
  event(event: StoredEvent, identity: IdentityHash): void {
    this.#facts.push({ kind: 'event', event, identity });
  }
  reading(reading: SeriesReading): void {
    this.#facts.push({ kind: 'reading', reading });
  }
  declaration(declaration: Declaration): void {
    this.#facts.push({ kind: 'declaration', declaration });
  }

  commit(): Promise<void> {
    return this.#faults.life.hear(this.#commit());
  }

  async #commit(): Promise<void> {
    await this.#faults.pause('commit');
    if (this.#faults.life.ended) return never();
    const fate = this.#faults.fate('commit');
    if (fate === 'failed') throw diskError();
    // As the engine writes them: events, then readings, and what vouches for them last. A torn commit stops between two.
    const ordered = [...this.#facts].sort((a, b) => ORDER[a.kind] - ORDER[b.kind]);
    const kinds = [...new Set(ordered.map((fact) => fact.kind))];
    const whole = fate === 'torn' ? kinds.slice(0, -1) : kinds;
    for (const fact of ordered) {
      if (!whole.includes(fact.kind)) continue;
      if (fact.kind === 'event') this.#inner.event(fact.event, fact.identity);
      else if (fact.kind === 'reading') this.#inner.reading(fact.reading);
      else this.#inner.declaration(fact.declaration);
    }
    await this.#inner.commit();
    await this.#faults.pause('commit');
    if (fate !== 'written') throw diskError();
  }
}

/** Short pauses mostly, now and then one that outlives a lease. */
export const lazily =
  (lots: Lots, sleep: (ms: number) => Promise<void>, longOnes: number, longMs: number) => async (): Promise<void> => {
    if (lots.chance(longOnes)) await sleep(lots.int(longMs, 3 * longMs));
    else if (lots.chance(0.3)) await sleep(lots.int(1, 400));
  };
