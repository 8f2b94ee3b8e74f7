/** Writes the facts that usage of a span is computed from, context included, for `tollgate replay` to read. */
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import { isCounter } from '../domain/meter.ts';
import type { Instant } from '../domain/window.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { CounterDeps } from './counter-context.ts';
import { followSeries, groupBy } from './counters.ts';
import { ExportView, heldReadings } from './export-view.ts';
import { writeLine } from './fact-file.ts';
import type { Holding } from './selection.ts';

const SERIES_A_STEP = 200;
const DAY_MS = 86_400_000;
/** A level holds until it changes: its last change may lie this far back and still count. */
const LEVEL_CONTEXT_MS = 400 * DAY_MS;

export interface ExportDeps extends CounterDeps {
  control: ControlStore;
}

/**
 * Lines of facts for the holdings' series over [from, to), window edges. Keys are left out: they are nobody else's
 * business. With `accounts`, only what those may see, and replay gives the records of those alone.
 */
export async function* exportFacts(
  deps: ExportDeps,
  holdings: readonly Holding[],
  from: Instant,
  to: Instant,
  accounts: ReadonlySet<string> | null,
): AsyncIterable<string> {
  const view = accounts === null ? null : new ExportView(deps.book, accounts, { from, to });
  const header = { kind: 'header', format: 1, from, to, frontier: deps.frontier } as const;
  yield writeLine(accounts === null ? header : { ...header, accounts: [...accounts] });
  yield* exportReadings(deps, holdings, from, to, view);
  yield* exportEvents(deps, from, to, view);
  for (const declaration of await deps.usage.declarations(deps.frontier)) {
    const line = view === null ? declaration : view.declaration(declaration);
    if (line !== null) yield writeLine({ kind: 'declaration', ...line });
  }
  for await (const fact of controlFacts(deps.control, deps.frontier)) {
    const line = fact.body.kind === 'key' ? null : view === null ? fact : view.control(fact);
    if (line !== null) yield writeLine({ kind: 'control', ...line });
  }
}

async function* exportReadings(
  deps: ExportDeps,
  holdings: readonly Holding[],
  from: Instant,
  to: Instant,
  view: ExportView | null,
): AsyncIterable<string> {
  const bySeries = groupBy(holdings, (h) => String(h.series.id));
  const counters = [...bySeries.values()].filter(([h]) => {
    const meter = h === undefined ? undefined : deps.book.meter(h.series.meter);
    return meter !== undefined && isCounter(meter);
  });
  if (view !== null) {
    for (const own of counters) {
      const [first] = own;
      if (first === undefined) continue;
      yield writeLine({ kind: 'series', ...view.seriesLine(first.series) });
      for (const reading of await heldReadings(deps, own)) yield writeLine({ kind: 'reading', ...reading });
    }
    return;
  }
  for (let i = 0; i < counters.length; i += SERIES_A_STEP) {
    const work = counters.slice(i, i + SERIES_A_STEP).flatMap(([h]) => (h ? [{ series: h.series, from, to }] : []));
    for (const { series, readings } of await followSeries(deps, work)) {
      yield writeLine({ kind: 'series', ...series });
      for (const reading of readings) yield writeLine({ kind: 'reading', ...reading });
    }
  }
}

async function* exportEvents(
  deps: ExportDeps,
  from: Instant,
  to: Instant,
  view: ExportView | null,
): AsyncIterable<string> {
  const { book, frontier } = deps;
  const byType = groupBy(
    [...book.meters()].filter((meter) => !isCounter(meter) && meter.eventType !== ''),
    (meter) => meter.eventType,
  );
  for (const [type, meters] of byType) {
    const gauges = meters.filter((meter) => meter.kind === 'gauge');
    const start = gauges.length > 0 ? Math.max(0, from - LEVEL_CONTEXT_MS) : from;
    // The whole file tells what was voided and why; a tenant's holds what counts.
    const [voided, undoneSets] = view === null ? [[], []] : [book.voidedReceipts(), book.undoneSets()];
    const events = deps.usage.events({ types: [type], from: start, to, frontier, voided, undoneSets });
    for await (const event of view === null ? events : view.events(events, gauges))
      yield writeLine({ kind: 'event', ...event });
  }
}

async function* controlFacts(control: ControlStore, frontier: Receipt): AsyncIterable<ControlFact> {
  for (let after = 0; ; ) {
    const page = await control.facts(after, 10_000, { upTo: frontier });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.receipt;
  }
}
