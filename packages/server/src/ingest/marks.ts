/**
 * What has come of each (tenant, source, run): the numbers that are durable, and those that are on their way. A number of
 * the first kind was accepted before; of one that is only claimed the commit has to be awaited.
 *
 * Publishers send the batches of a run in order, so this is one range that grows. Tried first: only its end. But then a
 * batch that others overtook counts as a repetition, and is lost without a word.
 */
import { NumberRanges } from '../domain/number-ranges.ts';
import type { AcceptedNumbers } from '../store/usage-store.ts';

export class Mark {
  readonly committed = new NumberRanges();
  /** Holds all that is committed, and falls back to that when a commit fails. */
  claimed = new NumberRanges();
  /** How often it fell back. */
  fallbacks = 0;
  /** Settles when what is claimed is durable, rejects when it is not. */
  settled: Promise<void> = Promise.resolve();

  claim(first: number, last: number, settled: Promise<void>): void {
    this.claimed.add(first, last);
    this.settled = settled;
  }

  fallBack(): void {
    this.claimed = new NumberRanges(this.committed);
    this.fallbacks++;
    this.settled = Promise.resolve();
  }
}

export class Marks {
  private readonly marks = new Map<string, Mark>();

  restore(rows: readonly AcceptedNumbers[]): void {
    for (const { tenant, source, run, first, last } of rows) {
      const mark = this.of(tenant, source, run);
      mark.committed.add(first, last);
      mark.claimed.add(first, last);
    }
  }

  of(tenant: string, source: string, run: string): Mark {
    const name = JSON.stringify([tenant, source, run]);
    let mark = this.marks.get(name);
    if (mark === undefined) {
      mark = new Mark();
      this.marks.set(name, mark);
    }
    return mark;
  }

  get size(): number {
    return this.marks.size;
  }
}
