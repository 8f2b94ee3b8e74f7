/** Payments and refunds of one account: decided under its lock, the same again changes nothing. */
import type { Instant } from '../../domain/window.ts';
import type {
  AccountBooks,
  BillingStore,
  BookChange,
  BookFound,
  Payment,
  StoredPayment,
  Transaction,
} from '../../store/billing-store.ts';
import { least, nameIn, present, sumOf } from './books.ts';
import { LedgerError } from './ledger-error.ts';
import { usingBalance } from './post-document.ts';
import { allocate, type Part, paying, refunding, settledOn } from './post-payment.ts';

export interface PaymentAsk {
  account: string;
  /** Unique in the account: of the bank statement, of the payment provider. */
  reference: string;
  amount: bigint;
  currency: string;
  /** Null: now. */
  receivedAt: Instant | null;
  method: string;
  /** Id of the invoice it is for; null: those due first. */
  invoice: number | null;
  /** What the account is billed in: other money comes only for what is open in it. Left away: any may be balance. */
  billedIn?: string | undefined;
  author: string;
  now: Instant;
}

export interface Recorded {
  payment: Payment;
  /** False: it was there. */
  isNew: boolean;
  settled: readonly Part[];
}

/** Books money that came. Throws LedgerError `payment.conflict`, `invoice.unknown`, `invoice.paid`, `payment.currency`. */
export async function recordPayment(store: BillingStore, ask: PaymentAsk): Promise<Recorded> {
  const payment = paymentOf(ask, 'payment', '');
  let recorded: Recorded | null = null;
  const lookup = {
    references: [ask.reference],
    ...(ask.invoice === null ? {} : { invoices: [ask.invoice] }),
  };
  await store.change(ask.account, lookup, (books, found) => {
    const known = found.payments.find(({ reference }) => reference === ask.reference);
    if (known !== undefined) {
      isRepeated(known, payment, ask);
      const settled = found.transactions.flatMap(settledOn);
      isOfInvoice(ask.invoice, settled);
      recorded = { payment: known, isNew: false, settled };
      return {};
    }
    const settled = partsOf(ask, books, found);
    recorded = { payment, isNew: true, settled };
    return { payments: [payment], transactions: present([paying(payment, settled), alsoBalance(ask, books, settled)]) };
  });
  return recorded as unknown as Recorded;
}

/** A balance beside open invoices (a credit note left it) settles what the payment leaves open. */
function alsoBalance(ask: PaymentAsk, { balance, open }: AccountBooks, settled: readonly Part[]): Transaction | null {
  const { account, currency, now } = ask;
  if (ask.invoice !== null) return null;
  const paid = new Map(settled.map(({ invoice, amount }) => [invoice, amount]));
  const left = open.map((one) => ({ ...one, open: one.open - (paid.get(one.id) ?? 0n) }));
  const key = `settlement/${keyOf('payment', account, ask.reference)}`;
  return usingBalance({ key, account, currency, at: now }, allocate(balance[currency] ?? 0n, currency, left));
}

function partsOf(ask: PaymentAsk, books: AccountBooks, { invoices }: BookFound): Part[] {
  const { amount, currency, invoice } = ask;
  if (invoice === null) {
    checkCurrency(ask, books);
    return allocate(amount, currency, books.open);
  }
  const named = invoices.find(({ id }) => id === invoice);
  if (named === undefined) throw new LedgerError('invoice.unknown', 'The account has no such invoice.', 'invoice');
  if (named.currency !== currency)
    throw new LedgerError(
      'payment.currency',
      `${named.number} is in ${named.currency}, not in ${currency}.`,
      'currency',
    );
  if (named.open === 0n) throw new LedgerError('invoice.paid', `Nothing of ${named.number} is open.`, 'invoice');
  return allocate(
    amount,
    currency,
    books.open.filter(({ id }) => id === invoice),
  );
}

/** Another currency than the account's only settles what is open in it: else it is a slip of the pen. */
function checkCurrency({ currency, billedIn = currency }: PaymentAsk, { open }: AccountBooks): void {
  if (currency === billedIn || open.some((invoice) => invoice.currency === currency)) return;
  const message = `The account is billed in ${billedIn}, and owes nothing in ${currency}.`;
  throw new LedgerError('payment.currency', message, 'currency');
}

export interface RefundAsk extends Omit<PaymentAsk, 'invoice' | 'billedIn'> {
  /** Reference of the payment that goes back; '' for the customer's balance. */
  payment: string;
}

/**
 * Books money that went back. Of the balance; of a named payment at most what it was, and where the balance does not
 * reach, invoices that the payment had settled are owed again. Throws LedgerError `payment.unknown`,
 * `payment.currency`, `refund.too_much`, `payment.conflict`.
 */
