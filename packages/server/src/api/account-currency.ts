/** An account, who pays for it and its plans are in one currency: what was billed and what is to be is never converted. */
import type { PayerChange } from '../domain/billing/billing.ts';
import type { Book } from '../domain/book.ts';
import { FOREVER } from '../domain/limit/catalogue.ts';
import type { PlanFact, Span } from '../domain/limit/catalogue-fact.ts';
import type { Plan } from '../domain/limit/plan.ts';
import { Problem } from '../errors.ts';
import type { Context } from './context.ts';
import { isoText } from './time.ts';

/** Throws `account.billed` when the account, as it is, could not be billed in this currency. */
export const refuseCurrency = async (
  { control, log }: Pick<Context, 'control' | 'log'>,
  id: string,
  currency: string,
): Promise<void> => {
  const { book } = log;
  const was = book.account(id)?.currency;
  if (was === undefined || was === currency) return;
  const refuse = (why: string): never => {
    throw new Problem('account.billed', `${id} cannot be billed in ${currency}: ${why}`, { pointer: '/currency' });
  };
  const payer = book.billing.payerOf(id);
  const paid = book.account(payer)?.currency;
  const newest = async (account: string) => (await control.billing.invoices({ accounts: [account], limit: 1 }))[0];
  const [own, ofPayer] = [await newest(id), await newest(payer)];
  // Back to what it was billed in is always right.
  if (own !== undefined && own.currency !== currency)
    refuse(`it has final documents in ${own.currency}, such as ${own.number}`);
  if (ofPayer !== undefined && paid !== currency && payer !== id)
    refuse(`${payer}, who pays for it, is billed in ${paid}`);
  for (const { plan, ...span } of plansOf(book, id)) {
    const priced = otherwisePriced(book, plan, span, currency);
    if (priced !== undefined) refuse(`its plan ${plan} is priced in ${priced.billing?.currency}`);
  }
  for (const other of book.descendants(id)) {
    const isPaid = other !== id && book.billing.payerOf(other) === id && plansOf(book, other).length > 0;
    const billed = book.account(other)?.currency;
    if (isPaid && billed !== currency) refuse(`it pays for ${other}, which is billed in ${billed}`);
  }
};

/** Those of before too: what of them is not billed yet will be. */
const plansOf = (book: Book, account: string): { plan: string; from: number; to: number | null }[] =>
  [...book.catalogue.subscriptionsOf(account), ...book.billing.addOnsOf(account)].filter(
    ({ from, to }) => to === null || to > from,
  );

/** A version that is in force within the span and has prices in another currency. */
const otherwisePriced = ({ catalogue }: Book, key: string, { from, to }: Span, currency: string): Plan | undefined => {
  const end = to ?? FOREVER;
  for (let t = from; t < end; t = catalogue.nextPlanChange(key, t, end)) {
    const version = catalogue.planAt(key, t);
    if (version?.billing && version.billing.currency !== currency) return version;
  }
  return undefined;
};

/** Throws `plan.currency` when the plan, now or by a version to come, has prices that the account cannot be billed by. */
export const refusePlanCurrency = (book: Book, account: string, key: string, span: Span): void => {
  const payer = book.billing.payerOf(account);
  for (const who of new Set([account, payer])) {
    const currency = book.account(who)?.currency ?? '';
    const version = otherwisePriced(book, key, span, currency);
    if (version === undefined) continue;
    const since = version !== book.catalogue.planAt(key, span.from) ? ` from ${isoText(version.from)} on` : '';
    const whom = who === account ? account : `${who}, who pays for ${account},`;
    const why = `The plan ${key} is priced in ${version.billing?.currency}${since}, ${whom} is billed in ${currency}`;
    throw new Problem('plan.currency', why, { pointer: '/plan' });
  }
};

/** Throws `plan.currency` when a version that is to come is in another currency than somebody who has the plan by then. */
export const refusePlanChange = (book: Book, facts: readonly PlanFact[]): void => {
  // Nearly always no plan changes its currency, and nobody is looked at.
  const moved = facts.filter(({ plan, removed }) =>
    book.catalogue
      .planVersions(plan.key)
      .some((v) => !removed && plan.billing && v.billing?.currency !== plan.billing.currency),
  );
  for (const { plan, from } of moved) {
    const currency = plan.billing?.currency ?? '';
    const having = [...book.catalogue.allSubscriptions(), ...book.billing.allAddOns()].filter(
      (held) => held.plan === plan.key && (held.to === null || held.to > Math.max(held.from, from)),
    );
    const others = new Set(
      having.map(({ account }) => account).filter((id) => book.account(id)?.currency !== currency),
    );
    const [first] = others;
    if (first === undefined) continue;
    const more = others.size === 1 ? '' : `; so ${others.size === 2 ? 'is 1' : `are ${others.size - 1}`} more`;
    const why = `The plan ${plan.key} would be priced in ${currency}: ${first}, which has it, is billed in ${book.account(first)?.currency}${more}`;
    throw new Problem('plan.currency', why, { pointer: '/plans' });
  }
};

/** Throws `plan.currency` when, with this change, somebody would pay for plans in another currency. */
export const refusePayer = (book: Book, change: PayerChange): void => {
  const { id, payer, parent } = change;
  const isSame = payer === undefined ? parent === book.account(id)?.parent : payer === book.billing.profileOf(id).payer;
  if (isSame) return;
  for (const account of new Set([id, ...book.descendants(id)])) {
    const then = book.billing.payerIf(account, change);
    if (then === book.billing.payerOf(account) || plansOf(book, account).length === 0) continue;
    const [own, paid] = [book.account(account)?.currency, book.account(then)?.currency];
    if (own === paid) continue;
    const why = `${then}, who would pay for ${account}, is billed in ${paid}, ${account} in ${own}`;
    throw new Problem('plan.currency', why, { pointer: payer === undefined ? '/parent' : '/payer' });
  }
};
