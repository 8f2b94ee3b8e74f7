/** The books as plain lists. What PostgreSQL sums over an index is summed here over everything. */
import { receivableOf } from '../billing-checks.ts';
import { balanceKey, type LastBilled, type Standing, type Touched } from '../billing-judge.ts';
import type {
  AccountBooks,
  BillingRun,
  BookFound,
  BookLookup,
  Grant,
  GrantRest,
  Invoice,
  PostedTransaction,
  Posting,
  RunFailure,
  StoredCreditNotice,
  StoredDraft,
  StoredPayment,
} from '../billing-store.ts';

export type StoredInvoice = Omit<Invoice, 'open' | 'settledAt' | 'voidedBy'>;

export interface BillingState {
  numbers: Map<string, number>;
  invoices: StoredInvoice[];
  /** Ids, by account and key. */
  documentKeys: Map<string, number>;
  billed: Map<string, LastBilled>;
  drafts: Map<string, StoredDraft>;
  transactions: (PostedTransaction & { content: string })[];
  grants: (Grant & { id: number })[];
  payments: StoredPayment[];
  notices: Omit<StoredCreditNotice, 'currency' | 'amount'>[];
  runs: BillingRun[];
  failures: Map<string, RunFailure>;
}

export const billingState = (): BillingState => ({
  numbers: new Map(),
  invoices: [],
  documentKeys: new Map(),
  billed: new Map(),
  drafts: new Map(),
  transactions: [],
  grants: [],
  payments: [],
  notices: [],
  runs: [],
  failures: new Map(),
});

/** As PostgreSQL orders texts under "C": by bytes. */
export const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

type Located = Posting & { of: PostedTransaction };
const postings = (state: BillingState): Located[] =>
  state.transactions.flatMap((of) => of.postings.map((posting) => ({ ...posting, of })));
const sum = (rows: readonly Posting[]): bigint => rows.reduce((all, { amount }) => all + amount, 0n);

export function readInvoice(state: BillingState, invoice: StoredInvoice): Invoice {
  const on = postings(state).filter((posting) => posting.invoice === invoice.id);
  const later = on.filter(({ of }) => of.kind !== 'invoice').map(({ of }) => of.at);
  return {
    ...invoice,
    open: sum(on),
    settledAt: later.length === 0 ? null : Math.max(...later),
    voidedBy: state.invoices.find(({ voids }) => voids === invoice.id)?.id ?? null,
  };
}

export const withoutDocument = ({ document: _, ...invoice }: Invoice): Omit<Invoice, 'document'> => invoice;

export const readGrant = (state: BillingState, grant: Grant & { id: number }): GrantRest & { id: number } => ({
  ...grant,
  rest: -sum(postings(state).filter((posting) => posting.grant === grant.key)),
});

export const readTransaction = ({ content: _, ...transaction }: BillingState['transactions'][number]) => transaction;

function balanceOf(state: BillingState, account: string): Map<string, bigint> {
  const balances = new Map<string, bigint>();
  for (const { book, invoice, amount, of } of postings(state))
    if (book === receivableOf(account) && invoice === null)
      balances.set(of.currency, (balances.get(of.currency) ?? 0n) - amount);
  return balances;
}

const lastDocument = (state: BillingState, account: string): number =>
  state.invoices.filter((invoice) => invoice.account === account).at(-1)?.id ?? 0;

export function readStanding(state: BillingState, touched: Touched): Standing {
  const invoices = state.invoices.filter(({ id }) => touched.invoices.includes(id)).map((i) => readInvoice(state, i));
  const grants = state.grants.filter(({ key }) => touched.grants.includes(key)).map((grant) => readGrant(state, grant));
  return {
    billed: new Map(
      touched.billed.flatMap((id) => (state.billed.has(id) ? [[id, state.billed.get(id) as LastBilled]] : [])),
    ),
    transactions: new Map(state.transactions.map(({ key, content }) => [key, content])),
    invoices: new Map(
      invoices.map(({ id, account, currency, open, kind, voidedBy }) => [
        id,
        { account, currency, open, stands: kind === 'invoice' && voidedBy === null },
      ]),
    ),
    grants: new Map(grants.map(({ key, account, currency, rest }) => [key, { account, currency, rest }])),
    balances: new Map(
      touched.accounts.flatMap((account) =>
        [...balanceOf(state, account)].map(([currency, amount]) => [balanceKey(account, currency), amount] as const),
      ),
    ),
    lastDocument: new Map(touched.accounts.map((account) => [account, lastDocument(state, account)])),
  };
}

const withoutId = ({ id: _, ...grant }: GrantRest & { id: number }): GrantRest => grant;

export function readBooks(state: BillingState, account: string): AccountBooks {
  const open = state.invoices
    .filter((invoice) => invoice.account === account)
    .map((invoice) => readInvoice(state, invoice))
    .filter((invoice) => invoice.open !== 0n)
    .sort((a, b) => a.dueAt - b.dueAt || a.id - b.id);
  const grants = state.grants.filter((g) => g.account === account).map((grant) => readGrant(state, grant));
  return {
    account,
    open: open.map((i) => ({
      ...{ id: i.id, number: i.number, currency: i.currency, total: i.total, open: i.open },
      ...{ dueAt: i.dueAt, issuedAt: i.issuedAt },
    })),
    balance: Object.fromEntries([...balanceOf(state, account)].filter(([, amount]) => amount !== 0n)),
    grants: grants.filter((grant) => grant.rest > 0n).map(withoutId),
    lastDocument: lastDocument(state, account),
  };
}

export function readFound(state: BillingState, account: string, lookup: BookLookup): BookFound {
  const { references = [], refundsOf = [], grants = [], invoices = [], transactions = [] } = lookup;
  const payments = state.payments.filter(
    (p) =>
      p.account === account &&
      (references.includes(p.reference) || (p.refunds !== '' && refundsOf.includes(p.refunds))),
  );
  const keys = [...transactions, ...payments.map((payment) => payment.transaction)];
  return {
    payments,
    grants: state.grants
      .filter((grant) => grant.account === account && grants.includes(grant.key))
      .map((grant) => withoutId(readGrant(state, grant))),
    invoices: state.invoices
      .filter((invoice) => invoice.account === account && invoices.includes(invoice.id))
      .map((invoice) => withoutDocument(readInvoice(state, invoice))),
    transactions: state.transactions.filter((t) => t.tenant === account && keys.includes(t.key)).map(readTransaction),
  };
}
