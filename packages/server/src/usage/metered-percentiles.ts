/** Percentile meters as they are billed: ranked for each account and group, from readings alone. */
import { usageOf } from '../domain/delta.ts';
import { SCALE } from '../domain/quantity.ts';
import { counterCutLine } from '../domain/record-digest.ts';
import { type Amount, emptyAmount } from './amount.ts';
import { followSeries } from './counters.ts';
import type { MeteredAsk } from './metered.ts';
import { holdingsOf } from './metered-counters.ts';
import type { Share, Unit } from './metered-work.ts';
import { percentileAmounts, sampleEdges } from './percentiles.ts';
import type { ReadDeps } from './read-counters.ts';
import type { Holding } from './selection.ts';

/** `shares` of percentile meters, each with its ask. Asks that cut their usage alike are ranked together. */
export async function readPercentiles(
  deps: ReadDeps,
  shares: readonly { ask: MeteredAsk; share: Share }[],
): Promise<void> {
  const alike = new Map<string, { ask: MeteredAsk; share: Share }[]>();
  for (const item of shares) {
    const { where, by, from, to } = item.ask;
    const key = JSON.stringify([item.share.meter.key, from, to, where, by]);
    const list = alike.get(key);
    if (list === undefined) alike.set(key, [item]);
    else list.push(item);
  }
  for (const list of alike.values()) {
    const [first] = list;
    if (first === undefined) continue;
    const units = [...new Set(list.flatMap(({ share }) => share.units))];
    const selection = { holdings: () => holdingsOf(units) };
    const { meter, group } = first.share;
    const names = ['account', ...first.ask.by];
    const amounts = await percentileAmounts(deps, selection, meter, {}, null, group.edges, names);
    const ranked = new Map<Holding, Amount>();
    for (const [holding, byInterval] of amounts) ranked.set(holding, byInterval.get(0) ?? emptyAmount());
    for (const { share } of list) share.ranked = ranked;
    await addSamples(deps, units);
  }
}

/** A unit's own figure is what its series counted; its digest is of the samples, which no record shows. */
async function addSamples(deps: ReadDeps, all: readonly Unit[]): Promise<void> {
  const units = all.filter((unit) => unit.amount === null);
  const work = units.map(({ holding: { series, from, to } }) => ({ series, from, to: Math.min(to, deps.now) }));
  const courses = await followSeries(
    deps,
    work.filter((w) => w.from < w.to),
  );
  const sampled = units.filter((_, i) => (work[i]?.from ?? 0) < (work[i]?.to ?? 0));
  for (const [i, unit] of sampled.entries()) {
    const course = courses[i];
    if (course === undefined) continue;
    for (const piece of usageOf(
      course.course,
      sampleEdges(course.from, course.to),
      deps.book.decisionsFor(course.series),
    )) {
      const { used, n, flags, state } = piece;
      unit.add({ ...emptyAmount(), sum: used * SCALE, count: BigInt(n), flags, state, known: true });
      unit.note(counterCutLine(piece.from, piece.to, piece));
    }
  }
}
