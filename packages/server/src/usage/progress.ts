/**
 * What the job has closed, as spans. A group's stream normally has one live span. After an outage the live span is split
 * off near the present, so that new windows are closed in time while the backlog is worked off behind them.
 */
import type { Receipt } from '../domain/fact.ts';
import { type Instant, WINDOW_MS } from '../domain/window.ts';
import type { ControlStore, Lease, Progress } from '../store/control-store.ts';

/** The live span never starts with more than this to close before new windows get their turn. */
export const LIVE_LAG_MS = 4 * WINDOW_MS;

export interface Backlog {
  stream: Progress['stream'];
  group: number;
  from: Instant;
  to: Instant;
  windows: number;
}

/** Live span first, then backlog, oldest first. */
export async function spansOf(control: ControlStore, stream: Progress['stream'], group: number): Promise<Progress[]> {
  const rows = (await control.progress()).filter((p) => p.stream === stream && p.group === group);
  return rows.sort((a, b) => (a.to === null ? -1 : b.to === null ? 1 : a.from - b.from));
}

/** Creates the first span; splits a live span that lags; merges neighbours that have caught up. */
export async function arrangeSpans(
  control: ControlStore,
  stream: Progress['stream'],
  group: number,
  closable: Instant,
  begin: () => Promise<{ origin: Instant; frontier: Receipt }>,
  lease: Lease,
  now: Instant,
): Promise<Progress[]> {
  const rows = await spansOf(control, stream, group);
  const live = rows[0];
  if (live === undefined) {
    // Nothing lies before the origin as of this frontier; what comes later and reaches further back is late, like any other.
    const { origin, frontier } = await begin();
    return [
      await control.createProgress({
        stream,
        group,
        from: 0,
        closedTo: Math.min(origin, closable),
        to: null,
        frontier,
      }),
    ];
  }
  const merged = await mergeCaughtUp(control, rows, lease, now);
  if (merged) return spansOf(control, stream, group);
  // Event windows follow each other: a level is carried from one to the next, and summing them is quick.
  if (stream === 'counter' && closable - live.closedTo > 2 * LIVE_LAG_MS) {
    if (await control.splitProgress(live, closable - LIVE_LAG_MS, lease, now)) return spansOf(control, stream, group);
  }
  return rows;
}

async function mergeCaughtUp(
  control: ControlStore,
  rows: readonly Progress[],
  lease: Lease,
  now: Instant,
): Promise<boolean> {
  const byFrom = [...rows].sort((a, b) => a.from - b.from);
  for (let i = 0; i + 1 < byFrom.length; i++) {
    const [first, second] = [byFrom[i], byFrom[i + 1]];
    if (first === undefined || second === undefined) continue;
    if (first.to !== null && first.closedTo === first.to && first.frontier === second.frontier) {
      return control.mergeProgress(first, second, lease, now);
    }
  }
  return false;
}

export function backlogOf(rows: readonly Progress[], closable: Instant): Backlog[] {
  return rows
    .map(({ stream, group, closedTo, to }) => {
      const end = Math.min(to ?? closable, closable);
      return { stream, group, from: closedTo, to: end, windows: Math.max(0, Math.round((end - closedTo) / WINDOW_MS)) };
    })
    .filter((b) => b.windows > 0);
}
