/** What a document posts when it becomes final: pure. */
import type { Instant } from '../../domain/window.ts';
import type {
  AccountBooks,
  FinalInvoice,
  GrantRest,
  Invoice,
  PostedTransaction,
  Posting,
  Transaction,
} from '../../store/billing-store.ts';
import { type CreditUse, chooseCredits, isInForce } from '../credit/choose.ts';
import { lowAfter } from '../credit/low.ts';
import { rollover } from '../credit/rollover.ts';
import { type Written, written } from '../invoice/canonical.ts';
import type { InvoiceDocument } from '../invoice/document.ts';
import { least, on, present, revenueOf, sumOf, taxOf, transactionOf } from './books.ts';
import { LedgerError } from './ledger-error.ts';
import { resetting } from './post-credit.ts';

/** What is said of a document beside its content. */
export interface Issue {
  prefix: string;
  issuedAt: Instant;
  dueAt: Instant;
  /** See FinalInvoice. */
  after: number | null;
  /** Of those whom the document is for: see BillingStore.lastFor. Of whom nothing is said nothing is asked. */
  lastFor?: ReadonlyMap<string, number>;
}

export interface InvoiceIssue extends Issue {
  /** End of the latest period that the account ever had an invoice for, void or not; 0: it had none. */
  billedTo: Instant;
}

type Head = Written['head'];

/** The document's name in keys of transactions: the account's own, by kind, period and version. */
export const documentKey = ({
  kind,
  account,
  from,
  to,
  version,
}: Pick<InvoiceDocument, 'kind' | 'account' | 'from' | 'to' | 'version'>): string =>
  `${kind}/${account}/${from}/${to}/${version}`;

const amountsOf = (document: Head) => {
  const [net, tax, total] = [BigInt(document.net), BigInt(document.tax), BigInt(document.total)];
  const taxes = document.taxes.map(({ jurisdiction, amount }) => ({ jurisdiction, amount: BigInt(amount) }));
  if (net + tax !== total || sumOf(taxes.map(({ amount }) => amount)) !== tax)
    throw new LedgerError('ledger.document', `The totals of the document of ${document.account} do not add up.`);
  return { net, tax, total, taxes };
};

/** Other side of the customer's: what was earned and what is owed to the tax office. */
const earned = (document: Head): Posting[] => {
  const { net, taxes } = amountsOf(document);
  return [
    on.book(revenueOf(document.entity), -net),
    ...taxes.map(({ jurisdiction, amount }) => on.book(taxOf(jurisdiction), -amount)),
  ];
};

const headOf = (document: Head, at: Instant): Omit<Transaction, 'postings'> => ({
  key: documentKey(document),
  tenant: document.account,
  kind: document.kind,
  at,
  currency: document.currency,
  text: document.reason,
});

/**
 * An invoice, ready to be made final: what it is about, then credits that pay for it, then the customer's balance.
 *
 * @param books the account's, of now: a change since is refused as `books.changed`, and the invoice made anew.
 * @throws LedgerError `ledger.document`
 */
export function finalInvoice(one: Written, issue: InvoiceIssue, books: AccountBooks): FinalInvoice {
  const { head: document } = one;
  const { account, currency } = document;
  const { total } = amountsOf(document);
  const at = issue.issuedAt;
  const opened = transactionOf(headOf(document, at), [
    on.receivable(account, total, total > 0n ? 'new' : null),
    ...earned(document),
  ]);
  const uses = total > 0n ? chooseCredits(books.grants, currency, total, periodEnd(document)) : [];
  const left = total > 0n ? total - sumOf(uses.map(({ amount }) => amount)) : 0n;
  const balance = least(left, books.balance[currency] ?? 0n);
  const settled = [
    usingCredits({ key: `credit-use/${documentKey(document)}`, account, currency, at }, uses, 'new'),
    usingBalance({ key: `settlement/${documentKey(document)}`, account, currency, at }, [
      { invoice: 'new', amount: balance },
    ]),
  ];
  const rest = books.grants.map((grant) => ({ ...grant, rest: grant.rest - usedOf(uses, grant.key) }));
  return {
    ...base(one, issue),
    voids: null,
    transactions: present([opened, ...settled, ...resets(document, rest, issue)]),
    notices: lowAfter(books.grants, uses, at),
  };
}

/** Credits pay for a period that they outlast: as of its last instant, whenever its invoice becomes final. */
const periodEnd = ({ from, to }: Head): Instant => (from < to ? to - 1 : to);

const usedOf = (uses: readonly CreditUse[], key: string): bigint =>
  sumOf(uses.filter(({ grant }) => grant === key).map(({ amount }) => amount));

/**
 * The end of a period is a reset of the credits in force: with its invoice, and once. Billed anew, the last period only
 * cuts: what a void invoice has given back goes on no further than else. Of one before it nothing is reset: what was left
 * then has been used since.
 */
