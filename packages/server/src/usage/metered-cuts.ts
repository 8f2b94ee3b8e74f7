/** What boundaries off the grid cut off windows of delta meters: one pass over a meter's events for all who asked. */
import type { Meter } from '../domain/meter.ts';
import { Flag, State } from '../domain/record.ts';
import { tallyCutLine } from '../domain/record-digest.ts';
import { Tally } from '../domain/tally.ts';
import { type Instant, WINDOW_MS, windowStart } from '../domain/window.ts';
import type { SubjectWindow } from '../store/usage-store.ts';
import { emptyAmount } from './amount.ts';
import type { EventCloser } from './close-events.ts';
import { cutIntervals } from './intervals.ts';
import type { Unit } from './metered-work.ts';

/** Windows of subjects in one question: bounds its text. */
const WINDOWS_A_CALL = 5_000;

/** A piece of one window. */
interface Cut {
  unit: Unit;
  from: Instant;
  to: Instant;
  /** Null: there was no event. */
  tally: Tally | null;
}

/** `units` of one meter, each clipped to its span and of a registered series. */
export async function addCuts(closer: EventCloser, meter: Meter, units: readonly Unit[]): Promise<void> {
  const cuts = units.flatMap(cutsOf).sort((a, b) => a.from - b.from);
  for (let i = 0; i < cuts.length; i += WINDOWS_A_CALL) {
    const part = cuts.slice(i, i + WINDOWS_A_CALL);
    await tallyUp(closer, meter, part);
    for (const cut of part) addTo(cut);
  }
}

function cutsOf(unit: Unit): Cut[] {
  const { from, to } = unit.holding;
  return cutIntervals([from, to], from, to).cuts.map((cut) => ({ unit, from: cut.from, to: cut.to, tally: null }));
}

const keyOf = (series: number, t: Instant): string => `${series}:${windowStart(t)}`;

async function tallyUp(closer: EventCloser, meter: Meter, cuts: readonly Cut[]): Promise<void> {
  const byWindow = new Map<string, Cut[]>();
  const within: SubjectWindow[] = [];
  for (const cut of cuts) {
    const { id, resource } = cut.unit.holding.series;
    const own = byWindow.get(keyOf(id, cut.from));
    if (own !== undefined) {
      own.push(cut);
      continue;
    }
    byWindow.set(keyOf(id, cut.from), [cut]);
    within.push({ subject: resource, window: windowStart(cut.from) });
  }
  const [from, to] = [within[0]?.window ?? 0, (within.at(-1)?.window ?? 0) + WINDOW_MS];
  await closer.measure(
    meter,
    from,
    to,
    (series, event, program) => {
      for (const cut of byWindow.get(keyOf(series.id, event.t)) ?? []) {
        if (event.t < cut.from || event.t >= cut.to) continue;
        cut.tally ??= new Tally();
        cut.tally.add(program, event);
      }
    },
    { within },
  );
}

function addTo({ unit, from, to, tally }: Cut): void {
  if (tally === null) return;
  const [flags, state] = tally.invalid > 0 ? [Flag.setAside, State.quarantined] : [0, State.known];
  const content = { ...tally.amounts(), flags, state };
  unit.add({ ...emptyAmount(), ...content, known: true });
  unit.note(tallyCutLine(from, to, content));
}
