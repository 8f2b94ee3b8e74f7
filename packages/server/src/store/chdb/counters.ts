/** Closing, computing and finding touched windows of counters. The rules of what is normal: counter-sql.ts. */
import type { Receipt } from '../../domain/fact.ts';
import { type CounterRecord, State } from '../../domain/record.ts';
import { WINDOW_MS, windowStart } from '../../domain/window.ts';
import { StoreError } from '../errors.ts';
import type { FastClose, Span, Touched } from '../usage-store.ts';
import { normalSeries, recordsOf, recordsOfStaged } from './counter-sql.ts';
import type { HeldLane, Lane } from './lane.ts';
import { dateTime, num, seriesIn, setOf } from './sql.ts';

const STAGING = 'closing';
/** Odd series of one span from which on merging all readings may be cheaper than following so many. */
const MANY_ODD = 2_000;

/** What the job's lane needs before its first close: a table that lives and dies with its session. */
export const stagingTable = `CREATE TEMPORARY TABLE IF NOT EXISTS ${STAGING} (
  series UInt32, ok UInt8, edges Array(UInt64), counts Array(UInt64), places Array(UInt32), spreads Array(UInt8),
  facts Array(UInt32)
) ENGINE = Memory`;

export async function closeCounters(
  lane: Lane,
  span: Span,
  frontier: Receipt,
  forceOdd: readonly number[],
  registered?: readonly number[],
): Promise<FastClose> {
  if (span.from % WINDOW_MS !== 0 || span.to % WINDOW_MS !== 0 || span.from >= span.to) {
    throw new StoreError('store.misuse', 'A span to close must be one or more whole windows.');
  }
  const forced = [...new Set(forceOdd)].filter((id) => id >= span.firstSeries && id <= span.lastSeries);
  const closed = await closeWithin(lane, span, frontier, { forced, registered });
  const odd = new Set([...forced, ...closed.odd]);
  return { odd: [...odd].sort((a, b) => a - b), written: closed.written };
}

interface Known {
  /** Series of the span that are left to the pure path. */
  forced: readonly number[];
  /** At least all counters of the span; undefined: not told. */
  registered: readonly number[] | undefined;
}

/** Halves the span when the engine refuses it for its memory limit: ten times the series take ten times the statements. */
async function closeWithin(lane: Lane, span: Span, frontier: Receipt, known: Known): Promise<FastClose> {
  try {
    return await lane.exclusive((held) => closeSpan(held, span, frontier, known));
  } catch (error) {
    const halves = error instanceof StoreError && error.code === 'store.limit_memory' ? halve(span) : null;
    if (halves === null) throw error;
    const first = await closeWithin(lane, halves[0], frontier, known);
    const second = await closeWithin(lane, halves[1], frontier, known);
    return { odd: [...first.odd, ...second.odd], written: first.written + second.written };
  }
}

function halve(span: Span): [Span, Span] | null {
  const windows = (span.to - span.from) / WINDOW_MS;
  if (windows > 1) {
    const middle = span.from + Math.floor(windows / 2) * WINDOW_MS;
    return [
      { ...span, to: middle },
      { ...span, from: middle },
    ];
  }
  if (span.lastSeries <= span.firstSeries) return null;
  const middle = Math.floor((span.firstSeries + span.lastSeries) / 2);
  return [
    { ...span, lastSeries: middle },
    { ...span, firstSeries: middle + 1 },
  ];
}

const inRange = (span: Span): string => `series BETWEEN ${num(span.firstSeries)} AND ${num(span.lastSeries)}`;

async function closeSpan(held: HeldLane, span: Span, frontier: Receipt, known: Known): Promise<FastClose> {
  const { forced, registered } = known;
  const which = forced.length === 0 ? inRange(span) : `${inRange(span)} AND series NOT IN ${setOf(forced, 'UInt32')}`;
  try {
    let { normal, odd } = await stage(held, normalSeries(span, frontier, which));
    if (odd.length > MANY_ODD) {
      // A storm of repetitions, perhaps, that the engine has not merged yet.
      await held.execute(`TRUNCATE TABLE ${STAGING}`);
      ({ normal, odd } = await stage(held, normalSeries(span, frontier, which, 'merged')));
    }
    if (normal.length > 0) await held.execute(recordsOfStaged(STAGING, span, frontier));
    const silent = await silentSeries(held, span, unseen(span, registered, [normal, odd, forced]));
    return { odd: [...odd, ...silent], written: (normal.length * (span.to - span.from)) / WINDOW_MS };
  } finally {
    await held.execute(`TRUNCATE TABLE ${STAGING}`);
  }
}

