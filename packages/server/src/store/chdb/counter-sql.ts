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
 * Tried first: `lagInFrame` over all rows. It sorts them all; readings mostly come out of FINAL sorted, so that only the
 * arrays that are not have to be.
 */
import { type Receipt, Stamp } from '../../domain/fact.ts';
import { Flag } from '../../domain/record.ts';
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import type { Span } from '../usage-store.ts';
import { dateTime, num } from './sql.ts';

const W = num(WINDOW_MS);
const LATE = num(Stamp.late);
/** Epoch (52 bits) and all other stamps as one number: two aggregates over all readings instead of five. */
const kept = `epoch * 256 + bitAnd(stamps, ${num(255 - Stamp.late)})`;

/**
 * Columns: series, ok and, where ok, for every grid edge crossed: `edges` (ms), `counts` C(edge), `places` (index of the
 * first reading at or after it), `spreads` (the edge lay between two readings that differ).
 */
export function normalSeries(span: Pick<Span, 'from' | 'to'>, frontier: Receipt, which: string): string {
  const from = num(span.from);
  const to = num(span.to);
  return `
SELECT series, ok,
  arrayMap(n -> n - n % ${W}, if(ok, edge_n, [])) AS edges,
  arrayMap((p, n, pv, nv, b) ->
    pv + intDiv(toUInt64(nv - pv), toUInt64(n - p)) * toUInt64(b - p)
       + intDiv((toUInt64(nv - pv) % toUInt64(n - p)) * toUInt64(b - p), toUInt64(n - p)),
    if(ok, edge_p, []), if(ok, edge_n, []), if(ok, edge_pv, []), if(ok, edge_nv, []), edges) AS counts,
  if(ok, edge_i, []) AS places,
  arrayMap((n, pv, nv) -> toUInt8(nv > pv AND n % ${W} != 0), if(ok, edge_n, []), if(ok, edge_pv, []), if(ok, edge_nv, [])) AS spreads
FROM (
  SELECT series, ok, arrayMap((p, n) -> toUInt8(n - n % ${W} > p), p, n) AS crossing,
    arrayFilter((x, c) -> c, n, crossing) AS edge_n, arrayFilter((x, c) -> c, p, crossing) AS edge_p,
    arrayFilter((x, c) -> c, nv, crossing) AS edge_nv, arrayFilter((x, c) -> c, pv, crossing) AS edge_pv,
    arrayFilter((x, c) -> c, arrayEnumerate(n), crossing) AS edge_i
  FROM (
    SELECT series, arrayPopBack(ts) AS p, arrayPopFront(ts) AS n, arrayPopBack(vs) AS pv, arrayPopFront(vs) AS nv,
      toUInt8(least = most AND least % 256 = 0 AND moments[1] % 2 = 0 AND moments[-1] % 2 = 0 AND ts[1] < ${from} AND ts[-1] >= ${to}
        AND NOT arrayExists((p, n, pv, nv) -> n <= p OR n - p > ${W} OR nv < pv, p, n, pv, nv)) AS ok
    FROM (
      SELECT series, min(${kept}) AS least, max(${kept}) AS most, groupArray(t * 2 + bitAnd(stamps, ${LATE})) AS raw, groupArray(value) AS raw_v,
        NOT arrayExists((a, b) -> b <= a, arrayPopBack(raw), arrayPopFront(raw)) AS sorted,
        if(sorted, raw, arraySort(raw)) AS moments, if(sorted, raw_v, arraySort((v, m) -> m, raw_v, raw)) AS vs,
        arrayMap(m -> intDiv(m, 2), moments) AS ts
      FROM reading FINAL
      WHERE ${contextOf(span)} AND receipt <= ${num(frontier)} AND ${which}
      GROUP BY series
    )
  )
)`;
}

/** A window more on either side of the span. */
export const contextOf = (span: { from: Instant; to: Instant }): string =>
  `bucket >= ${dateTime(span.from - WINDOW_MS)} AND bucket < ${dateTime(span.to + WINDOW_MS)}`;

/** Records of the normal series in `staged`, which holds the rows of `normalSeries`. */
export const recordsOfStaged = (staged: string, span: Span, frontier: Receipt): string => `
INSERT INTO record (series, w, part, seen, used, n, flags, state, void, s)
SELECT series, toDateTime(intDiv(piece.1, 1000), 'UTC'), 0, ${W}, toUInt64(piece.2), piece.3, piece.4 * ${num(Flag.spread)}, 0, 0, ${num(frontier)}
FROM ${staged}
ARRAY JOIN arrayZip(arrayPopBack(edges), arrayPopFront(arrayDifference(counts)), arrayPopFront(arrayDifference(places)),
  arrayMap((a, b) -> a OR b, arrayPopBack(spreads), arrayPopFront(spreads))) AS piece
WHERE ok AND piece.1 >= ${num(span.from)} AND piece.1 < ${num(span.to)}
SETTINGS max_insert_threads = 2`;
