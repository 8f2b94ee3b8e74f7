/** What the cases of the books share: an invoice with its postings, payments, credits, in few words. */
import { createHash } from 'node:crypto';
import type {
  BillingStore,
  FinalInvoice,
  Finalised,
  Grant,
  Invoice,
  Payment,
  Posting,
  StoredDraft,
  Transaction,
} from '../billing-store.ts';

export const T = 1_795_000_000_000;
export const DAY = 86_400_000;

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

export const posting = (book: string, amount: bigint, more: Partial<Posting> = {}): Posting => ({
  book,
  amount,
  invoice: null,
  grant: null,
  ...more,
});

export const transaction = (
  key: string,
  postings: readonly Posting[],
  more: Partial<Transaction> = {},
): Transaction => ({
  ...{ key, tenant: 'acme', kind: 'settlement', at: T, currency: 'EUR', text: 'a text' },
  ...more,
  postings,
});

/** An invoice of `total` over the day `day`, posted as an invoice is. */
export const invoice = (day: number, more: Partial<FinalInvoice> = {}): FinalInvoice => {
  const account = more.account ?? 'acme';
  const total = more.total ?? 119n;
  const document = more.document ?? JSON.stringify({ account, day });
  const { currency = 'EUR', version = 1, kind = 'invoice' } = more;
  return {
    ...{ account, entity: 'default', kind, version, prefix: kind === 'invoice' ? 'INV-' : 'CN-', currency },
    ...{ from: T + day * DAY, to: T + (day + 1) * DAY, net: total, tax: 0n, total },
    ...{
      issuedAt: T + (day + 1) * DAY,
      dueAt: T + (day + 15) * DAY,
      frontier: 7,
      document,
      digest: digestOf(document),
    },
    ...{ voids: null, after: null, accounts: [], notices: [] },
    transactions: [
      transaction(
        `${kind}/${account}/${day}/${version}`,
        [posting(`receivable/${account}`, total, { invoice: 'new' }), posting('revenue/default', -total)],
        { tenant: account, kind: 'invoice', currency, at: T + (day + 1) * DAY },
      ),
    ],
    ...more,
  };
};

/** A credit note that reverses an invoice in full. */
export const voiding = (
  of: Pick<Invoice, 'id' | 'account' | 'from' | 'to' | 'open'>,
  more: Partial<FinalInvoice> = {},
) =>
  invoice(0, {
    ...{ account: of.account, kind: 'credit-note', from: of.from, to: of.to, total: of.open, voids: of.id },
    transactions: [
      transaction(
        `void/${of.id}`,
        [posting(`receivable/${of.account}`, -of.open, { invoice: of.id }), posting('revenue/default', of.open)],
        { tenant: of.account, kind: 'credit-note' },
      ),
    ],
    ...more,
  });

export const paying = (id: number, amount: bigint, key: string, account = 'acme'): Transaction =>
  transaction(key, [posting('cash', amount), posting(`receivable/${account}`, -amount, { invoice: id })], {
    tenant: account,
    kind: 'payment',
    at: T + 3 * DAY,
  });

export const grant = (key: string, more: Partial<Grant> = {}): Grant => ({
  ...{ key, account: 'acme', currency: 'EUR', amount: 100n, priority: 10, effective: T, expires: null },
  ...{ rollover: null, funding: 'promotion', lowAt: 20, reason: 'welcome', author: 'root', at: T },
  ...more,
});

export const granting = ({ key, account, amount, currency }: Grant): Transaction =>
  transaction(
    `grant/${key}`,
    [posting('promotion/default', amount), posting(`credit/${account}`, -amount, { grant: key })],
    {
      tenant: account,
      kind: 'credit-grant',
      currency,
    },
  );

export const using = (of: Grant, amount: bigint, key: string): Transaction =>
  transaction(
    key,
    [posting(`credit/${of.account}`, amount, { grant: of.key }), posting(`receivable/${of.account}`, -amount)],
    {
      tenant: of.account,
      kind: 'credit-use',
      currency: of.currency,
    },
  );

export const give = async (store: BillingStore, ...grants: readonly Grant[]): Promise<void> => {
  for (const one of grants)
    await store.change(one.account, {}, () => ({ grants: [one], transactions: [granting(one)] }));
};

export const payment = (reference: string, more: Partial<Payment> = {}): Payment => ({
  ...{ account: 'acme', reference, kind: 'payment', amount: 50n, currency: 'EUR', receivedAt: T, method: 'transfer' },
  ...{ refunds: '', author: 'root', at: T, transaction: `payment/${reference}` },
  ...more,
});

export const draft = (account: string, day: number, more: Partial<StoredDraft> = {}): StoredDraft => {
  const document = more.document ?? `{"draft":${day}}`;
  return {
    ...{ account, from: T + day * DAY, to: T + (day + 1) * DAY, entity: 'default', currency: 'EUR', total: 5n },
    ...{ frontier: 3, at: T, document, digest: digestOf(document), blocked: '' },
    ...more,
  };
};

/** Outcome and number of each, or the code of its refusal. */
export const told = (all: readonly Finalised[]): string[] =>
  all.map((one) => (one.outcome === 'refused' ? one.code : `${one.outcome} ${one.invoice.number}`));

/** The invoice that came of the only item. */
export const made = ([one]: readonly Finalised[]): Omit<Invoice, 'document'> => {
  if (one === undefined || one.outcome === 'refused') throw new Error(`Not final: ${JSON.stringify(one)}`);
  return one.invoice;
};
