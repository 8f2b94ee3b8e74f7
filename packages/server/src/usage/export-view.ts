/**
 * What of the facts a tenant may take along (law 11), and still compute its records from: its accounts, what it held
 * while it held it, the sources that report it, the definitions of meters. Names of others are taken out of facts that
 * also tell of the tenant: an owner who is somebody else becomes nobody, a foreign namespace `other-N`.
 *
 * The edges of what it held are measured from readings beyond them, as everywhere: the file holds the fewest readings on
 * either side that give the same figures, nearly always one.
 */
import type { Book } from '../domain/book.ts';
import type { ControlBody, ControlFact } from '../domain/control-fact.ts';
import { followCounter, usageOf } from '../domain/delta.ts';
import type { Declaration, SeriesReading, StoredEvent } from '../domain/fact.ts';
import type { Meter } from '../domain/meter.ts';
import { type Series, seriesKeyText } from '../domain/series.ts';
import { compileMeter, type MeterProgram } from '../domain/tally.ts';
import { type Instant, type Interval, WINDOW_MS, windowCeil } from '../domain/window.ts';
import type { CounterDeps } from './counter-context.ts';
import { followSeries } from './counters.ts';
import type { Holding } from './selection.ts';

export class ExportView {
  readonly accounts: ReadonlySet<string>;
  private readonly book: Book;
  private readonly span: Interval;
  private readonly masks = new Map<string, string>();
  private readonly series = new Set<number>();
  private readonly sources = new Set<string>();
  /** The last change of a level before the tenant held it, by level. */
  private readonly levelsBefore = new Map<string, StoredEvent>();

  constructor(book: Book, accounts: ReadonlySet<string>, span: Interval) {
    this.book = book;
    this.accounts = accounts;
    this.span = span;
  }

  /** The series as the file names it, remembered: decisions about it may be told. */
  seriesLine(series: Series): Series {
    this.series.add(series.id);
    this.sees(series.tenant, series.source);
    return { ...series, tenant: this.tenantOf(series.tenant) };
  }

  /** The events the tenant's figures need, in order: its own, and of a level the last change before it became its own. */
  async *events(events: AsyncIterable<StoredEvent>, gauges: readonly Meter[]): AsyncIterable<StoredEvent> {
    const programs = gauges.map(compileMeter);
    for await (const event of events) {
      const owner = this.book.ownerAt(event.tenant, event.subject, event.t);
      const own = owner !== null && this.accounts.has(owner);
      for (const key of levelKeys(programs, event)) {
        yield* this.levelBefore(key, event.t);
        if (!own && this.holds(event.tenant, event.subject)) this.levelsBefore.set(key, event);
      }
      if (own) yield this.eventLine(event);
    }
    for (const key of [...this.levelsBefore.keys()]) yield* this.levelBefore(key, this.span.to);
  }

  declaration(fact: Declaration): Declaration | null {
    if (!this.sources.has(placeOf(fact.tenant, fact.source))) return null;
    return { ...fact, tenant: this.tenantOf(fact.tenant) };
  }

  /** The fact as the tenant may see it; null: not at all. Asked last, when its series and sources are known. */
  control(fact: ControlFact): ControlFact | null {
    const body = this.body(fact);
    if (body === null) return null;
    const own = this.accounts.has(fact.tenant);
    const [author, reason] = own ? [fact.author, fact.reason] : ['', ''];
    return { ...fact, tenant: this.tenantOf(fact.tenant), author, reason, body };
  }

  private body({ tenant, body }: ControlFact): ControlBody | null {
    switch (body.kind) {
      case 'account':
        if (!this.accounts.has(body.id)) return null;
        return { ...body, parent: body.parent !== null && this.accounts.has(body.parent) ? body.parent : null };
      case 'resource':
        return this.holds(tenant, body.id) ? body : null;
      case 'owner':
        if (!this.holds(tenant, body.resource)) return null;
        return { ...body, account: body.account !== null && this.accounts.has(body.account) ? body.account : null };
      case 'source':
        return this.sources.has(placeOf(tenant, body.id)) ? body : null;
      case 'meter':
      case 'tick':
        return body;
      case 'decision':
      case 'quarantine':
        return body.series !== null && this.series.has(body.series) ? body : null;
      case 'unobserved':
        if (body.series !== null) return this.series.has(body.series) ? body : null;
        return body.source !== null && this.sources.has(placeOf(tenant, body.source)) ? body : null;
      // What is void or undone is left out of the file: there is nothing for these to act on.
      case 'void':
      case 'set':
      case 'key':
        return null;
      // Usage is computed without them, and a plan may name what others were promised.
      default:
        return null;
    }
  }

