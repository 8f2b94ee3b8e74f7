/** Rates over the past, event by event in the order of their times. */
import type { StoredEvent } from '../domain/fact.ts';
import { calendarOf } from '../domain/limit/calendar-of.ts';
import { metersOf } from '../domain/limit/limit.ts';
import type { Meter } from '../domain/meter.ts';
import { compileMeter, type MeterProgram } from '../domain/tally.ts';
import type { Instant, Interval } from '../domain/window.ts';
import { UsageError } from '../usage/index.ts';
import { Engine } from './engine/engine.ts';
import type { Prepared } from './engine/types.ts';
import {
  accountsOf,
  type Simulated,
  type SimulatedRefusal,
  type SimulationDeps,
  type SimulationStep,
} from './simulated.ts';
import { wholeUnits } from './usage-scope.ts';

/** Counters at most: bounds memory. Events of further ones are left out, and it is said. */
const COUNTERS_MAX = 200_000;
/** Events between two words on how far it is. */
const BREATH = 20_000;

interface Counter {
  prepared: Prepared;
  found: SimulatedRefusal;
}

export async function* simulateRate(
  { store, book, frontier }: SimulationDeps,
  what: Simulated,
  { from, to }: Interval,
): AsyncIterable<SimulationStep> {
  const programs = programsOf(what, (key) => book.meter(key));
  const rate = new Rate(what, { from, to }, (account) => calendarOf(book, account, from));
  const accounts = new Set(accountsOf(book, what));
  const query = { types: [...programs.keys()], from, to, frontier, voided: book.voidedReceipts() };
  let seen = 0;
  for await (const event of store.events({ ...query, undoneSets: book.undoneSets() })) {
    const account = book.ownerAt(event.tenant, event.subject, event.t);
    for (const id of account === null ? [] : lineOf(what, account, (a) => book.account(a)?.parent ?? null))
      if (accounts.has(id)) for (const program of programs.get(event.type) ?? []) rate.add(id, program, event);
    if (++seen % BREATH === 0) yield { kind: 'progress', done: event.t - from, of: to - from };
  }
  for (const refusal of rate.refusals()) yield { kind: 'refusal', refusal };
  if (rate.leftOut > 0)
    yield { kind: 'bounded', detail: `${rate.leftOut} events of counters beyond ${COUNTERS_MAX} are left out` };
  yield { kind: 'progress', done: to - from, of: to - from };
}

/** Whose counters an event bears on: a subtree's also those of all above. */
function lineOf({ limit }: Simulated, account: string, parentOf: (id: string) => string | null): string[] {
  if (limit.scope !== 'subtree') return [account];
  const line: string[] = [];
  for (let id: string | null = account; id !== null; id = parentOf(id)) line.push(id);
  return line;
}

function programsOf({ limit }: Simulated, meterOf: (key: string) => Meter | undefined): Map<string, MeterProgram[]> {
  const programs = new Map<string, MeterProgram[]>();
  for (const key of metersOf(limit.meter)) {
    const meter = meterOf(key);
    const adds = meter?.kind === 'delta' && (meter.aggregation === 'sum' || meter.aggregation === 'count');
    if (meter === undefined || !adds)
      throw new UsageError('limit.invalid', `a rate is simulated from events that add up, and ${key} has none`);
    programs.set(meter.eventType, [...(programs.get(meter.eventType) ?? []), compileMeter(meter)]);
  }
  return programs;
}

class Rate {
  leftOut = 0;
  private readonly what: Simulated;
  private readonly span: Interval;
  private readonly calendar: (account: string) => { zone: string; anchor: Instant };
  private readonly engine = new Engine({ share: COUNTERS_MAX });
  private readonly counters = new Map<string, Counter>();
  private readonly limit: Simulated['limit'] & { version: number };

  constructor(what: Simulated, span: Interval, calendar: Rate['calendar']) {
    this.what = what;
    this.span = span;
    this.calendar = calendar;
    // Decided as if it held, whatever it says of shadow: that is the question.
    this.limit = { ...what.limit, hard: true, shadow: false, feed: 'decided', version: 0 };
  }

  add(account: string, program: MeterProgram, event: StoredEvent): void {
    const dimensions = program.dimensionsOf(event);
    const value = dimensions === null ? null : program.valueOf(event);
    if (dimensions === null || typeof value !== 'bigint') return;
    const counter = this.counterOf(account, this.subjectOf(event, dimensions));
    if (counter === null) {
      this.leftOut++;
      return;
    }
    const { found, prepared } = counter;
    const cost = wholeUnits(value);
    found.used += BigInt(cost);
    if (this.engine.decide(prepared, cost, event.t).allowed) return;
    if (found.refusals === 0) [found.firstFrom, found.firstTo] = [event.t, event.t];
    found.refusals = (found.refusals ?? 0) + 1;
    found.over += BigInt(cost);
  }

  *refusals(): Iterable<SimulatedRefusal> {
    for (const { found } of this.counters.values()) if (found.refusals !== 0) yield found;
  }

  private subjectOf({ subject }: StoredEvent, dimensions: Readonly<Record<string, string>>): string {
    const { scope } = this.what.limit;
    if (scope === 'resource') return subject;
    return typeof scope === 'object' ? (dimensions[scope.dimension] ?? '') : '';
  }

  private counterOf(account: string, subject: string): Counter | null {
    const key = JSON.stringify([account, subject]);
    let counter = this.counters.get(key);
    if (counter === undefined) {
      if (this.counters.size >= COUNTERS_MAX) return null;
      const gate = { limit: this.limit, account, subject, calendar: this.calendar(account) };
      const { amount } = this.limit.rule;
      const none = { used: 0n, over: 0n, refusals: 0, firstFrom: 0, firstTo: 0 };
      counter = { prepared: this.engine.prepare([gate]), found: { account, subject, ...this.span, amount, ...none } };
      this.counters.set(key, counter);
    }
    return counter;
  }
}
