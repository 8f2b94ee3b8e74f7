/** Credits of one account: given, taken back, ended, reset. Decided under its lock. */
import type { Instant } from '../../domain/window.ts';
import type { BillingStore, Grant, GrantRest, Payment, Transaction } from '../../store/billing-store.ts';
import { StoreError } from '../../store/errors.ts';
import { nameIn, present } from './books.ts';
import { LedgerError } from './ledger-error.ts';
import { expiring, granting, grantingKey, voiding } from './post-credit.ts';

export interface GrantAsk extends Pick<Grant, 'account' | 'currency' | 'amount' | 'priority' | 'expires'> {
  /** The caller's: the same again is the same credit. */
  key: string;
  /** Null: now. */
  effective: Instant | null;
  rollover: Grant['rollover'];
  lowAt: number | null;
  reason: string;
  author: string;
  /** Of what it was bought with; null: it is given. */
  paid: { reference: string; method: string } | null;
  /** Whose promotion it is. */
  entity: string;
  now: Instant;
}

/** Gives a credit, or finds that it was given. Throws LedgerError `credit.conflict`, `payment.conflict`. */
export async function grantCredit(store: BillingStore, ask: GrantAsk): Promise<{ grant: GrantRest; isNew: boolean }> {
  const grant = grantOf(ask);
  const references = ask.paid === null ? [] : [ask.paid.reference];
  let answer: { grant: GrantRest; isNew: boolean } | null = null;
  await store.change(ask.account, { grants: [grant.key], references }, (_, found) => {
    const [known] = found.grants;
    if (known !== undefined) {
      isRepeated(known, grant, ask, found.payments);
      answer = { grant: known, isNew: false };
      return {};
    }
    const transaction = granting(grant, ask.entity);
    if (found.payments.length > 0)
      throw new LedgerError('payment.conflict', 'The reference is that of another payment.', 'reference');
    answer = { grant: { ...grant, rest: grant.amount }, isNew: true };
    const payments = ask.paid === null ? [] : [purchaseOf(grant, ask.paid, transaction)];
    return { grants: [grant], payments, transactions: [transaction] };
  });
  return answer as unknown as { grant: GrantRest; isNew: boolean };
}

function grantOf(ask: GrantAsk): Grant {
  const { account, currency, amount, priority, expires, lowAt, reason, author, now } = ask;
  return {
    ...{ key: nameIn(account, ask.key), account, currency, amount, priority, expires, rollover: ask.rollover, lowAt },
    ...{ effective: ask.effective ?? now, funding: ask.paid === null ? 'promotion' : 'purchase' },
    ...{ reason, author, at: now },
  };
}

const purchaseOf = (grant: Grant, paid: { reference: string; method: string }, { key }: Transaction): Payment => ({
  ...{ account: grant.account, reference: paid.reference, kind: 'payment', amount: grant.amount },
  ...{ currency: grant.currency, receivedAt: grant.at, method: paid.method, refunds: '' },
  ...{ author: grant.author, at: grant.at, transaction: key },
});

/** When it begins has only to agree where it is said. */
function isRepeated(known: Grant, asked: Grant, { effective, paid }: GrantAsk, found: readonly Payment[]): void {
  const fields = ['amount', 'currency', 'priority', 'expires', 'funding', 'lowAt'] as const;
  const [was, is] = [known.rollover, asked.rollover];
  const isPaid = paid === null || found.some(({ transaction }) => transaction === grantingKey(known));
  const differ = [
    ...fields.filter((field) => known[field] !== asked[field]),
    ...(was?.least === is?.least && was?.most === is?.most ? [] : ['rollover']),
    ...(effective === null || effective === known.effective ? [] : ['effective']),
    ...(isPaid ? [] : ['paid']),
  ];
  const [differs] = differ;
  if (differs !== undefined)
    throw new LedgerError('credit.conflict', `The key is that of another credit: ${differs} differs.`, 'key');
}

/** Takes back what is left of a credit: of a bought one it becomes the customer's balance. Throws `credit.unknown`. */
export async function voidCredit(
  store: BillingStore,
  { account, key, entity, text, now }: { account: string; key: string; entity: string; text: string; now: Instant },
): Promise<GrantRest> {
  let taken: GrantRest | null = null;
  await store.change(account, { grants: [key] }, (_, { grants: [grant] }) => {
    if (grant === undefined) throw new LedgerError('credit.unknown', 'The account has no such credit.', 'key');
    taken = grant;
    return { transactions: present([voiding(grant, entity, text, now)]) };
  });
  return taken as unknown as GrantRest;
}

/** How long an invoice may still come that an ended credit pays for: a blocked period can take weeks. */
const HOLD_MS = 35 * 86_400_000;
const PAGE = 1000;

/**
 * Books the end of credits: once the period in which they ended is final, or 35 days later. Until then they pay for that
 * period, and for nothing else. Answers what it ended.
 *
 * @param setAside hears of an account whose credits could not be ended; the others' are. Throws only what is of the store.
 */
export async function expireCredits(
  store: BillingStore,
  entityOf: (account: string) => string,
  now: Instant,
  setAside: (account: string, error: unknown) => void,
): Promise<GrantRest[]> {
  const all: GrantRest[] = [];
  for (let after = ''; ; ) {
    const accounts = await store.expiring(now, after, PAGE);
    const billed = await store.lastFinalEnd(accounts);
    for (const account of accounts) {
      const ended = Math.max(billed.get(account) ?? 0, now - HOLD_MS);
      try {
        all.push(...(await expire(store, { account, entity: entityOf(account), ended, now })));
      } catch (error) {
        if (error instanceof StoreError && error.transient) throw error;
        setAside(account, error);
      }
    }
    after = accounts.at(-1) ?? '';
    if (accounts.length < PAGE) return all;
  }
}

async function expire(
  store: BillingStore,
  { account, entity, ended, now }: { account: string; entity: string; ended: Instant; now: Instant },
): Promise<GrantRest[]> {
  let due: GrantRest[] = [];
  await store.change(account, {}, ({ grants }) => {
    due = grants.filter(({ expires }) => expires !== null && expires <= ended && expires <= now);
    return { transactions: present(due.map((grant) => expiring(grant, entity, now))) };
  });
  return due;
}
