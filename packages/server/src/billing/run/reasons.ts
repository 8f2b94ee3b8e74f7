/** Why an invoice cannot be final yet, in words that say what to do about it. */
import { formatInstant } from '../../domain/calendar.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Series } from '../../domain/series.ts';
import type { Instant } from '../../domain/window.ts';
import type { UsageStore } from '../../store/usage-store.ts';
import { Completeness } from '../../usage/completeness.ts';
import type { Blocked, Draft, Line } from '../invoice/document.ts';
import type { BookReader } from './expected.ts';

export interface ReasonDeps {
  store: Pick<UsageStore, 'declarations'>;
  registry: { byId(id: number): Series | undefined };
}

/** Sources that are named, of those that keep a line open. */
const NAMED_MAX = 3;

export class Reasons {
  private readonly deps: ReasonDeps;
  private readonly reader: BookReader & { readonly closedTo: Instant };
  private completeness: Promise<Completeness> | null = null;

  constructor(deps: ReasonDeps, reader: BookReader & { readonly closedTo: Instant }) {
    this.deps = deps;
    this.reader = reader;
  }

  /** Empty: it can be final. Line 0: it is about all of them. */
  async of({ document, blocked }: Draft): Promise<Blocked[]> {
    const { closedTo } = this.reader;
    const reasons = await Promise.all(
      blocked.map((one) => this.told(one, document.lines[one.line - 1], document.zone)),
    );
    const isMetered = document.lines.some((line) => line.meter !== '');
    if (!isMetered || closedTo >= document.to) return reasons;
    const reached = closedTo === 0 ? 'nothing yet' : `windows up to ${formatInstant(closedTo, document.zone)}`;
    const reason = `the usage job has closed ${reached}, the period ends at ${formatInstant(document.to, document.zone)}; tollgate job`;
    return [...reasons, { line: 0, state: 'pending', meter: '', account: document.account, reason }];
  }

  private async told(blocked: Blocked, line: Line | undefined, zone: string): Promise<Blocked> {
    const { line: no, meter, account, state } = blocked;
    const what = `line ${no} ${meter} of ${account} is ${state}`;
    if (line === undefined) return blocked;
    if (state === 'quarantined') return { ...blocked, reason: `${what}: ${blocked.reason}; tollgate quarantine` };
    const sources = await this.behind(line, zone);
    return { ...blocked, reason: `${what}: ${sources === '' ? blocked.reason : sources}; tollgate sources` };
  }

  /** Sources of the line's series that are not complete through its end. */
  private async behind({ series, to }: Line, zone: string): Promise<string> {
    this.completeness ??= this.read(this.reader.frontier);
    const completeness = await this.completeness;
    const sources = new Map<string, Series>();
    for (const { series: id } of series) {
      const known = this.deps.registry.byId(id);
      if (known !== undefined) sources.set(JSON.stringify([known.tenant, known.source]), known);
    }
    const late = [...sources.values()].filter(({ tenant, source }) => completeness.of(tenant, source).through < to);
    if (late.length === 0) return '';
    const names = late.slice(0, NAMED_MAX).map(({ source }) => source);
    const more = late.length > NAMED_MAX ? ` and ${late.length - NAMED_MAX} more` : '';
    const verb = late.length === 1 ? 'is' : 'are';
    return `source${late.length === 1 ? '' : 's'} ${names.join(', ')}${more} ${verb} not complete through ${formatInstant(to, zone)}`;
  }

  private async read(frontier: Receipt): Promise<Completeness> {
    return new Completeness(this.reader.book, await this.deps.store.declarations(frontier));
  }
}
