/** Which windows have records that account for every fact up to a frontier: what a reading may take from records. */
import type { Receipt } from '../domain/fact.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { Progress } from '../store/control-store.ts';
import type { ReadDeps } from './read-counters.ts';

export type Recorded = Pick<ReadDeps, 'closedTo' | 'gaps' | 'eventsClosedTo' | 'eventGaps' | 'levelsTrustedTo'>;

/** Nothing is taken from records. */
export const unrecorded: Recorded = {
  closedTo: () => 0,
  gaps: () => [],
  eventsClosedTo: 0,
  eventGaps: [],
  levelsTrustedTo: 0,
};

/** Of groups that have not come as far as `frontier` nothing is. */
export function recordedAt(rows: readonly Progress[], frontier: Receipt = 0): Recorded {
  const closed = new Map<string, { closedTo: Instant; gaps: Interval[] }>();
  for (const { stream, group } of rows) {
    const own = rows.filter((p) => p.stream === stream && p.group === group);
    if (own.some((p) => p.frontier < frontier)) continue;
    const closedTo = own.find((p) => p.to === null)?.closedTo ?? 0;
    const gaps = own.flatMap((p) => (p.to !== null && p.closedTo < p.to ? [{ from: p.closedTo, to: p.to }] : []));
    closed.set(`${stream}:${group}`, { closedTo, gaps });
  }
  const counters = Array.from({ length: 1 + Math.max(0, ...rows.map((p) => p.group)) }, (_, group) =>
    closed.get(`counter:${group}`),
  );
  const events = closed.get('event:0') ?? { closedTo: 0, gaps: [] };
  return {
    closedTo: (group) => counters[group]?.closedTo ?? 0,
    gaps: (group) => counters[group]?.gaps ?? [],
    eventsClosedTo: events.closedTo,
    eventGaps: events.gaps,
    levelsTrustedTo: Math.min(...events.gaps.map((g) => g.from), events.closedTo),
  };
}

/** Every window before this one has its record, or will never have one. */
export const allClosedTo = (rows: readonly Progress[]): Instant =>
  rows.length === 0 ? 0 : Math.min(...rows.map((p) => (p.to === null || p.closedTo < p.to ? p.closedTo : Infinity)));
