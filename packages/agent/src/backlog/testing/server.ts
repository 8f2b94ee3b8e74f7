/**
 * A server in little: settles readings by (source, run, number), keeps what came, and complains of what no publisher of
 * ours may do.
 */
import type { ReadingsBatch } from '@tollgate/event';

export interface Taken {
  series: string;
  epoch: string;
  at: number;
  /** null: the counter ended. */
  value: bigint | null;
  start: number;
}

export class ReadingsServer {
  /** By run and number. */
  readonly items = new Map<string, Taken>();
  /** The distinct ones, in order of arrival. */
  readonly taken: Taken[] = [];
  readonly faults: string[] = [];
  /** Readings that came under two numbers. */
  twice = 0;
  completeThrough = 0;
  readonly #marks = new Map<string, number>();
  readonly #known = new Set<string>();

  take(batch: ReadingsBatch): void {
    const mark = this.#marks.get(batch.run) ?? 0;
    if (batch.sequence > mark + 1) this.faults.push(`${batch.run}: ${batch.sequence} follows ${mark}`);
    const items = itemsOf(batch);
    items.forEach((item, i) => {
      this.#item(batch.run, batch.sequence + i, mark, item);
    });
    this.#marks.set(batch.run, Math.max(mark, batch.sequence + items.length - 1));
    this.completeThrough = Math.max(this.completeThrough, Number(batch.completeThrough ?? 0));
  }

  #item(run: string, number: number, mark: number, item: Taken): void {
    const known = this.items.get(`${run}-${number}`);
    if (known !== undefined && text(known) !== text(item)) this.faults.push(`${run}-${number} changed`);
    if (number <= mark) return;
    this.items.set(`${run}-${number}`, item);
    if (this.#known.has(text(item))) this.twice++;
    else {
      if (item.at <= this.completeThrough)
        this.faults.push(`${text(item)} comes after all up to ${this.completeThrough} had`);
      this.taken.push(item);
    }
    this.#known.add(text(item));
  }

  /** Usage by series and epoch: the last value less the first, all of it where a start is told. */
  totals(): Map<string, bigint> {
    const chains = new Map<string, { first: bigint; last: bigint }>();
    for (const { series, epoch, value, start } of this.taken) {
      if (value === null) continue;
      const chain = chains.get(`${series} ${epoch}`);
      if (chain === undefined) chains.set(`${series} ${epoch}`, { first: start > 0 ? 0n : value, last: value });
      else chain.last = value;
    }
    return new Map([...chains].map(([key, { first, last }]) => [key, last - first]));
  }

  rows(): string[] {
    return this.taken.map(text).sort();
  }
}

const text = ({ series, epoch, at, value, start }: Taken): string => `${series} ${epoch} ${at} ${value} ${start}`;

const itemsOf = ({ series, readings, ended = [] }: ReadingsBatch): Taken[] => {
  const about = (index: number): Pick<Taken, 'series' | 'epoch'> => {
    const head = series[index];
    return { series: `${head?.resource} ${head?.meter}`, epoch: head?.epoch ?? '' };
  };
  return [
    ...readings.map(([index, at, value, start = 0]) => ({ ...about(index), at, value: BigInt(value), start })),
    ...ended.map(([index, at]) => ({ ...about(index), at, value: null, start: 0 })),
  ];
};
