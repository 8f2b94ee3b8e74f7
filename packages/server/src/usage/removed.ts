/**
 * What facts of the records' time, but not of S, may have taken out before any record showed it. A run that goes from
 * below S to above S in one step sees what came before S and was taken back after it as never having been; then no record
 * says that there is more to know.
 */
import type { Receipt } from '../domain/fact.ts';
import type { Meter } from '../domain/meter.ts';
import type { Series } from '../domain/series.ts';
import type { ControlStore, Progress } from '../store/control-store.ts';

const KINDS = ['void', 'decision', 'set', 'meter'];
const PAGE = 10_000;

export class Removed {
  private readonly series = new Set<number>();
  private readonly eventTypes = new Set<string>();
  private readonly meters = new Set<string>();
  private anyEvent = false;

  /** Facts above `frontier` that the records account for. */
  static async between(control: ControlStore, frontier: Receipt, rows: readonly Progress[]): Promise<Removed> {
    const removed = new Removed();
    const upTo = rows.reduce((s, row) => Math.max(s, row.frontier), 0);
    for (let after = frontier; after < upTo; ) {
      const page = await control.facts(after, PAGE, { kinds: KINDS, upTo });
      for (const { body } of page) {
        if (body.kind === 'void' || body.kind === 'decision') {
          if (body.series !== null) removed.series.add(body.series);
          if (body.kind === 'void' && body.eventType !== null) removed.eventTypes.add(body.eventType);
        }
        if (body.kind === 'set' && body.state === 'undone') removed.anyEvent = true;
        if (body.kind === 'meter') removed.meters.add(body.meter.key);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      after = last.receipt;
    }
    return removed;
  }

  hasSeries(series: Series): boolean {
    return this.series.has(series.id) || this.meters.has(series.meter);
  }

  /** Of an event meter even a series may have gone: only series that a record was written for are registered. */
  hasEvents(meter: Meter): boolean {
    return this.anyEvent || this.eventTypes.has(meter.eventType) || this.meters.has(meter.key);
  }
}
