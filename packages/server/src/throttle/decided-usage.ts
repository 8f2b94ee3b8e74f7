/**
 * Admitted decisions are usage: summed by account, meter and dimensions, and published like any source's. The sums, the
 * journal on disk and the numbered batches are the agent's; this says what a decision is worth, and whose it is.
 */
import type { ControlBody } from '../domain/control-fact.ts';
import { REQUESTS } from '../domain/limit/limit.ts';
import type { Meter } from '../domain/meter.ts';
import type { Instant } from '../domain/window.ts';
import type { Ask } from './ask.ts';
import type { Answer, Question } from './throttle.ts';

/** Who reports them. */
export const DECISIONS = 'tollgate/decisions';

/** As the agent's recorder takes it: `meter` is the type of the event it is published as. */
export interface Measured {
  meter: string;
  subject: string;
  dimensions?: Readonly<Record<string, string>>;
}

export interface DecidedUsageDeps {
  record(measure: Measured, units: number): void;
  meter(key: string): Meter | undefined;
  book: { ownerAt(tenant: string, resource: string, t: Instant): string | null };
  /** What the decisions of an account are reported on becomes the account's, before they are published. */
  append(bodies: readonly ControlBody[], who: { tenant: string; author: string; reason: string }): Promise<unknown>;
  report(event: string, detail: Record<string, unknown>): void;
}

export class DecidedUsage {
  private readonly deps: DecidedUsageDeps;
  private readonly owned = new Set<string>();
  /** Meters whose events a sum of decisions cannot be, told once each. */
  private readonly told = new Set<string>();

  constructor(deps: DecidedUsageDeps) {
    this.deps = deps;
  }

  /** For every decision. */
  note(ask: Ask, { standing }: Question, cost: number, { allowed }: Answer): void {
    if (!allowed || cost === 0) return;
    const isDecided = standing.gates.some(
      ({ limit }) => limit.feed === 'decided' && limit.rule.kind !== 'concurrency' && limit.meter === ask.meter,
    );
    const measure = isDecided ? this.measureOf(ask) : null;
    if (measure !== null) this.deps.record(measure, cost);
  }

  private measureOf({ account, meter: key, dimensions: given }: Ask): Measured | null {
    const meter = this.deps.meter(key);
    // Requests are counted by deciding on them; they are metered when there is a meter of that name.
    if (meter === undefined && key === REQUESTS) return null;
    const problem = meter === undefined || meter.deleted ? 'is not there' : whyNot(meter);
    if (problem !== null || meter === undefined) {
      if (!this.told.has(key)) this.deps.report('decisions.not_metered', { meter: key, reason: problem });
      this.told.add(key);
      return null;
    }
    const subject = subjectOf(account);
    this.own(account, subject);
    const names = Object.keys(meter.groupBy).filter((name) => given[name] !== undefined);
    const dimensions = Object.fromEntries(names.map((name) => [name, given[name] as string]));
    return { meter: meter.eventType, subject, ...(names.length === 0 ? {} : { dimensions }) };
  }

  private own(account: string, subject: string): void {
    if (this.owned.has(subject)) return;
    this.owned.add(subject);
    if (this.deps.book.ownerAt('', subject, 0) === account) return;
    const body = { kind: 'owner' as const, resource: subject, account, from: 0 };
    const who = { tenant: '', author: DECISIONS, reason: 'decisions of the account' };
    this.deps.append([body], who).catch((error: unknown) => {
      // Until it is stored the usage stays unattributed, and is the account's from the start when it is.
      this.owned.delete(subject);
      this.deps.report('decisions.not_owned', { account, error: String(error) });
    });
  }
}

/** The resource that decisions of an account are reported on. */
export const subjectOf = (account: string): string => `decisions/${account}`;

/** Null: an event with `value` and the dimensions by their names is what the meter reads. */
function whyNot({ kind, aggregation, valuePath, groupBy, filters }: Meter): string | null {
  if (kind !== 'delta' || aggregation !== 'sum') return 'it does not add up: a sum of decisions is no event of it';
  if (valuePath !== '$.value') return 'its value is not at $.value';
  if (filters.length > 0) return 'it has filters';
  const other = Object.entries(groupBy).find(([name, path]) => path !== `$.${name}`);
  return other === undefined ? null : `its dimension ${other[0]} is not at $.${other[0]}`;
}
