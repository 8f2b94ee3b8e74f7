/** Writes the facts that usage of a span is computed from, context included, for `tollgate replay` to read. */
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import { isCounter } from '../domain/meter.ts';
import { type Instant, windowCeil, windowStart } from '../domain/window.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { CounterDeps } from './counters.ts';
import { followSeries } from './counters.ts';
import { writeLine } from './fact-file.ts';
import type { Holding } from './selection.ts';

const SERIES_A_STEP = 200;
const DAY_MS = 86_400_000;
/** A level holds until it changes: its last change may lie this far back and still count. */
const LEVEL_CONTEXT_MS = 400 * DAY_MS;

export interface ExportDeps extends CounterDeps {
  control: ControlStore;
}

/** Lines of facts for the holdings' series over [from, to). Keys are left out: they are nobody else's business. */
export async function* exportFacts(
  deps: ExportDeps,
  holdings: readonly Holding[],
  from: Instant,
  to: Instant,
  tenants: ReadonlySet<string> | null,
): AsyncIterable<string> {
  const [first, last] = [windowStart(from), windowCeil(to)];
  yield writeLine({ kind: 'header', format: 1, from: first, to: last, frontier: deps.frontier });
  for await (const fact of controlFacts(deps.control, deps.frontier)) {
    if (fact.body.kind === 'key') continue;
    if (tenants === null || fact.tenant === '' || tenants.has(fact.tenant))
      yield writeLine({ kind: 'control', ...fact });
  }
  for (const declaration of await deps.usage.declarations(deps.frontier)) {
    if (tenants === null || tenants.has(declaration.tenant)) yield writeLine({ kind: 'declaration', ...declaration });
  }
  const counters = unique(holdings).filter((s) => {
    const meter = deps.book.meter(s.meter);
    return meter !== undefined && isCounter(meter);
  });
  for (let i = 0; i < counters.length; i += SERIES_A_STEP) {
    const work = counters.slice(i, i + SERIES_A_STEP).map((series) => ({ series, from: first, to: last }));
    for (const { series, readings } of await followSeries(deps, work)) {
      yield writeLine({ kind: 'series', ...series });
      for (const reading of readings) yield writeLine({ kind: 'reading', ...reading });
    }
  }
  yield* exportEvents(deps, first, last, tenants);
}

async function* exportEvents(
  deps: ExportDeps,
  from: Instant,
  to: Instant,
  tenants: ReadonlySet<string> | null,
): AsyncIterable<string> {
  const types = new Map<string, Instant>();
  for (const meter of deps.book.meters()) {
    if (isCounter(meter) || meter.eventType === '') continue;
    const start = meter.kind === 'gauge' ? Math.max(0, from - LEVEL_CONTEXT_MS) : from;
    types.set(meter.eventType, Math.min(start, types.get(meter.eventType) ?? start));
  }
  for (const [type, start] of types) {
    const query = { types: [type], from: start, to, frontier: deps.frontier, voided: [], undoneSets: [] };
    for await (const event of deps.usage.events(query)) {
      if (tenants === null || tenants.has(event.tenant)) yield writeLine({ kind: 'event', ...event });
    }
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

const unique = (holdings: readonly Holding[]) => [...new Map(holdings.map((h) => [h.series.id, h.series])).values()];