function resets(
  document: Head,
  grants: readonly GrantRest[],
  { issuedAt: at, billedTo }: InvoiceIssue,
): (Transaction | null)[] {
  const { from, to } = document;
  if (from === to || to < billedTo) return [];
  const due = grants.filter((grant) => isInForce(grant, to - 1) && isInForce(grant, to));
  return due.map((grant) => {
    if (grant.rollover === null) return null;
    const { most } = grant.rollover;
    const least = to === billedTo ? 0n : grant.rollover.least;
    const { balance } = rollover(grant.rest, 0n, { least, most, keepOverage: false });
    return resetting(grant, balance, document.entity, { key: documentKey(document), at });
  });
}

/**
 * A credit note, ready to be made final; its amounts are below 0. It closes what is open of what it corrects, the rest is
 * the customer's balance.
 *
 * @param corrected the invoice, as read now; null for a credit note that corrects none.
 */
export function finalCreditNote(
  document: InvoiceDocument,
  issue: Issue,
  corrected: Pick<Invoice, 'id' | 'open'> | null,
): FinalInvoice {
  const { total } = amountsOf(document);
  if (total > 0n) throw new LedgerError('ledger.document', 'A credit note is of less than nothing.');
  const closes = least(corrected?.open ?? 0n, -total);
  const posted = transactionOf(headOf(document, issue.issuedAt), [
    on.receivable(document.account, -closes, corrected?.id ?? null),
    on.receivable(document.account, total + closes, null),
    ...earned(document),
  ]);
  return { ...base(written(document), issue), voids: null, transactions: present([posted]), notices: [] };
}

/**
 * The credit note that voids an invoice: the same amounts the other way. What had settled the invoice goes back, credits to
 * their grants and all else to the customer's balance. Of an invoice of less than nothing the balance is taken back; what
 * of it is gone is owed on the credit note.
 *
 * @param settled all transactions on the invoice: `transactions({ invoice: id })`.
 * @param books the account's; left away, the balance stays, and all that is taken back is owed on the credit note.
 */
export function finalVoid(
  document: InvoiceDocument,
  issue: Issue,
  voided: Pick<Invoice, 'id' | 'open' | 'total'>,
  settled: readonly PostedTransaction[],
  { balance }: Pick<AccountBooks, 'balance'> = { balance: {} },
): FinalInvoice {
  const { account, currency } = document;
  const { total } = amountsOf(document);
  if (total !== -voided.total)
    throw new LedgerError('ledger.document', `The credit note of ${account} does not reverse all of the invoice.`);
  const credits = creditsOn(voided.id, settled);
  const rest = total + voided.open + sumOf(credits.map(({ amount }) => amount));
  const owed = rest > 0n ? rest - least(rest, balance[currency] ?? 0n) : 0n;
  const posted = transactionOf(headOf(document, issue.issuedAt), [
    on.receivable(account, -voided.open, voided.id),
    ...credits.map(({ grant, amount }) => on.credit(account, -amount, grant)),
    on.receivable(account, rest - owed, null),
    on.receivable(account, owed, 'new'),
    ...earned(document),
  ]);
  return { ...base(written(document), issue), voids: voided.id, transactions: present([posted]), notices: [] };
}

/** Credits that paid for an invoice, by grant. A transaction that uses credits is about one invoice. */
function creditsOn(invoice: number, settled: readonly PostedTransaction[]): CreditUse[] {
  const used = new Map<string, bigint>();
  for (const { kind, postings } of settled) {
    const about = postings.some((posting) => posting.invoice === invoice);
    if (kind !== 'credit-use' || !about) continue;
    for (const { grant, amount } of postings) if (grant !== null) used.set(grant, (used.get(grant) ?? 0n) + amount);
  }
  return [...used].map(([grant, amount]) => ({ grant, amount }));
}

function base({ head, text, digest }: Written, { prefix, issuedAt, dueAt, after, lastFor }: Issue) {
  const { account, entity, kind, from, to, version, currency, frontier } = head;
  const { net, tax, total } = amountsOf(head);
  const accounts = (head.accounts ?? [account]).map((id) => ({ account: id, after: lastFor?.get(id) ?? null }));
  return {
    ...(head.key === undefined ? {} : { key: head.key }),
    ...{ account, entity, kind, from, to, version, currency, frontier, net, tax, total },
    ...{ prefix, issuedAt, dueAt, after, accounts, document: text, digest },
  };
}

interface Entry {
  key: string;
  account: string;
  currency: string;
  at: Instant;
}

const usingCredits = (
  { key, account, currency, at }: Entry,
  uses: readonly CreditUse[],
  invoice: Posting['invoice'],
): Transaction | null =>
  transactionOf({ key, tenant: account, kind: 'credit-use', at, currency, text: '' }, [
    ...uses.map(({ grant, amount }) => on.credit(account, amount, grant)),
    on.receivable(account, -sumOf(uses.map(({ amount }) => amount)), invoice),
  ]);

/** Moves of the customer's balance to invoices. */
export const usingBalance = (
  { key, account, currency, at }: Entry,
  parts: readonly { invoice: number | 'new'; amount: bigint }[],
): Transaction | null =>
  transactionOf({ key, tenant: account, kind: 'settlement', at, currency, text: '' }, [
    on.receivable(account, sumOf(parts.map(({ amount }) => amount)), null),
    ...parts.map(({ invoice, amount }) => on.receivable(account, -amount, invoice)),
  ]);