  /** Whether the resource was one of the accounts' at any time in the span. */
  private holds(tenant: string, resource: string): boolean {
    return this.book
      .ownerIntervals(tenant, resource, this.span.from, this.span.to)
      .some((o) => o.account !== null && this.accounts.has(o.account));
  }

  private *levelBefore(key: string, until: Instant): Iterable<StoredEvent> {
    const event = this.levelsBefore.get(key);
    if (event === undefined) return;
    const became = this.book
      .ownerIntervals(event.tenant, event.subject, 0, this.span.to)
      .some((o) => o.account !== null && this.accounts.has(o.account) && o.from > event.t && o.from <= until);
    if (!became) return;
    this.levelsBefore.delete(key);
    yield this.eventLine(event);
  }

  private eventLine(event: StoredEvent): StoredEvent {
    this.sees(event.tenant, event.source);
    return { ...event, tenant: this.tenantOf(event.tenant), set: '' };
  }

  private sees(tenant: string, source: string): void {
    this.sources.add(placeOf(tenant, source));
  }

  private tenantOf(tenant: string): string {
    if (tenant === '' || this.accounts.has(tenant)) return tenant;
    let mask = this.masks.get(tenant);
    if (mask === undefined) {
      for (let n = this.masks.size + 1; mask === undefined || this.accounts.has(mask); n++) mask = `other-${n}`;
      this.masks.set(tenant, mask);
    }
    return mask;
  }
}

const placeOf = (tenant: string, source: string): string => JSON.stringify([tenant, source]);

const levelKeys = (programs: readonly MeterProgram[], event: StoredEvent): string[] =>
  programs.flatMap((program) => {
    const dimensions = program.meter.eventType === event.type ? program.dimensionsOf(event) : null;
    if (dimensions === null) return [];
    const { tenant, source, subject: resource } = event;
    return [seriesKeyText({ tenant, source, resource, meter: program.meter.key, dimensions })];
  });

/** The readings of one series that its holdings' figures are computed from, and as few beyond them as give the same. */
export async function heldReadings(deps: CounterDeps, holdings: readonly Holding[]): Promise<SeriesReading[]> {
  const courses = await followSeries(deps, holdings);
  const [first] = courses;
  if (first === undefined) return [];
  const { series } = first;
  const decisions = deps.book.decisionsFor(series);
  const all = [...new Map(courses.flatMap((c) => c.readings).map((r) => [r.receipt, r])).values()].sort(
    (a, b) => a.t - b.t || a.receipt - b.receipt,
  );
  const wanted = courses.map(({ course, from, to }) => figures(usageOf(course, edgesIn({ from, to }), decisions)));
  for (let beyond = 1; ; beyond *= 2) {
    const kept = new Set(holdings.flatMap((h) => around(all, h, beyond)));
    if (kept.size === all.length) return all;
    const course = followCounter([...kept], series, decisions);
    if (holdings.every((h, i) => figures(usageOf(course, edgesIn(h), decisions)) === wanted[i]))
      return all.filter((r) => kept.has(r));
  }
}

const figures = (pieces: unknown): string =>
  JSON.stringify(pieces, (_, value) => (typeof value === 'bigint' ? String(value) : value));

/** The span's own ends and the window edges between them. */
function edgesIn({ from, to }: Interval): Instant[] {
  const edges = [from];
  for (let at = windowCeil(from + 1); at < to; at += WINDOW_MS) edges.push(at);
  return [...edges, to];
}

/** Readings in [from, to], and `beyond` more on either side; a reading on an edge is one of those. */
function around(sorted: readonly SeriesReading[], { from, to }: Interval, beyond: number): readonly SeriesReading[] {
  const first = sorted.findIndex((r) => r.t > from);
  const after = sorted.findIndex((r) => r.t >= to);
  const start = Math.max(0, (first < 0 ? sorted.length : first) - beyond);
  return sorted.slice(start, after < 0 ? undefined : after + beyond);
}
