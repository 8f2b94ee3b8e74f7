/**
 * The fast path: usage of all normal series of a span at once. Normal, over the span and a window on either side: one
 * epoch, no stamp but `late`, and that neither on the first nor on the last reading, time grows, value does not fall, a
 * reading before the span's start and one at or after its end, and no two readings further apart than a window. Then every
 * edge of the grid lies in exactly one segment, and every segment crosses at most one edge: that of the later reading's
 * window.
 *
 * Why late readings between two that came in time are harmless: the first one, not being late, came before everything
 * later than itself, and whatever came before the last one lies before it. So whichever reading a late one was judged
 * against is one of these, and between these it fits. (On a series with a line speed it is stamped `fast` too.)
 *
 * Tried first: `lagInFrame` over all rows. It sorts them all at once, which takes longer than 100,000 short arrays do.
 */
import { type Receipt, Stamp } from '../../domain/fact.ts';
import { type CounterRecord, Flag, State } from '../../domain/record.ts';
import { READING_FACTORS } from '../../domain/record-digest.ts';
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import type { Span } from '../usage-store.ts';
import { dateTime, num } from './sql.ts';

const W = num(WINDOW_MS);
const LATE = num(Stamp.late);
/** Epoch (52 bits) and all other stamps as one number: two aggregates over all readings instead of five. */
const kept = `epoch * 256 + bitAnd(stamps, ${num(255 - Stamp.late)})`;

const FACTORS = READING_FACTORS;
/** `readingDigest` of domain/record-digest.ts, of (t, v); its lower 32 bits count. */
const words = `bitAnd(v * ${num(FACTORS.low)} + bitShiftRight(v, 32) * ${num(FACTORS.high)} + t * ${num(FACTORS.time)}, 4294967295)`;
const readingDigest = `bitXor(${words}, bitShiftRight(${words}, 15)) * ${num(FACTORS.mix)}`;

/**
 * Columns: series, ok and, for every grid edge crossed: `edges` (ms), `counts` C(edge), `places` (index of the first
 * reading at or after it), `spreads` (the edge lay between two readings that differ), `facts` (sum of the digests of the
 * readings before it). Where not ok they mean nothing.
 *
 * `dt` and `dv` are what a reading lies after and above the one before it, 0 for the first; modulo 2^64, which is exact
 * where values do not fall.
 *
 * As stored: readings that came twice and are not merged yet are ties, so their series are not ok; merging all costs a
 * third more.
 *
 * Profile, 5.4 M readings of 100,000 series on two threads: grouping them 0.33 s, sorting +0.05, the rest +0.06. Lambdas
 * of several arguments over copies of the arrays (the reading before beside each reading) cost 0.7 more.
 */
