/** What an account held, and when: its plans and add-ons with prices, cut wherever anything about them changes. */
import type { AddOn } from '../../domain/billing/billing.ts';
import { trialEndOf } from '../../domain/billing/trial.ts';
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import { FOREVER, type Subscription } from '../../domain/limit/catalogue.ts';
import type { Plan } from '../../domain/limit/plan.ts';
import type { PlanBilling } from '../../domain/price/price.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import { InvoiceError } from './invoice-error.ts';
import { type BillingCalendar, type CalendarSpan, sameTerms, sharedCalendar } from './period.ts';

export type PricedPlan = Plan & { billing: PlanBilling };

/** One version of one plan that the account has in [from, to). */
export interface Holding extends Interval {
  account: string;
  plan: PricedPlan;
  subscription: Subscription;
  /** Null: it is the plan subscribed to. */
  addOn: AddOn | null;
  quantity: bigint;
  calendar: BillingCalendar;
  /** Costs nothing. */
  trial: boolean;
  /** The account did not have the plan just before, or had it on trial: what is due once is due now. */
  begins: boolean;
}

export interface History {
  account: string;
  /** Without a hole from the beginning of time. */
  calendars: readonly CalendarSpan[];
  /** In order of time; at one time the plan before add-ons. */
  holdings: readonly Holding[];
}

/** Calendar months: for an account that has no priced plan itself, but pays for others. */
const monthsOf = (zone: string): BillingCalendar =>
  sharedCalendar({ zone, anchor: 0, period: { unit: 'month', count: 1 }, align: 'calendar' });

const KEPT_MAX = 2048;
const kept = new WeakMap<Book, { at: Receipt; histories: Map<string, History> }>();

/**
 * Asked for what is due and again for what to charge: those of the last accounts are kept, as long as no fact is added to
 * their book. Throws InvoiceError `invoice.plan` (subscribed to what is not defined), `invoice.account`.
 */
export function historyOf(book: Book, account: string): History {
  let of = kept.get(book);
  if (of === undefined || of.at !== book.at || of.histories.size >= KEPT_MAX) {
    of = { at: book.at, histories: new Map() };
    kept.set(book, of);
  }
  const known = of.histories.get(account);
  if (known !== undefined) return known;
  const history = historyIn(book, account);
  of.histories.set(account, history);
  return history;
}

function historyIn(book: Book, account: string): History {
  if (book.account(account) === undefined) {
    throw new InvoiceError('invoice.account', { account }, 'the account is not known');
  }
  const trials = trialEnds(book, account);
  const calendars: CalendarSpan[] = [];
  const holdings: Holding[] = [];
  const cuts = cutsOf(book, account, trials);
  for (const [i, from] of cuts.entries()) {
    const slice = { from, to: cuts[i + 1] ?? FOREVER };
    const zone = zoneAt(book, account, from);
    const held = heldAt(book, account, slice, zone, trials);
    const own = held[0];
    const { to } = slice;
    push(calendars, { from, to, calendar: own?.calendar ?? monthsOf(zone), own: own !== undefined });
    for (const holding of held) {
      holding.begins = beginsHere(holdings, holding);
      holdings.push(holding);
    }
  }
  return { account, calendars, holdings };
}

/** A span that goes on with the calendar before it is not another one. */
function push(spans: CalendarSpan[], span: CalendarSpan): void {
  const last = spans.at(-1);
  const goesOn = last?.calendar.zone === span.calendar.zone && sameTerms(last.calendar, span.calendar);
  if (last !== undefined && last.own === span.own && goesOn) {
    spans[spans.length - 1] = { ...last, to: span.to };
  } else spans.push(span);
}

export const zoneAt = (book: Book, account: string, t: Instant): string =>
  (book.zonesOf(account).findLast(({ from }) => from <= t) ?? book.zonesOf(account)[0])?.zone ?? 'UTC';

/** The plan and then the add-ons that are held throughout the slice, whether they begin there left open; add-ons are held besides a priced plan only. */
function heldAt(
  book: Book,
  account: string,
  slice: Interval,
  zone: string,
  trials: ReadonlyMap<Subscription, Instant | null>,
): Holding[] {
  const { from: t, to } = slice;
  const subscription = book.catalogue.subscriptionAt(account, t);
  const plan = subscription && planAt(book, account, subscription.plan, t);
  if (subscription === undefined || !isPriced(plan)) return [];
  const trial = t < (trials.get(subscription) ?? 0);
  const holding = (of: PricedPlan, addOn: AddOn | null, quantity: bigint) => {
    const { period, anchor: align } = of.billing;
    const calendar = sharedCalendar({ zone, anchor: subscription.anchor, period, align });
    return { from: t, to, account, plan: of, subscription, addOn, quantity, calendar, trial, begins: false };
  };
  const addOns = book.billing
    .addOnsAt(account, t)
    .map((addOn) => ({ addOn, of: planAt(book, account, addOn.plan, t) }));
  return [
    holding(plan, null, 1n),
    ...addOns.flatMap(({ addOn, of }) => (isPriced(of) ? [holding(of, addOn, BigInt(addOn.quantity))] : [])),
  ];
}

function planAt(book: Book, account: string, key: string, t: Instant): Plan {
  const plan = book.catalogue.planAt(key, t);
  if (plan === undefined) throw new InvoiceError('invoice.plan', { account, plan: key }, 'the plan is not defined');
  return plan;
}

const isPriced = (plan: Plan | undefined): plan is PricedPlan => plan !== undefined && plan.billing !== null;

function beginsHere(before: readonly Holding[], holding: Holding): boolean {
  if (holding.trial) return false;
  return !before.some(
    ({ to, plan, addOn, trial }) =>
      to === holding.from && !trial && plan.key === holding.plan.key && (addOn === null) === (holding.addOn === null),
  );
}

/**
 * Until when each subscription costs nothing. What a plan says counts for an account's first one only, and goes on after
 * a change of plan within it: else who changes plans often enough would never pay.
 */
function trialEnds(book: Book, account: string): Map<Subscription, Instant | null> {
  const ends = new Map<Subscription, Instant | null>();
  let running: Instant | null | undefined;
  for (const subscription of book.catalogue.subscriptionsOf(account)) {
    const { from, to, trialUntil, plan } = subscription;
    if (to === from) continue;
    const isPricedNow = isPriced(book.catalogue.planAt(plan, from));
    if (trialUntil !== undefined || (running === undefined && isPricedNow)) running = trialEndOf(book, subscription);
    ends.set(subscription, running !== undefined && running !== null && running > from ? running : null);
  }
  return ends;
}

/** Instants at which anything may change, from 0 on, ascending. */
function cutsOf(book: Book, account: string, trials: ReadonlyMap<Subscription, Instant | null>): Instant[] {
  const cuts = new Set<Instant>([0]);
  const span = ({ from, to }: { from: Instant; to: Instant | null }): void => {
    cuts.add(from);
    if (to !== null) cuts.add(to);
  };
  const plans = new Set<string>();
  for (const [subscription, trialEnd] of trials) {
    span({ from: subscription.from, to: subscription.to });
    if (trialEnd !== null) cuts.add(trialEnd);
    plans.add(subscription.plan);
  }
  for (const addOn of book.billing.addOnsOf(account)) {
    span(addOn);
    plans.add(addOn.plan);
  }
  for (const override of book.catalogue.overridesOf(account)) span(override);
  for (const { from } of book.zonesOf(account)) cuts.add(from);
  for (const plan of plans) for (const { from } of book.catalogue.planVersions(plan)) cuts.add(from);
  return [...cuts].sort((a, b) => a - b);
}
