/** A line of an invoice, explained: how its amount comes about, by which price and plan, of which records and readings. */

import { linesHolding } from '../billing/proof/holding.ts';
import { type ExplainedLine, explainLine } from '../billing/proof/line.ts';
import { readStored } from '../billing/proof/stored.ts';
import { Problem } from '../errors.ts';
import { type Explained, UsageError, type Viewer } from '../usage/index.ts';
import type { Principal } from './auth.ts';
import { type Context, mayReach } from './context.ts';
import { findInvoice, inZone, lineRow } from './invoice-rows.ts';
import { entitlementRow, priceRow, unitOf } from './limit-rows.ts';
import { amountText } from './money.ts';
import { isoText } from './time.ts';

/** More than this is not shown with the line: its references are explained one by one. */
const READINGS_MAX = 40n;
const REFERENCES_MAX = 3;

/** `INV-000001:3`; null: it is no such reference. */
export const readLineRef = (ref: string): { invoice: string; line: number } | null => {
  if (/^(receipt|event|refusal):/.test(ref)) return null;
  const [, invoice, line] = /^([^@]+):([1-9]\d{0,6})$/.exec(ref) ?? [];
  return invoice === undefined ? null : { invoice, line: Number(line) };
};

type Explain = (ref: string, viewer: Viewer, asOf: number) => Promise<Explained>;

/** Throws Problem `invoice.unknown`, `invoice.line`. */
export const explainInvoiceLine = async (
  context: Context,
  who: Principal,
  viewer: Viewer,
  name: { invoice: string; line: number },
  explain: Explain,
): Promise<Record<string, unknown>> => {
  const { final } = await findInvoice(context, who, name.invoice);
  const document = final === null ? null : readStored(final);
  if (final === null || document === null)
    throw new Problem('invoice.unknown', `${name.invoice} is no final document: only those are explained`);
  const reader = await context.usage.meteredAt(final.frontier);
  const explained = await explainLine(context.control.billing, reader, final, document, name.line);
  if (explained === null) throw new Problem('invoice.line', `${final.number} has no line ${name.line}`);
  const { currency, zone } = document;
  const at = inZone(context, final.account);
  const { number, kind, account, entity, frontier, digest } = final;
  const facts = await readingsOf(explained, viewer, frontier, explain);
  return {
    kind: 'line',
    invoice: { number, kind, account, entity, from: at(final.from), to: at(final.to), frontier, digest },
    line: lineRow(explained.line, currency, zone),
    meterUnit: explained.line.meter === '' ? null : unitOf(context, explained.line.meter),
    rounding: document.conventions.rounding,
    ...termsRow(context, explained),
    tax: explained.tax === null ? null : { ...explained.tax, ...taxAmounts(explained, currency) },
    again: explained.again === null ? null : amountText(BigInt(explained.again.amount), currency),
    series: explained.line.series.map(({ series, digest: own }) => ({ series, digest: own })),
    asOf: frontier,
    references: explained.references,
    facts: facts ?? [],
    factsShown: facts !== null,
  };
};

const termsRow = (context: Context, { plan, price, entitlement }: ExplainedLine) => ({
  plan: plan === null ? null : { ...plan, from: isoText(plan.from) },
  price: price === null ? null : priceRow(price),
  entitlement: entitlement === null ? null : { ...entitlementRow(context, entitlement), receipt: entitlement.version },
});

const taxAmounts = ({ tax }: ExplainedLine, currency: string) =>
  tax === null
    ? {}
    : { base: amountText(BigInt(tax.base), currency), amount: amountText(BigInt(tax.amount), currency) };

interface FactRow {
  receipt: number;
  t: string;
  value: string;
  amount: string | null;
  outcome: string;
}

/** Null: too many, or not this key's to see. */
const readingsOf = async (
  { references, count }: ExplainedLine,
  viewer: Viewer,
  asOf: number,
  explain: Explain,
): Promise<FactRow[] | null> => {
  if (references.length > REFERENCES_MAX || count > READINGS_MAX) return null;
  const rows: FactRow[] = [];
  try {
    for (const ref of references) {
      const found = await explain(ref, viewer, asOf);
      if (found.kind === 'counter')
        for (const { receipt, t, value, amount, outcome } of found.readings)
          rows.push({ receipt, t: isoText(t), value, amount, outcome });
      if (found.kind === 'tally')
        for (const { receipt, t, value, problem } of found.events)
          rows.push({ receipt, t: isoText(t), value, amount: value, outcome: problem ?? 'counted' });
    }
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
  return BigInt(rows.length) > READINGS_MAX ? null : rows;
};

/** Upwards: lines of invoices that a reading or event is in, of those the key can see. */
export const linesOfFact = async (context: Context, who: Principal, ref: string, explained: Explained) => {
  const place = placeOf(context, ref, explained);
  if (place === null) return [];
  const lines = await linesHolding(context.control.billing, context.log.book, place);
  return lines
    .filter(({ account }) => mayReach(context, who, account))
    .map(({ number, line, name }) => ({ line: `${number}:${line}`, name }));
};

const placeOf = ({ log: { book } }: Context, ref: string, explained: Explained) => {
  if (explained.kind === 'event') {
    const { receipt, t, tenant, subject } = explained.event;
    const account = book.ownerAt(tenant, subject, t);
    const counted = explained.counted.flatMap(({ meter, series }) => (series === null ? [] : [{ meter, series }]));
    return account === null ? null : { receipt, t, account, counted };
  }
  const receipt = Number(/^receipt:(\d+)$/.exec(ref)?.[1] ?? 0);
  const reading = explained.kind === 'counter' ? explained.readings.find((one) => one.receipt === receipt) : undefined;
  if (reading === undefined) return null;
  const { id, tenant, resource, meter } = explained.series;
  const account = book.ownerAt(tenant, resource, reading.t);
  return account === null ? null : { receipt, t: reading.t, account, counted: [{ meter, series: id }] };
};