/** Fills the staging table; returns the series that are in it. */
async function stage(held: HeldLane, select: string): Promise<{ normal: number[]; odd: number[] }> {
  await held.execute(`INSERT INTO ${STAGING} ${select}`);
  const normal: number[] = [];
  const odd: number[] = [];
  const rows = await held.rows(`SELECT series, ok FROM ${STAGING}`);
  while (rows.more) {
    const series = rows.u32();
    (rows.u8() === 1 ? normal : odd).push(series);
  }
  return { normal, odd };
}

/** The counters of the span that are in none of the lists; null: not known. */
function unseen(
  span: Span,
  registered: readonly number[] | undefined,
  lists: readonly (readonly number[])[],
): number[] | null {
  if (registered === undefined) return null;
  const seen = new Set(lists.flat());
  return registered.filter((id) => id >= span.firstSeries && id <= span.lastSeries && !seen.has(id));
}

/**
 * Series without any reading in the context that may have usage there all the same: readings on both sides of it (the
 * span lies in their gap), or a first reading after it that declares a start before its end. Answered from the projection
 * of each part, for facts of any receipt: one too many is only more work for the pure path. `among`: only these can be.
 */
async function silentSeries(held: HeldLane, span: Span, among: readonly number[] | null): Promise<number[]> {
  if (among?.length === 0) return [];
  const which = among === null ? inRange(span) : seriesIn(among);
  const after = dateTime(span.to + WINDOW_MS);
  const later = await list(
    held,
    `SELECT series FROM (
       SELECT series, max(bucket) AS latest FROM reading
       WHERE ${which} AND toDate(bucket) >= toDate(${after}) AND series NOT IN (SELECT series FROM ${STAGING})
       GROUP BY series
     ) WHERE latest >= ${after}`,
  );
  if (later.length === 0) return [];
  const before = dateTime(span.from - WINDOW_MS);
  const inGap = await list(
    held,
    `SELECT series FROM (
       SELECT series, min(bucket) AS earliest FROM reading
       WHERE ${seriesIn(later)} AND toDate(bucket) <= toDate(${before}) GROUP BY series
     ) WHERE earliest < ${before}`,
  );
  const known = new Set(inGap);
  const fresh = later.filter((id) => !known.has(id));
  if (fresh.length === 0) return inGap;
  const started = `SELECT DISTINCT series FROM reading WHERE ${seriesIn(fresh)} AND bucket >= ${after} AND start > 0 AND start < ${num(span.to)}`;
  return [...inGap, ...(await list(held, started))];
}

async function list(held: HeldLane, sql: string): Promise<number[]> {
  const rows = await held.rows(sql);
  const out: number[] = [];
  while (rows.more) out.push(rows.u32());
  return out;
}

export async function computeCounters(
  lane: Lane,
  span: Span,
  series: readonly number[],
  frontier: Receipt,
): Promise<{ records: CounterRecord[]; odd: number[] }> {
  const records: CounterRecord[] = [];
  const odd: number[] = [];
  const asked = [...new Set(series)]
    .filter((id) => id >= span.firstSeries && id <= span.lastSeries)
    .sort((a, b) => a - b);
  if (asked.length === 0) return { records, odd };
  const seen = new Set<number>();
  const rows = await lane.rows(`${normalSeries(span, frontier, seriesIn(asked))} ORDER BY series`);
  while (rows.more) {
    const id = rows.u32();
    const normal = rows.u8() === 1;
    const edges = rows.list(() => rows.u64());
    const counts = rows.list(() => rows.big64());
    const places = rows.list(() => rows.u32());
    const spreads = rows.list(() => rows.u8());
    const facts = rows.list(() => rows.u32());
    seen.add(id);
    if (normal) records.push(...recordsOf(id, span, { edges, counts, places, spreads, facts }));
    else odd.push(id);
  }
  // No reading near: silent, or in a gap longer than the context. Only the pure path can tell.
  for (const id of asked) if (!seen.has(id)) odd.push(id);
  return { records, odd: odd.sort((a, b) => a - b) };
}

/**
 * Stamps (late, end, fast) that may keep a reading from counting, or make it another's that counts: only one without them
 * is sure to end the segment of its epoch before it.
 */
const DOUBTFUL_STAMPS = 1 | 16 | 64;

/**
 * Windows of [span.from, span.to) that facts with after < receipt <= frontier may have changed: those of the new readings
 * themselves; the last one, where the first sure reading at or after the span's end is new; the first one, where the last
 * reading before the span's start is. How far a segment reaches from there is the caller's to follow.
 */
