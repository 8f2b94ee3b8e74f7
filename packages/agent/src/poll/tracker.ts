/**
 * What one pass tells of the pass before it: counters that are new (so they began after it) and counters that are gone.
 *
 * A start is claimed only on evidence: the place where the counter stands was read in the pass before, and it was not
 * there. A place that could not be read then (one domain of many, a metric left out of a scrape) proves nothing: claiming
 * a start for what shows up there would bill its whole life.
 */
import type { Counted, Gone } from './poller.ts';

/** A counter as it was read, before anything is known of its past. */
export interface Seen extends Omit<Counted, 'start'> {
  /** The part of the source that is read or not read as one: '' = all of it; `a/b` is a part of `a`. */
  scope?: string;
  /** When it stood at zero, where the source itself says so. */
  start?: number;
  /** False: were it new, it need not have begun at zero, so no start is claimed. */
  fromZero?: boolean;
}

export interface Look {
  /** Wall clock just after the values were read. */
  at: number;
  seen: readonly Seen[];
  /** Nothing counted here can be older than this: the boot. 0 unknown. */
  notBefore?: number;
  /** Scopes that exist but could not be read this time. */
  unread?: readonly string[];
}

export interface Tracked {
  at: number;
  counted: Counted[];
  ended: Gone[];
  memory(): string;
}

/** One counter as the pass before left it. */
type Row = readonly [scope: string, object: string, meter: string, epoch: string, dimensions?: Record<string, string>];

interface Before {
  readonly at: number;
  readonly rows: ReadonlyMap<string, Row>;
  readonly unread: ReadonlySet<string>;
}

const keyOf = (object: string, meter: string, dimensions: Readonly<Record<string, string>> | undefined): string =>
  dimensions === undefined
    ? `${object}\n${meter}`
    : `${object}\n${meter}\n${JSON.stringify(Object.entries(dimensions).sort())}`;

export class Tracker {
  #before: Before | null;

  /** `memory`: what an earlier process remembered; null or anything unreadable: nothing. */
  constructor(memory: string | null = null) {
    this.#before = memory === null ? null : recall(memory);
  }

  /** Throws nothing; what it was told becomes the pass before. */
  take(look: Look): Tracked {
    const { at } = look;
    const before = this.#before;
    const unread = new Set(look.unread);
    const rows = new Map<string, Row>();
    const counted = look.seen.map((seen) => {
      const { scope = '', start, fromZero = true, ...rest } = seen;
      const key = keyOf(seen.object, seen.meter, seen.dimensions);
      rows.set(key, rowOf(scope, seen));
      const began = start ?? (fromZero ? this.#start(look, scope, before?.rows.get(key), seen.epoch) : 0);
      // A source with instants of its own may tell of a time before we last looked.
      return { ...rest, start: began < (seen.at ?? at) ? began : 0 };
    });
    const ended: Gone[] = [];
    for (const [key, row] of before?.rows ?? []) {
      const now = rows.get(key);
      if (now === undefined && isUnread(unread, row[0])) rows.set(key, row);
      else if (now?.[3] !== row[3]) ended.push(goneOf(row, now === undefined ? at : at - 1));
    }
    const after = { at, rows, unread };
    this.#before = after;
    return { at, counted, ended, memory: () => remember(after) };
  }

  /** A counter as the pass before left it, also one that could not be read then; null: it was not known. */
  pastOf({ object, meter, dimensions }: Pick<Seen, 'object' | 'meter' | 'dimensions'>): {
    epoch: string;
    at: number;
  } | null {
    const row = this.#before?.rows.get(keyOf(object, meter, dimensions));
    return this.#before === null || row === undefined ? null : { epoch: row[3], at: this.#before.at };
  }

  /** A counter of another epoch than before is a new counter, like one that was not there. */
  #start(look: Look, scope: string, known: Row | undefined, epoch: string): number {
    const before = this.#before;
    if (before === null || before.at >= look.at) return 0;
    if (known?.[3] === epoch || isUnread(before.unread, scope)) return 0;
    return Math.max(before.at, look.notBefore ?? 0);
  }
}

const isUnread = (unread: ReadonlySet<string>, scope: string): boolean =>
  unread.has(scope) || unread.has(scope.split('/', 1)[0] ?? '');

const rowOf = (scope: string, { object, meter, epoch, dimensions }: Seen): Row =>
  dimensions === undefined ? [scope, object, meter, epoch] : [scope, object, meter, epoch, dimensions];

const goneOf = ([, object, meter, epoch, dimensions]: Row, at: number): Gone => ({
  object,
  meter,
  epoch,
  at,
  ...(dimensions === undefined ? {} : { dimensions }),
});

const remember = ({ at, rows, unread }: Before): string =>
  JSON.stringify({ at, unread: [...unread], rows: [...rows.values()] });

/** Null for anything that is not a memory: it is only a help, never a truth. */
const recall = (text: string): Before | null => {
  try {
    const { at, unread, rows } = JSON.parse(text) as { at: unknown; unread: unknown; rows: unknown };
    if (typeof at !== 'number' || !Array.isArray(unread) || !Array.isArray(rows)) return null;
    if (!rows.every(isRow)) return null;
    return { at, unread: new Set(unread.map(String)), rows: new Map(rows.map((r) => [keyOf(r[1], r[2], r[4]), r])) };
  } catch {
    return null;
  }
};

const isRow = (row: unknown): row is Row =>
  Array.isArray(row) &&
  row.slice(0, 4).length === 4 &&
  row.slice(0, 4).every((part) => typeof part === 'string') &&
  (row[4] === undefined || (typeof row[4] === 'object' && row[4] !== null));
