/** What is final stays: a change that reaches into a period that was invoiced is made only where somebody wants that. */
import { Type } from '@sinclair/typebox';
import type { AddOnFact, DiscountFact } from '../domain/billing/billing-fact.ts';
import { FOREVER } from '../domain/limit/catalogue.ts';
import type { OverrideFact, Span, SubscriptionFact } from '../domain/limit/catalogue-fact.ts';
import type { Dated } from '../domain/limit/timeline.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import type { Principal } from './auth.ts';
import { endedAt, zoneOf } from './catalogue-change.ts';
import { authorOf, type Context } from './context.ts';
import { PERIOD_END, periodEndOf } from './period-end.ts';
import { isoText } from './time.ts';

export const Adjust = Type.Optional(
  Type.Boolean({ description: 'Also into a period that has a final invoice: the next one adjusts it' }),
);

type Held = Dated<SubscriptionFact | OverrideFact | AddOnFact | DiscountFact>;
interface EndAsked {
  at?: string;
  from?: string;
  adjust?: boolean;
  reason?: string;
}

/** Ends what an account holds then; `period-end` is when its period ends. Throws `unknown` when it holds nothing of it. */
export const endHeld = async (
  context: Context,
  who: Principal,
  account: string,
  spans: readonly Held[],
  { adjust, reason, ...asked }: EndAsked,
  unknown: Problem,
): Promise<void> => {
  const at = asked.at === PERIOD_END ? isoText(periodEndOf(context, account)) : asked.at;
  const ended = endedAt(spans, { ...asked, at }, context.clock.now(), zoneOf(context, account));
  if (ended.length === 0) throw unknown;
  await refuseBilled(context, [account], firstEnd(ended), adjust);
  const facts = ended.map(({ receipt: _, ...fact }) => fact);
  await context.log.append(facts, authorOf(who, '', reason));
};

/** From when on ending these spans changes anything. */
const firstEnd = (ended: readonly Span[]): Instant =>
  ended.reduce((first, { to }) => (to !== null && to < first ? to : first), FOREVER);

/** Throws `subscription.billed` when a final invoice, of the account or of who pays for it, ends after `since`. */
export const refuseBilled = async (
  { control, log, clock }: Pick<Context, 'control' | 'log' | 'clock'>,
  accounts: readonly string[],
  since: Instant,
  adjust: boolean | undefined,
): Promise<void> => {
  // What is final has ended: the present and what is to come are free.
  if (adjust === true || since >= clock.now() || accounts.length === 0) return;
  const payers = accounts.map((account) => log.book.billing.payerOf(account));
  const ends = await control.billing.lastFinalEnd([...new Set([...accounts, ...payers])]);
  const [last] = [...ends].sort(([, a], [, b]) => b - a);
  if (last === undefined || since >= last[1]) return;
  const detail = `a final invoice of ${last[0]} reaches up to ${isoText(last[1])}`;
  throw new Problem('subscription.billed', `It would change from ${isoText(since)} on, and ${detail}`, {
    pointer: '/from',
  });
};