export async function recordRefund(store: BillingStore, ask: RefundAsk): Promise<Recorded> {
  const refund = paymentOf(ask, 'refund', ask.payment);
  const named = ask.payment === '' ? [] : [ask.payment];
  let recorded: Recorded | null = null;
  const lookup = { references: [ask.reference, ...named], refundsOf: named };
  await store.change(ask.account, lookup, (books, found) => {
    const known = found.payments.find(({ reference }) => reference === ask.reference);
    if (known !== undefined) {
      isRepeated(known, refund, ask);
      const own = found.transactions.filter(({ key }) => key === known.transaction).flatMap(settledOn);
      recorded = { payment: known, isNew: false, settled: own.map((part) => ({ ...part, amount: -part.amount })) };
      return {};
    }
    const reopened = ask.payment === '' ? ofBalance(ask, books) : ofPayment(ask, books, found);
    recorded = { payment: refund, isNew: true, settled: reopened };
    return { payments: [refund], transactions: [refunding(refund, reopened)] } satisfies BookChange;
  });
  return recorded as unknown as Recorded;
}

function ofBalance({ amount, currency }: RefundAsk, { balance }: AccountBooks): Part[] {
  const held = balance[currency] ?? 0n;
  if (amount > held)
    throw new LedgerError('refund.too_much', 'The balance of the account is less than this.', 'amount');
  return [];
}

function ofPayment(ask: RefundAsk, { balance }: AccountBooks, found: BookFound): Part[] {
  const payment = found.payments.find(({ reference, kind }) => reference === ask.payment && kind === 'payment');
  if (payment === undefined)
    throw new LedgerError('payment.unknown', 'The account has no payment with this reference.', 'payment');
  if (payment.currency !== ask.currency)
    throw new LedgerError('payment.currency', `The payment was in ${payment.currency}.`, 'currency');
  const gone = found.payments.filter(({ refunds }) => refunds === ask.payment);
  const left = payment.amount - sumOf(gone.map(({ amount }) => amount));
  if (ask.amount > left) throw new LedgerError('refund.too_much', 'Less than this is left of the payment.', 'amount');
  let missing = ask.amount - least(ask.amount, balance[ask.currency] ?? 0n);
  const reopened: Part[] = [];
  for (const { invoice, amount } of stillSettled(found).reverse()) {
    const part = least(missing, amount);
    if (part > 0n) reopened.push({ invoice, amount: part });
    missing -= part;
  }
  if (missing > 0n)
    throw new LedgerError(
      'refund.too_much',
      'What the payment paid was settled otherwise since: refund less.',
      'amount',
    );
  return reopened;
}

/** What the payment has settled and no refund has opened again, in its order. */
function stillSettled({ transactions }: BookFound): Part[] {
  const parts = new Map<number, bigint>();
  for (const { invoice, amount } of transactions.flatMap(settledOn))
    parts.set(invoice, (parts.get(invoice) ?? 0n) + amount);
  return [...parts].map(([invoice, amount]) => ({ invoice, amount }));
}

const keyOf = (kind: Payment['kind'], account: string, reference: string): string =>
  `${kind}/${nameIn(account, reference)}`;

function paymentOf(ask: Omit<PaymentAsk, 'invoice' | 'billedIn'>, kind: Payment['kind'], refunds: string): Payment {
  const { account, reference, amount, currency, method, author, now } = ask;
  const transaction = keyOf(kind, account, reference);
  return {
    ...{ account, reference, kind, amount, currency, receivedAt: ask.receivedAt ?? now, method },
    ...{ refunds, author, at: now, transaction },
  };
}

/** The same money told again; when it came has only to agree where it is said. */
function isRepeated(known: StoredPayment, asked: Payment, { receivedAt }: Pick<PaymentAsk, 'receivedAt'>): void {
  const fields = ['kind', 'amount', 'currency', 'method', 'refunds'] as const;
  const other = fields.find((field) => known[field] !== asked[field]);
  const late = receivedAt !== null && receivedAt !== known.receivedAt ? 'receivedAt' : undefined;
  const field = other ?? late;
  if (field !== undefined) throw conflict(field);
}

/** Which invoice was named is not kept; what is for one settles that one alone, so its postings say. */
function isOfInvoice(named: number | null, settled: readonly Part[]): void {
  if (named !== null && (settled.length !== 1 || settled[0]?.invoice !== named)) throw conflict('invoice');
}

const conflict = (field: string): LedgerError =>
  new LedgerError('payment.conflict', `The reference is that of another payment: ${field} differs.`, 'reference');
