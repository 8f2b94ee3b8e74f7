/** The quantity of each event, for prices that are due for each: delta meters only. */
import { type Series, seriesKeyText } from '../domain/series.ts';
import type { EventCloser } from './close-events.ts';
import type { Group, Unit } from './metered-work.ts';

/** Series met in events for the first time have no id yet. */
const keyOf = (series: Series): number | string => (series.id === 0 ? seriesKeyText(series) : series.id);

/** Subjects in one question: bounds its text. */
const SUBJECTS_A_CALL = 5_000;

/** Passes over the events of the units' subjects fill all units of the groups; they are groups of one meter. */
export async function addEvents(closer: EventCloser, groups: readonly Group[]): Promise<void> {
  const [first] = groups;
  if (first === undefined || first.meter.kind !== 'delta' || first.meter.aggregation === 'unique') return;
  const units = new Map<number | string, Unit[]>();
  for (const group of groups) {
    for (const unit of [...group.units.values(), ...group.fresh]) {
      unit.events = [];
      const key = keyOf(unit.holding.series);
      const list = units.get(key);
      if (list === undefined) units.set(key, [unit]);
      else list.push(unit);
    }
  }
  const from = groups.reduce((t, g) => Math.min(t, g.from), first.from);
  const to = groups.reduce((t, g) => Math.max(t, g.to), first.to);
  const each: Parameters<EventCloser['measure']>[3] = (series, event, program) => {
    for (const unit of units.get(keyOf(series)) ?? []) {
      const { t, receipt } = event;
      if (t < unit.holding.from || t >= unit.holding.to) continue;
      const quantity = program.valueOf(event);
      // One that cannot be read keeps its window quarantined: it is not billed before that is settled.
      if (typeof quantity === 'bigint') unit.events?.push({ t, receipt, quantity });
    }
  };
  const subjects = [...new Set([...units.values()].flat().map((unit) => unit.holding.series.resource))];
  for (let i = 0; i < subjects.length; i += SUBJECTS_A_CALL)
    await closer.measure(first.meter, from, to, each, { subjects: subjects.slice(i, i + SUBJECTS_A_CALL) });
}
