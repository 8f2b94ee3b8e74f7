/**
 * What accounts would have paid by other plans, from what was metered: the same rating as of invoices, by a book of its own
 * with the plans on top. Nothing is written. Each account for itself, whoever pays for it; taxes are rounded by period and
 * account.
 */
import type { Book } from '../../domain/book.ts';
import type { ControlBody, ControlFact } from '../../domain/control-fact.ts';
import type { PlanContent } from '../../domain/limit/plan.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import type { Metered } from '../../usage/metered.ts';
import { type Charges, chargesIn } from '../invoice/charges.ts';
import { partiesOf } from '../invoice/compose.ts';
import { expectedLines } from '../invoice/expected.ts';
import { type History, historyOf } from '../invoice/history.ts';
import { periodsOf } from '../invoice/period.ts';
import { taxesOf } from '../invoice/taxes.ts';
import { type BookReader, readAll } from '../run/expected.ts';
import { failureOf } from '../run/failure.ts';

export interface PlanSimulation {
  plans: readonly PlanContent[];
  /** Null: who has, at any time of the span, a plan of one of their keys. Else these, all of their time by the one plan. */
  accounts: readonly string[] | null;
  /** Periods that lie in it are compared. */
  span: Interval;
}

export interface SimulatedAccount {
  account: string;
  currency: string;
  /** With taxes, minor units: by the book as it is, and by the plans. */
  before: bigint;
  after: bigint;
  /** How many periods each is of. */
  periodsBefore: number;
  periodsAfter: number;
  /** Something of it may still change: usage is pending or quarantined. */
  open: boolean;
  /** Why it cannot be said; '' when it can. Then both amounts are 0. */
  failure: string;
}

export interface SimulatedTotal {
  currency: string;
  accounts: number;
  before: bigint;
  after: bigint;
}

export type PlanStep =
  | { kind: 'progress'; done: number; of: number }
  | { kind: 'account'; account: SimulatedAccount }
  | { kind: 'total'; totals: SimulatedTotal[]; failed: number };

const ACCOUNTS_A_BATCH = 200;

/** `book`: one of the reader's frontier, that is nobody else's: it is changed. */
export async function* simulatePlans(reader: BookReader, book: Book, what: PlanSimulation): AsyncGenerator<PlanStep> {
  const accounts = what.accounts ?? subscribersOf(reader.book, what);
  putOnTop(book, what);
  const totals = new Map<string, SimulatedTotal>();
  let failed = 0;
  yield { kind: 'progress', done: 0, of: accounts.length };
  for (let at = 0; at < accounts.length; at += ACCOUNTS_A_BATCH) {
    const some = accounts.slice(at, at + ACCOUNTS_A_BATCH);
    for (const account of await compare(reader, book, some, what.span)) {
      if (account.failure === '') addTo(totals, account);
      else failed++;
      yield { kind: 'account', account };
    }
    yield { kind: 'progress', done: at + some.length, of: accounts.length };
  }
  yield { kind: 'total', totals: [...totals.values()].sort((a, b) => (a.currency < b.currency ? -1 : 1)), failed };
}

function addTo(totals: Map<string, SimulatedTotal>, { currency, before, after }: SimulatedAccount): void {
  const known = totals.get(currency) ?? { currency, accounts: 0, before: 0n, after: 0n };
  known.accounts++;
  known.before += before;
  known.after += after;
  totals.set(currency, known);
}

function subscribersOf({ catalogue, billing }: Book, { plans, span }: PlanSimulation): string[] {
  const keys = new Set(plans.map(({ key }) => key));
  const has = ({ plan, from, to }: { plan: string; from: Instant; to: Instant | null }): boolean =>
    keys.has(plan) && from < span.to && (to === null || (to > span.from && to > from));
  const accounts = new Set<string>();
  for (const one of catalogue.allSubscriptions()) {
    if (accounts.has(one.account)) continue;
    if (has(one) || billing.addOnsOf(one.account).some(has)) accounts.add(one.account);
  }
  return [...accounts].sort();
}

