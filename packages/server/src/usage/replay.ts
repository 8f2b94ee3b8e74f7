/**
 * Usage records from a file of facts: no server, no state, the same pure path as the job's. It is how anyone checks
 * our figures. The facts go into the model stores, which the engines are held equal to.
 */
import { Book } from '../domain/book.ts';
import type { ControlFact } from '../domain/control-fact.ts';
import { isCounter } from '../domain/meter.ts';
import { formatQuantity } from '../domain/quantity.ts';
import { type FlagName, flagNames, type StateName, stateName } from '../domain/record.ts';
import type { Series } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import { openControlModel } from '../store/model/control-model.ts';
import { UsageModel } from '../store/model/usage-model.ts';
import { SeriesRegistry } from '../store/series-registry.ts';
import { EventCloser } from './close-events.ts';
import { Completeness } from './completeness.ts';
import { pureRecords } from './counters.ts';
import { UsageError } from './errors.ts';
import { type FactHeader, readLine } from './fact-file.ts';

export interface ReplayedRecord {
  meter: string;
  account: string | null;
  resource: string;
  source: string;
  dimensions: Readonly<Record<string, string>>;
  window: Instant;
  part: number;
  quantity: string;
  unit: string;
  state: StateName;
  flags: FlagName[];
}

export async function replay(lines: AsyncIterable<string>): Promise<ReplayedRecord[]> {
  const { header, usage, registry, book } = await load(lines);
  const { from, to, frontier } = header;
  const deps = { usage, book, frontier };
  const counters = [...registry.all()].filter((s) => {
    const meter = book.meter(s.meter);
    return meter !== undefined && isCounter(meter) && s.witnessOf === 0;
  });
  const out: ReplayedRecord[] = [];
  for (const r of await pureRecords(
    deps,
    counters.map((series) => ({ series, from, to })),
  )) {
    const series = registry.byId(r.series);
    if (series === undefined) continue;
    out.push({
      ...rowOf(book, series, r.window, r.part),
      quantity: String(r.used),
      state: stateName(r.state),
      flags: flagNames(r.flags),
    });
  }
  const completeness = new Completeness(book, await usage.declarations(frontier));
  // No record is built on: a level is followed from its first change in the file.
  const closer = new EventCloser({ ...deps, registry, completeness, closedTo: 0 });
  for (const { series, record: r } of await closer.compute(from, to)) {
    const quantity = formatQuantity(r.sum);
    out.push({
      ...rowOf(book, series, r.window, r.part),
      quantity,
      state: stateName(r.state),
      flags: flagNames(r.flags),
    });
  }
  const only = header.accounts === undefined ? null : new Set(header.accounts);
  const shown = only === null ? out : out.filter((r) => r.account !== null && only.has(r.account));
  return shown.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

const keyOf = (r: ReplayedRecord): string =>
  JSON.stringify([r.meter, r.resource, r.source, r.dimensions, r.window, r.part]);

function rowOf(book: Book, series: Series, window: Instant, part: number) {
  const { meter, resource, source, dimensions, tenant } = series;
  const account = book.ownerAt(tenant, resource, window + part);
  return { meter, account, resource, source, dimensions, window, part, unit: book.meter(meter)?.unit ?? '' };
}

async function load(
  lines: AsyncIterable<string>,
): Promise<{ header: FactHeader; usage: UsageModel; registry: SeriesRegistry; book: Book }> {
  const usage = new UsageModel();
  const series: Series[] = [];
  const facts: ControlFact[] = [];
  const writer = usage.writer();
  let header: FactHeader | null = null;
  let number = 0;
  for await (const text of lines) {
    number++;
    if (text.trim() === '') continue;
    const line = readLine(text, number);
    if (line.kind === 'header') header = line;
    else if (line.kind === 'series') series.push(line);
    else if (line.kind === 'control') facts.push(line);
    else if (line.kind === 'reading') writer.reading(line);
    else if (line.kind === 'declaration') writer.declaration(line);
    else writer.event(line, { idHi: 0, idLo: number, contentHi: 0, contentLo: 0 });
  }
  if (header === null) throw new UsageError('replay.line', 'the file has no header line');
  await writer.commit();
  facts.sort((a, b) => a.receipt - b.receipt);
  // The file's ids must stay as they are: corrections name series by them.
  const control = { ...openControlModel(), series: async () => series };
  return { header, usage, registry: await SeriesRegistry.open(control), book: Book.at(facts, header.frontier) };
}