export async function touchedCounters(lane: Lane, span: Span, after: Receipt, frontier: Receipt): Promise<Touched[]> {
  if (span.from >= span.to || after >= frontier) return [];
  const fresh = `${inRange(span)} AND receipt > ${num(after)} AND receipt <= ${num(frontier)}`;
  const out: Touched[] = [];
  const inside = await lane.rows(
    `SELECT series, min(t), max(t) FROM reading
     WHERE ${fresh} AND bucket >= ${dateTime(span.from)} AND bucket < ${dateTime(span.to)}
     GROUP BY series ORDER BY series`,
  );
  while (inside.more) {
    out.push({ series: inside.u32(), from: inside.u64(), to: inside.u64() + 1 });
  }
  for (const series of await freshTails(lane, span, fresh, after, frontier)) {
    out.push({ series, from: Math.max(span.from, span.to - WINDOW_MS), to: span.to });
  }
  for (const series of await freshHeads(lane, span, fresh)) {
    out.push({ series, from: span.from, to: Math.min(span.to, span.from + WINDOW_MS) });
  }
  return out;
}

/**
 * Series whose first sure reading at or after the span's end is new: it gives the silence before it an end. By epoch,
 * because two of them may live at once while an object moves.
 */
async function freshTails(lane: Lane, span: Span, fresh: string, after: Receipt, frontier: Receipt): Promise<number[]> {
  const near = span.to + 2 * WINDOW_MS;
  const sure = `bitAnd(stamps, ${num(DOUBTFUL_STAMPS)}) = 0`;
  const close = `${inRange(span)} AND bucket >= ${dateTime(span.to)} AND bucket < ${dateTime(near)} AND receipt <= ${num(frontier)}`;
  return lane.exclusive(async (held) => {
    const firstIsNew = await list(
      held,
      `SELECT DISTINCT series FROM (
         SELECT series, epoch, argMinIf(receipt, (t, receipt), ${sure}) AS first_sure, max(receipt) AS newest FROM reading
         WHERE ${close} GROUP BY series, epoch
       ) WHERE newest > ${num(after)} AND (first_sure = 0 OR first_sure > ${num(after)})`,
    );
    // Nothing sure nearby that is old: look further out, where only series that were silent for long are left.
    const further = await list(
      held,
      `SELECT DISTINCT series FROM reading
       WHERE ${fresh} AND bucket >= ${dateTime(near)}
         AND (series, epoch) NOT IN (SELECT series, epoch FROM reading WHERE ${close} AND receipt <= ${num(after)} AND ${sure})`,
    );
    if (further.length === 0) return firstIsNew;
    const touched = await list(
      held,
      `SELECT DISTINCT series FROM (
         SELECT series, epoch, minIf(t, receipt <= ${num(after)} AND ${sure}) AS old, countIf(receipt <= ${num(after)} AND ${sure}) AS olds,
           minIf(t, receipt > ${num(after)}) AS new, countIf(receipt > ${num(after)}) AS news
         FROM reading WHERE ${seriesIn(further)} AND bucket >= ${dateTime(span.to)} AND receipt <= ${num(frontier)}
         GROUP BY series, epoch
       ) WHERE news > 0 AND (olds = 0 OR new < old)`,
    );
    return [...new Set([...firstIsNew, ...touched])];
  });
}

/** Series with a new reading as the last one of its epoch before the span's start. */
async function freshHeads(lane: Lane, span: Span, fresh: string): Promise<number[]> {
  if (span.from === 0) return [];
  return lane.exclusive((held) =>
    list(
      held,
      `SELECT DISTINCT series FROM reading WHERE ${fresh} AND bucket < ${dateTime(span.from)}
         AND (bucket >= ${dateTime(span.from - 2 * WINDOW_MS)} OR (series, epoch) NOT IN (
           SELECT series, epoch FROM reading
           WHERE ${inRange(span)} AND bucket >= ${dateTime(span.from - 2 * WINDOW_MS)} AND bucket < ${dateTime(span.from)}
             AND bitAnd(stamps, ${num(DOUBTFUL_STAMPS)}) = 0))`,
    ),
  );
}

/** Series of the span with a current record in it that settling may change: pending, or quarantined on top of that. */
export async function pendingCounters(lane: Lane, span: Span): Promise<Touched[]> {
  const rows = await lane.rows(
    `SELECT series, toUnixTimestamp(min(w)), toUnixTimestamp(max(w)) FROM record FINAL
     WHERE ${inRange(span)} AND w >= ${dateTime(windowStart(span.from))} AND w < ${dateTime(span.to)}
       AND void = 0 AND state IN (${num(State.pending)}, ${num(State.quarantined)})
     GROUP BY series ORDER BY series`,
  );
  const out: Touched[] = [];
  while (rows.more) out.push({ series: rows.u32(), from: rows.u32() * 1000, to: rows.u32() * 1000 + WINDOW_MS });
  return out;
}
