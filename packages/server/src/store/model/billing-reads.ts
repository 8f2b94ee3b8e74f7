/** Reading the books in memory. */
import type {
  BillingStore,
  BookBalance,
  FinalDocument,
  FinalHead,
  GrantRest,
  Invoice,
  PostedTransaction,
  StoredCreditNotice,
  StoredPayment,
} from '../billing-store.ts';
import { checkWhole } from '../control-checks.ts';
import {
  type BillingState,
  byBytes,
  readGrant,
  readInvoice,
  readTransaction,
  withoutDocument,
} from './billing-state.ts';

type Filter<K extends keyof BillingStore> = BillingStore[K] extends (filter: infer F) => unknown ? F : never;

const inState: Readonly<Record<NonNullable<Filter<'invoices'>['state']>, (invoice: Invoice, now: number) => boolean>> =
  {
    open: (i) => i.open > 0n && i.voidedBy === null,
    overdue: (i, now) => i.open > 0n && i.voidedBy === null && i.dueAt <= now,
    paid: (i) => i.open === 0n && i.voidedBy === null,
    void: (i) => i.voidedBy !== null,
  };

/** Rows of some accounts, or of all, newest first. */
const page = <T extends { id: number; account: string }>(
  rows: readonly T[],
  {
    accounts,
    before = Number.MAX_SAFE_INTEGER,
    limit,
  }: { accounts?: readonly string[]; before?: number; limit: number },
): T[] => {
  checkWhole('limit', limit, 0);
  return rows
    .filter((row) => row.id < before && (accounts?.includes(row.account) ?? true))
    .reverse()
    .slice(0, limit);
};

function documentsOf(state: BillingState, accounts: readonly string[], from: number): Invoice[] {
  checkWhole('from', from);
  return state.invoices
    .filter((i) => accounts.includes(i.account) && (i.to > from || (i.from === from && i.to === from)))
    .sort((a, b) => byBytes(a.account, b.account) || a.id - b.id)
    .map((invoice) => readInvoice(state, invoice));
}

const headOf = ({ id, number, account, kind, from, to, version, frontier, voids, voidedBy }: Invoice): FinalHead => ({
  ...{ id, number, account, kind, from, to, version, frontier, voids, voidedBy },
});

export const billingReads = (state: BillingState) => ({
  invoice: (id: number): Invoice | null => {
    checkWhole('id', id);
    const found = state.invoices.find((invoice) => invoice.id === id);
    return found === undefined ? null : readInvoice(state, found);
  },

  invoicesByNumber: (number: string): Invoice[] =>
    state.invoices.filter((invoice) => invoice.number === number).map((invoice) => readInvoice(state, invoice)),

  invoices: (filter: Filter<'invoices'>) => {
    const { entity, kind, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = filter;
    const now = filter.now ?? Number.MAX_SAFE_INTEGER;
    const found = state.invoices
      .map((invoice) => readInvoice(state, invoice))
      .filter((i) => (entity === undefined || i.entity === entity) && (kind === undefined || i.kind === kind))
      .filter((i) => i.to > from && i.from < to)
      .filter((i) => filter.state === undefined || inState[filter.state](i, now));
    return page(found, filter).map(withoutDocument);
  },

  documentsOf: (accounts: readonly string[], from: number): Invoice[] => documentsOf(state, accounts, from),

  finalDocuments: (accounts: readonly string[], from: number): FinalDocument[] =>
    documentsOf(state, accounts, from).map((invoice) => ({ ...headOf(invoice), document: invoice.document })),

  finalHeads: (accounts: readonly string[]): FinalHead[] =>
    state.invoices.filter((i) => accounts.includes(i.account)).map((invoice) => headOf(readInvoice(state, invoice))),

  documentByKey: (account: string, key: string): Invoice | null => {
    const id = state.documentKeys.get(JSON.stringify([account, key]));
    const found = state.invoices.find((invoice) => invoice.id === id);
    return found === undefined ? null : readInvoice(state, found);
  },

  lastFor: (accounts: readonly string[]): Map<string, number> =>
    new Map(accounts.map((account) => [account, state.billed.get(account)?.last ?? 0])),

  lastFinalEnd: (accounts: readonly string[]): Map<string, number> => {
    const last = new Map<string, number>();
    for (const invoice of state.invoices.map((i) => readInvoice(state, i)))
      if (invoice.kind === 'invoice' && invoice.voidedBy === null && accounts.includes(invoice.account))
        last.set(invoice.account, Math.max(invoice.to, last.get(invoice.account) ?? Number.NEGATIVE_INFINITY));
    return last;
  },

  balances: (books: readonly string[]): BookBalance[] => {
    const found = new Map<string, BookBalance>();
    const asked = (book: string): boolean =>
      books.some((name) => book === name || (name.endsWith('/') && book.startsWith(name)));
    for (const { currency, postings } of state.transactions)
      for (const { book, amount } of postings.filter((posting) => asked(posting.book))) {
        const name = `${currency} ${book}`;
        found.set(name, { book, currency, amount: (found.get(name)?.amount ?? 0n) + amount });
      }
    return [...found.values()].sort((a, b) => byBytes(a.book, b.book) || byBytes(a.currency, b.currency));
  },

  transactions: (filter: Filter<'transactions'>): PostedTransaction[] => {
    checkWhole('limit', filter.limit, 0);
    const { tenants, book, kind, invoice, grant } = filter;
    const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY, before = Number.MAX_SAFE_INTEGER } = filter;
    const onBook = (name: string): boolean =>
      book === undefined || (book.endsWith('/') ? name.startsWith(book) : name === book);
    return state.transactions
      .filter((t) => t.id < before && t.at >= from && t.at < to && (tenants?.includes(t.tenant) ?? true))
      .filter((t) => kind === undefined || t.kind === kind)
      .filter((t) => t.postings.some((p) => onBook(p.book)))
      .filter((t) => invoice === undefined || t.postings.some((p) => p.invoice === invoice))
      .filter((t) => grant === undefined || t.postings.some((p) => p.grant === grant))
      .reverse()
      .slice(0, filter.limit)
      .map(readTransaction);
  },

  grants: (filter: Filter<'grants'>): (GrantRest & { id: number })[] =>
    page(
      state.grants.filter((grant) => filter.keys?.includes(grant.key) ?? true),
      filter,
    ).map((grant) => readGrant(state, grant)),

  expiring: (t: number, after: string, limit: number): string[] => {
    checkWhole('limit', limit, 0);
    const found = state.grants
      .filter((grant) => grant.expires !== null && grant.expires <= t && byBytes(grant.account, after) > 0)
      .filter((grant) => readGrant(state, grant).rest > 0n);
    return [...new Set(found.map((grant) => grant.account))].sort(byBytes).slice(0, limit);
  },

  creditNotices: (filter: Filter<'creditNotices'>): StoredCreditNotice[] =>
    page(state.notices, filter).map((notice) => {
      const { currency, amount } = state.grants.find(({ key }) => key === notice.grant) ?? { currency: '', amount: 0n };
      return { ...notice, currency, amount };
    }),

  payments: (filter: Filter<'payments'>): StoredPayment[] => page(state.payments, filter),
});
