/** The world of the listeners' tests: a recorder that adds up, timers and a clock turned by hand. */
import type { Measure, Recorder } from '../../measure/recorder.ts';
import type { Timers } from '../timers.ts';

export class Sums implements Recorder {
  readonly adds: { measure: Measure; quantity: number | bigint; times?: number }[] = [];
  readonly levels: { measure: Measure; level: number | bigint }[] = [];

  add(measure: Measure, quantity: number | bigint, times?: number): void {
    this.adds.push({ measure, quantity, ...(times !== undefined && { times }) });
  }

  set(measure: Measure, level: number | bigint): void {
    this.levels.push({ measure, level });
  }

  #of(meter: string, subject?: string, dimensions: Readonly<Record<string, string>> = {}) {
    const matches = (m: Measure) =>
      m.meter === meter &&
      (subject === undefined || m.subject === subject) &&
      Object.entries(dimensions).every(([key, value]) => m.dimensions?.[key] === value);
    return this.adds.filter(({ measure }) => matches(measure));
  }

  sum(meter: string, subject?: string, dimensions?: Readonly<Record<string, string>>): number {
    return this.#of(meter, subject, dimensions).reduce((sum, { quantity }) => sum + Number(quantity), 0);
  }

  count(meter: string, subject?: string): number {
    return this.#of(meter, subject).reduce((sum, { times = 1 }) => sum + times, 0);
  }

  /** The last level, undefined when none was ever set. */
  level(meter: string, subject: string): number | undefined {
    const last = this.levels.filter(({ measure: m }) => m.meter === meter && m.subject === subject).at(-1);
    return last && Number(last.level);
  }

  subjects(meter: string): string[] {
    return [
      ...new Set(this.adds.filter(({ measure }) => measure.meter === meter).map((a) => a.measure.subject)),
    ].sort();
  }
}

/** Timers and monotonic clock in one. `pass` runs what falls due, in order. */
export class ManualTime implements Timers {
  #now = 0;
  #due: { at: number; run: () => void }[] = [];

  elapsed(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const entry = { at: this.#now + ms, run };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  get waiting(): number {
    return this.#due.length;
  }

  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#due = this.#due.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }
}

const PATIENCE_MS = 30_000;

/** Lets everything that is ready run, until `holds`; gives up late, because a loaded machine takes its time. */
export const until = async (holds: () => boolean, what = 'the condition'): Promise<void> => {
  const start = performance.now();
  while (!holds()) {
    if (performance.now() - start > PATIENCE_MS) throw new Error(`${what} did not come true in ${PATIENCE_MS} ms`);
    await new Promise((done) => setImmediate(done));
  }
};
