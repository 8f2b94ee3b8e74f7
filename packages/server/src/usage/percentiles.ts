/** Percentile meters: 5-minute samples straight from the readings, never rolled up from windows. */
import { type Course, type Decisions, usageOf } from '../domain/delta.ts';
import type { Meter } from '../domain/meter.ts';
import { percentile, SAMPLE_MS, Samples } from '../domain/percentile.ts';
import { State } from '../domain/record.ts';
import type { Instant } from '../domain/window.ts';
import { type Amounts, amountOf, type emptyAmount } from './amount.ts';
import { followSeries, groupBy as groupItems } from './counters.ts';
import type { ReadDeps } from './read-counters.ts';
import { type Filter, groupOfHolding, type Holding, type Selection, type Viewer } from './selection.ts';

/**
 * One figure per group and interval, in bits per second: percentiles do not add, so the group must be known before
 * ranking. It is booked on the group's first holding.
 */
export async function percentileAmounts(
  deps: ReadDeps,
  selection: Pick<Selection, 'holdings'>,
  meter: Meter,
  filter: Filter,
  viewer: Viewer,
  edges: readonly Instant[],
  groupBy: readonly string[],
): Promise<Amounts> {
  const out: Amounts = new Map();
  const [from, to] = [edges[0] ?? 0, edges.at(-1) ?? 0];
  const holdings = selection.holdings({ ...filter, meters: meter.of }, viewer, from, to);
  const groups = groupItems(holdings, (h) => JSON.stringify(groupOfHolding(deps.book, h, groupBy)));
  for (const [, group] of groups) {
    const [first] = group;
    if (first === undefined) continue;
    for (let i = 0; i + 1 < edges.length; i++) {
      const end = Math.min(edges[i + 1] ?? 0, deps.now);
      await addPercentile(deps, meter, group, edges[i] ?? 0, end, amountOf(out, first, i));
    }
  }
  return out;
}

async function addPercentile(
  deps: ReadDeps,
  meter: Meter,
  group: readonly Holding[],
  from: Instant,
  to: Instant,
  into: ReturnType<typeof emptyAmount>,
): Promise<void> {
  if (to <= from) return;
  const directions = new Map(meter.of.map((key) => [key, new Samples(from, to)]));
  let state: number = State.known;
  const held = group.filter((h) => h.from < to && h.to > from);
  const courses = await followSeries(
    deps,
    held.map(({ series }) => ({ series, from, to })),
  );
  for (const [i, holding] of held.entries()) {
    const samples = directions.get(holding.series.meter);
    const course = courses[i]?.course;
    if (samples === undefined || course === undefined) continue;
    const boundaries = sampleEdges(Math.max(from, holding.from), Math.min(to, holding.to));
    const decisions = deps.book.decisionsFor(holding.series);
    for (const piece of usageOf(course, boundaries, decisions)) {
      state = Math.max(state, piece.state);
      if (piece.seen < SAMPLE_MS) samples.unobserved(piece.from);
      else samples.add(piece.from, piece.used, piece.flags);
    }
    state = Math.max(state, markSilence(samples, course, boundaries, decisions));
  }
  const ranked = percentile(meter.rank, meter.direction, [...directions.values()]);
  into.known = ranked.bitsPerSecond !== null;
  into.sum = ranked.bitsPerSecond ?? 0n;
  into.count = BigInt(ranked.observed);
  into.flags = ranked.flags;
  into.state = state;
}

/**
 * A port that went silent has no pieces any more. Its intervals are left out as unobserved: without it the sum of its
 * direction is no sample. Nothing is expected of one that ended, or before it was first seen. Answers the silence's state.
 */
function markSilence(samples: Samples, course: Course, boundaries: readonly Instant[], decisions: Decisions): number {
  const { last, ended } = course;
  let state: number = State.known;
  if (last === null || ended !== null) return state;
  for (let i = 0; i + 1 < boundaries.length; i++) {
    const [from = 0, to = 0] = [boundaries[i], boundaries[i + 1]];
    if (to <= last) continue;
    samples.unobserved(from);
    state = Math.max(state, isGivenUp(decisions, Math.max(from, last), to) ? State.unobserved : State.pending);
  }
  return state;
}

const isGivenUp = ({ settledBefore, unobserved }: Decisions, from: Instant, to: Instant): boolean =>
  to <= settledBefore || unobserved.some((i) => i.from <= from && i.to >= to);

/** Whole sample intervals of [from, to). */
export function sampleEdges(from: Instant, to: Instant): Instant[] {
  const edges: Instant[] = [];
  for (let t = Math.ceil(from / SAMPLE_MS) * SAMPLE_MS; t <= to; t += SAMPLE_MS) edges.push(t);
  return edges;
}