/** The plans as if they had always been, and for accounts that are named their subscriptions as if they were to them. */
function putOnTop(book: Book, { plans, accounts, span }: PlanSimulation): void {
  const bodies: ControlBody[] = plans.map((plan) => ({ kind: 'plan', plan, from: 0, removed: false }));
  const [plan] = plans;
  for (const account of plan === undefined ? [] : (accounts ?? [])) {
    const own = book.catalogue.subscriptionsOf(account);
    const to = { kind: 'subscription', account, plan: (plan as PlanContent).key } as const;
    for (const { from, to: end, anchor, trialUntil } of own) {
      const trial = trialUntil === undefined ? {} : { trialUntil };
      bodies.push({ ...to, from, to: end, anchor, ...trial });
    }
    if (own.length === 0) bodies.push({ ...to, from: span.from, to: null, anchor: span.from });
  }
  const facts = bodies.map((body, i): ControlFact => {
    const said = { tenant: '', author: 'simulation', reason: '', recordedAt: span.from };
    return { receipt: book.at + 1 + i, ...said, body };
  });
  for (const fact of facts) book.apply(fact);
}

async function compare(
  reader: BookReader,
  book: Book,
  accounts: readonly string[],
  span: Interval,
): Promise<SimulatedAccount[]> {
  const begun = accounts.map((account) => {
    const found = blank(reader.book, account);
    const [before, after] = [reader.book, book].map((of) => attempt(found, () => chargesOf(of, account, span)) ?? []);
    return { found, before: before ?? [], after: after ?? [] };
  });
  const asks = begun.flatMap(({ before, after }) => [...before, ...after].flatMap(asksOf));
  const answers = await readAll(reader, asks);
  let at = 0;
  const sums = (of: Book, found: SimulatedAccount, charges: readonly Charges[]): bigint => {
    let sum = 0n;
    for (const one of charges) {
      const first = at;
      at += one.usage.length;
      const metered = answers.slice(first, at);
      found.open ||= metered.flat().some(({ state }) => state === 'pending' || state === 'quarantined');
      sum += attempt(found, () => totalOf(of, one, metered)) ?? 0n;
    }
    return sum;
  };
  return begun.map(({ found, before, after }) => {
    const [paid, simulated] = [sums(reader.book, found, before), sums(book, found, after)];
    if (found.failure !== '') return found;
    return {
      ...found,
      ...{ before: paid, after: simulated, periodsBefore: before.length, periodsAfter: after.length },
    };
  });
}

const asksOf = ({ usage }: Charges) => usage.map(({ ask }) => ask);

const blank = (book: Book, account: string): SimulatedAccount => ({
  account,
  currency: book.account(account)?.currency ?? '',
  ...{ before: 0n, after: 0n, periodsBefore: 0, periodsAfter: 0, open: false, failure: '' },
});

function attempt<T>(found: SimulatedAccount, work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    found.failure ||= failureOf(found.account, error).reason;
    return null;
  }
}

/** Of each period of the account that lies in the span: all of it, also what is paid in advance. */
function chargesOf(book: Book, account: string, span: Interval): Charges[] {
  const history: History = historyOf(book, account);
  const payer = book.billing.payerOf(account);
  const { conventions } = partiesOf(book, payer).entity;
  const charges: Charges[] = [];
  for (const period of periodsOf(history.calendars, span.from)) {
    if (period.to > span.to) break;
    if (!period.own || period.from < span.from) continue;
    const frame = { from: period.from, to: period.to, next: period.to };
    const scope = { history, period, stage: 'ended' } as const;
    charges.push(chargesIn(book, payer, frame, conventions, [history], [scope]));
  }
  return charges;
}

function totalOf(book: Book, charges: Charges, metered: readonly (readonly Metered[])[]): bigint {
  const { profile } = partiesOf(book, charges.payer);
  const lines = expectedLines(book, charges, metered).map((line) => ({ line, amount: line.amount }));
  const { total, inside } = taxesOf(book, profile, lines, charges.conventions.rounding);
  return lines.reduce((sum, { amount }) => sum + amount, 0n) - inside + total;
}