export function normalSeries(
  span: Pick<Span, 'from' | 'to'>,
  frontier: Receipt,
  which: string,
  merged: 'merged' | 'as stored' = 'as stored',
): string {
  const from = num(span.from);
  const to = num(span.to);
  return `
SELECT series, ok, arrayMap(n -> n - n % ${W}, n) AS edges,
  arrayMap((n, d, v, r) ->
    toUInt64(v - r) + intDiv(toUInt64(r), toUInt64(d)) * toUInt64(d - n % ${W})
      + intDiv((toUInt64(r) % toUInt64(d)) * toUInt64(d - n % ${W}), toUInt64(d)),
    n, d, v, r) AS counts,
  places,
  arrayMap((n, r) -> toUInt8(r != 0 AND n % ${W} != 0), n, r) AS spreads,
  arrayMap(f -> toUInt32(f), f) AS facts
FROM (
  SELECT series, ok, arrayMap((t, d) -> toUInt8(t % ${W} < d), ts, dt) AS crossing,
    arrayFilter((x, c) -> c, ts, crossing) AS n, arrayFilter((x, c) -> c, dt, crossing) AS d,
    arrayFilter((x, c) -> c, vs, crossing) AS v, arrayFilter((x, c) -> c, dv, crossing) AS r,
    arrayFilter((x, c) -> c, arrayEnumerate(ts), crossing) AS places,
    arrayFilter((x, c) -> c, fs, crossing) AS f
  FROM (
    SELECT series, ts, vs, arrayCumSum(arrayPushFront(arrayPopBack(arrayMap((t, v) -> ${readingDigest}, ts, vs)), 0)) AS fs,
      arrayDifference(ts) AS dt, arrayDifference(vs) AS dv,
      toUInt8(least = most AND least % 256 = 0 AND ts[1] != first_late AND ts[-1] != last_late
        AND ts[1] < ${from} AND ts[-1] >= ${to} AND arrayMin(arrayPopFront(dt)) > 0 AND arrayMax(dt) <= ${W}
        AND arraySort(vs) = vs) AS ok
    FROM (
      SELECT series, min(${kept}) AS least, max(${kept}) AS most,
        minIf(t, bitAnd(stamps, ${LATE})) AS first_late, maxIf(t, bitAnd(stamps, ${LATE})) AS last_late,
        groupArray(t) AS raw_t, groupArray(value) AS raw_v,
        arraySort(raw_t) AS ts, arraySort((v, t) -> t, raw_v, raw_t) AS vs
      FROM reading${merged === 'merged' ? ' FINAL' : ''}
      WHERE ${contextOf(span)} AND receipt <= ${num(frontier)} AND ${which}
      GROUP BY series
    )
  )
)`;
}

/** A window more on either side of the span. */
export const contextOf = (span: { from: Instant; to: Instant }): string =>
  `bucket >= ${dateTime(span.from - WINDOW_MS)} AND bucket < ${dateTime(span.to + WINDOW_MS)}`;

/**
 * Records of the normal series in `staged`, which holds the rows of `normalSeries`; written as one part, since merging
 * many smaller ones took more from the next span's closing than a second thread gave.
 */
export const recordsOfStaged = (staged: string, span: Span, frontier: Receipt): string => `
INSERT INTO record (series, w, part, seen, used, n, flags, state, facts, void, s)
SELECT series, toDateTime(intDiv(piece.1, 1000), 'UTC'), 0, ${W}, toUInt64(piece.2), piece.3, piece.4 * ${num(Flag.spread)}, 0, toUInt32(piece.5), 0, ${num(frontier)}
FROM ${staged}
ARRAY JOIN arrayZip(arrayPopBack(edges), arrayPopFront(arrayDifference(counts)), arrayPopFront(arrayDifference(places)),
  arrayMap((a, b) -> a OR b, arrayPopBack(spreads), arrayPopFront(spreads)), arrayPopFront(arrayDifference(facts))) AS piece
WHERE ok AND piece.1 >= ${num(span.from)} AND piece.1 < ${num(span.to)}
SETTINGS max_insert_threads = 1, min_insert_block_size_rows = 8000000,
  min_insert_block_size_bytes = 2000000000`;

/** As columns of `normalSeries`. */
export interface Crossings {
  edges: readonly Instant[];
  counts: readonly bigint[];
  places: readonly number[];
  spreads: readonly number[];
  facts: readonly number[];
}

/** As `recordsOfStaged` makes them. */
export function* recordsOf(
  series: number,
  span: Span,
  { edges, counts, places, spreads, facts }: Crossings,
): Generator<CounterRecord> {
  for (let i = 0; i + 1 < edges.length; i++) {
    const window = edges[i] ?? 0;
    if (window < span.from || window >= span.to) continue;
    const used = (counts[i + 1] ?? 0n) - (counts[i] ?? 0n);
    const n = (places[i + 1] ?? 0) - (places[i] ?? 0);
    const flags = spreads[i] === 1 || spreads[i + 1] === 1 ? Flag.spread : 0;
    const own = ((facts[i + 1] ?? 0) - (facts[i] ?? 0)) >>> 0;
    yield { series, window, part: 0, seen: WINDOW_MS, used, n, flags, state: State.known, facts: own, isVoid: false };
  }
}
