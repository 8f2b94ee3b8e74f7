/** What is still expected of counters that went silent. */
import { type SeriesReading, Stamp } from '../domain/fact.ts';
import { Flag, State } from '../domain/record.ts';
import { type Instant, WINDOW_MS, windowStart } from '../domain/window.ts';
import { type Amounts, amountOf, emptyAmount, mergeAmount } from './amount.ts';
import type { Asked, ReadDeps } from './read-counters.ts';

/** One that has no reading at or after the end of its question, and the last one before it. */
interface Silent extends Asked {
  end: Instant;
  last: Instant;
}

/** What lies beyond a series' last reading is pending, or unobserved once settled: never silently zero. */
export async function addTails(deps: ReadDeps, asked: readonly Asked[], out: Amounts): Promise<void> {
  const silent = await silentOf(deps, asked);
  const ended = await endedOf(deps, silent);
  for (const one of silent) {
    if (ended.has(one)) continue;
    const { holding, edges, end, last } = one;
    const settled = deps.book.decisionsFor(holding.series).settledBefore;
    for (let i = 0; i + 1 < edges.length; i++) {
      const from = Math.max(edges[i] ?? 0, holding.from, last);
      const to = Math.min(edges[i + 1] ?? 0, holding.to, end);
      if (from >= to) continue;
      const state = to <= settled ? State.unobserved : State.pending;
      // Silent for longer than its source settles after, a series has ended (case 19): nothing more is expected of it.
      if (state === State.unobserved && from > last && (edges[i] ?? 0) >= last) continue;
      const flags = state === State.unobserved ? Flag.unobserved : 0;
      mergeAmount(amountOf(out, holding, i), { ...emptyAmount(), state, flags });
    }
  }
}

async function silentOf(deps: ReadDeps, asked: readonly Asked[]): Promise<Silent[]> {
  const ends = asked.flatMap((one) => {
    const end = Math.min(one.edges.at(-1) ?? 0, deps.now);
    return end <= (one.edges[0] ?? 0) ? [] : [{ ...one, end }];
  });
  const at = ({ holding, end }: (typeof ends)[number]) => ({ series: holding.series.id, t: end });
  // A reading at or after the end says what was used up to it: only series without one have a tail.
  const next = await deps.usage.nearestReadings('after', ends.map(at), deps.frontier);
  const quiet = ends.filter((_, i) => next[i] === null);
  const before = await deps.usage.nearestReadings('before', quiet.map(at), deps.frontier);
  return quiet.flatMap((one, i) => {
    const last = before[i] ?? null;
    return last === null ? [] : [{ ...one, last }];
  });
}

/** Those whose last reading is an end marker: nothing is expected of them any more. Only asked for the long silent. */
async function endedOf(deps: ReadDeps, silent: readonly Silent[]): Promise<Set<Silent>> {
  const old = silent.filter(({ last }) => last < deps.now - WINDOW_MS);
  const spans = old.map(({ holding, last }) => {
    const from = windowStart(last);
    return { series: holding.series.id, from, to: from + WINDOW_MS };
  });
  const readings = await deps.usage.readingsWithin(spans, deps.frontier);
  const isEnded = (list: readonly SeriesReading[]): boolean => {
    const newest = list.reduce<SeriesReading | null>((a, b) => (a === null || b.t >= a.t ? b : a), null);
    return newest !== null && (newest.stamps & Stamp.end) !== 0;
  };
  return new Set(old.filter((_, i) => isEnded(readings[i] ?? [])));
}
