/** What credits post besides being used: pure. `entity` is whose promotion, or whose gain by what was not used, it is. */
import type { Instant } from '../../domain/window.ts';
import type { Grant, GrantRest, Transaction } from '../../store/billing-store.ts';
import { breakageOf, CASH, on, promotionOf, transactionOf } from './books.ts';

const headOf = (grant: Grant, kind: Transaction['kind'], key: string, at: Instant) => ({
  ...{ key, tenant: grant.account, kind, at, currency: grant.currency, text: grant.reason },
});

export const grantingKey = ({ key }: Pick<Grant, 'key'>): string => `credit-grant/${key}`;

/** Bought credits were paid for: cash. */
export function granting(grant: Grant, entity: string): Transaction {
  const { account, amount, funding, key, at } = grant;
  const posted = transactionOf(headOf(grant, 'credit-grant', grantingKey(grant), at), [
    on.book(funding === 'purchase' ? CASH : promotionOf(entity), amount),
    on.credit(account, -amount, key),
  ]);
  return posted as Transaction;
}

/** What is left at the end. */
export const expiring = (grant: GrantRest, entity: string, at: Instant): Transaction | null =>
  transactionOf(headOf(grant, 'credit-expiry', `credit-expiry/${grant.key}/${at}`, at), [
    on.credit(grant.account, grant.rest, grant.key),
    on.book(unusedOf(grant, entity), -grant.rest),
  ]);

/** What is left at a reset becomes `kept`: less is as if it expired, more is given. `reset.key` is unique for the reset. */
export function resetting(
  grant: GrantRest,
  kept: bigint,
  entity: string,
  reset: { key: string; at: Instant },
): Transaction | null {
  const change = kept - grant.rest;
  return transactionOf(headOf(grant, 'credit-rollover', `credit-rollover/${grant.key}/${reset.key}`, reset.at), [
    on.credit(grant.account, -change, grant.key),
    on.book(change > 0n ? promotionOf(entity) : unusedOf(grant, entity), change),
  ]);
}

/** Taken back by hand: what was bought becomes the customer's balance. */
export const voiding = (grant: GrantRest, entity: string, text: string, at: Instant): Transaction | null =>
  transactionOf({ ...headOf(grant, 'credit-void', `credit-void/${grant.key}/${at}`, at), text }, [
    on.credit(grant.account, grant.rest, grant.key),
    grant.funding === 'purchase'
      ? on.receivable(grant.account, -grant.rest, null)
      : on.book(promotionOf(entity), -grant.rest),
  ]);

const unusedOf = ({ funding }: Grant, entity: string): string =>
  funding === 'purchase' ? breakageOf(entity) : promotionOf(entity);
