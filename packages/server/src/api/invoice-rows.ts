/** Invoices and drafts as rows, and how they are named in paths. */
import { type Static, Type } from '@sinclair/typebox';
import type { Blocked, Line } from '../billing/invoice/document.ts';
import { formatInstant } from '../domain/calendar.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import { type Invoice, invoiceState, type StoredDraft } from '../store/billing-store.ts';
import type { Principal } from './auth.ts';
import { zoneOf } from './catalogue-change.ts';
import { type Context, mayReach } from './context.ts';
import { amountText } from './money.ts';
import { NullableText, Words } from './provider.ts';

export const states = ['draft', 'open', 'overdue', 'paid', 'void'] as const;
const Amount = Type.String({ description: 'An exact decimal of the currency' });

export const InvoiceRow = Type.Object({
  ref: Type.String({ description: 'Its name in paths: the id, of a draft its account and period' }),
  number: NullableText({ description: 'null: a draft has none' }),
  kind: Words(['invoice', 'credit-note']),
  account: Type.String({ description: 'Who pays' }),
  entity: Type.String({ description: 'Who bills' }),
  from: Type.String({ description: 'Of the period, in the zone of the account; from = to: paid in advance' }),
  to: Type.String(),
  version: Type.Integer(),
  currency: Type.String(),
  total: Amount,
  open: Amount,
  state: Words([...states, 'final'], { description: '`final`: a credit note' }),
  issuedAt: NullableText(),
  dueAt: NullableText({ description: 'Overdue from then on: the midnight after the last day to pay' }),
  frontier: Type.Integer({ description: 'S: every fact with a receipt up to here was known, none above' }),
  digest: Type.String(),
  blocked: Type.Array(Type.String(), { description: 'Why it cannot be final yet' }),
});
export type InvoiceRow = Static<typeof InvoiceRow>;

export const LineRow = Type.Object(
  {
    no: Type.Integer(),
    kind: Type.String(),
    account: Type.String(),
    plan: Type.String(),
    planVersion: Type.Integer(),
    price: Type.String(),
    name: Type.String(),
    from: Type.String(),
    to: Type.String(),
    quantity: NullableText(),
    unit: Type.String(),
    metered: NullableText(),
    meter: Type.String(),
    state: Type.String(),
    flags: Type.Array(Type.String()),
    exact: Type.String({ description: 'Before it was rounded: a decimal, or a fraction' }),
    amount: Amount,
    tax: NullableText(),
    currency: Type.String(),
    corrects: Type.String(),
    digest: Type.String(),
  },
  { additionalProperties: true },
);

type Head = Omit<Invoice, 'document'>;

export const invoiceRow = (context: Context, invoice: Head): InvoiceRow => {
  const { id, number, kind, account, entity, version, currency, frontier, digest } = invoice;
  const at = inZone(context, account);
  return {
    ...{
      ref: String(id),
      number,
      kind,
      account,
      entity,
      from: at(invoice.from),
      to: at(invoice.to),
      version,
      currency,
    },
    ...{ total: amountText(invoice.total, currency), open: amountText(invoice.open, currency) },
    state: kind === 'credit-note' ? 'final' : invoiceState(invoice, context.clock.now()),
    ...{ issuedAt: at(invoice.issuedAt), dueAt: at(invoice.dueAt), frontier, digest, blocked: [] },
  };
};

export const draftRow = (context: Context, draft: Omit<StoredDraft, 'document'>): InvoiceRow => {
  const { account, entity, currency, frontier, digest } = draft;
  const at = inZone(context, account);
  const total = amountText(draft.total, currency);
  return {
    ...{ ref: draftRef(draft), number: null, kind: 'invoice', account, entity, from: at(draft.from), to: at(draft.to) },
    ...{ version: 0, currency, total, open: total, state: 'draft', issuedAt: null, dueAt: null, frontier, digest },
    blocked: blockedOf(draft).map(({ reason }) => reason),
  };
};

const blockedOf = ({ blocked }: Pick<StoredDraft, 'blocked'>): Blocked[] =>
  blocked === '' ? [] : (JSON.parse(blocked) as Blocked[]);

export const lineRow = (line: Line, currency: string, zone: string): Static<typeof LineRow> => {
  const { series: _series, key: _key, steps, taxCategory, tax, taxNo: _taxNo, ...rest } = line;
  return {
    ...rest,
    ...{ from: formatInstant(line.from, zone), to: formatInstant(line.to, zone), flags: [...line.flags], currency },
    ...{ amount: amountText(BigInt(line.amount), currency), taxCategory, steps },
    tax: tax === undefined ? null : amountText(BigInt(tax), currency),
  };
};

export const inZone = (context: Context, account: string): ((t: Instant) => string) => {
  const zone = zoneOf(context, account);
  return (t) => formatInstant(t, zone);
};

const draftRef = ({ from, to, account }: { from: Instant; to: Instant; account: string }): string =>
  `draft:${from}:${to}:${account}`;

export interface DraftName {
  account: string;
  from: Instant;
  to: Instant;
}
export const readDraftRef = (ref: string): DraftName | null => {
  const [, from, to, account] = /^draft:(\d{1,15}):(\d{1,15}):(.+)$/s.exec(ref) ?? [];
  return account === undefined ? null : { account, from: Number(from), to: Number(to) };
};

const unknown = (ref: string): Problem =>
  new Problem('invoice.unknown', `There is no invoice ${JSON.stringify(ref)} that this key can see`);

export type Found = { final: Invoice; draft: null } | { final: null; draft: StoredDraft };

/** By id, number, or the name of a draft. What is out of reach is not there. Throws `invoice.unknown`. */
export const findInvoice = async (context: Context, who: Principal, ref: string): Promise<Found> => {
  const { billing } = context.control;
  const name = readDraftRef(ref);
  if (name !== null) {
    if (!mayReach(context, who, name.account)) throw unknown(ref);
    const draft = await billing.draft(name.account, name.from, name.to);
    if (draft === null) throw unknown(ref);
    return { final: null, draft };
  }
  const byId = /^[1-9]\d{0,14}$/.test(ref) ? await billing.invoice(Number(ref)) : null;
  const found = [byId, ...(await billing.invoicesByNumber(ref))].filter((one) => one !== null);
  const [own, other] = found.filter(({ account }) => mayReach(context, who, account));
  if (own === undefined) throw unknown(ref);
  if (other !== undefined && other.id !== own.id) {
    const ids = found.map(({ id }) => id).join(', ');
    throw new Problem('invoice.unknown', `Several documents have the number ${ref}: name one by its id: ${ids}`);
  }
  return { final: own, draft: null };
};
