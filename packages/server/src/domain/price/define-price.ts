/** One price of a plan: everything that is wrong with it at once. The words are documented in docs/operating/plans.md. */
import { CalendarError, parseInstant } from '../calendar.ts';
import { Misread, quoted } from '../limit/amount.ts';
import { UNKNOWN_METERED } from '../limit/define-limit.ts';
import { Fields } from '../limit/fields.ts';
import { REQUESTS } from '../limit/limit.ts';
import type { Flaw, Tree } from '../limit/located.ts';
import { type Metered, type MetersByKey, readMetered, unknownDimension } from '../limit/metered-unit.ts';
import type { Entitlement } from '../limit/plan.ts';
import { plainUnit, roundings } from '../quantity.ts';
import { trafficTypes } from '../series.ts';
import type { Instant } from '../window.ts';
import { readCondition } from './condition.ts';
import { readDecimal, readMoney, readPercent, scaledBy } from './decimal.ts';
import { inside, modelFields, readModel, refuseCrossed } from './define-model.ts';
import { type Per, readPer } from './define-per.ts';
import { fitting } from './define-period.ts';
import type { DecimalText, FeePrice, PlanBilling, Price, UsagePrice } from './price.ts';

const feeFields = ['fee', 'term', 'prorate'];
const usageFields = [
  ...['meter', ...modelFields, 'where', 'round', 'included', 'discount', 'minimum', 'maximum', 'commitment', 'when'],
];
const priceFields = ['key', 'name', 'tax', 'from', 'to', 'per', ...feeFields, ...usageFields];
const CATEGORY = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;
const VALUES_MAX = 200;
const roundingWords = ['none', ...roundings] as const;

/** What a price is read against. */
export interface AroundPrice {
  meters: MetersByKey;
  entitlements: readonly Entitlement[];
  currency: string;
  period: PlanBilling['period'];
  anchor: PlanBilling['anchor'];
}

export function readPrice(tree: Tree, around: AroundPrice, flaws: Flaw[]): Price {
  const fields = new Fields(tree, flaws, priceFields, 'a price');
  const key = fields.key();
  const base = { key, name: fields.text('name', key, 200), tax: readTax(fields), ...readSpan(fields) };
  const isFee = fields.has('fee');
  for (const name of isFee ? usageFields : ['term', 'prorate'])
    if (fields.has(name)) fields.wrong(name, isFee ? 'is of usage, and this price is a fee' : 'goes with `fee`');
  return isFee ? { ...base, ...readFee(fields, around) } : { ...base, ...readUsage(fields, around, flaws) };
}

function readTax(fields: Fields): string {
  const tax = fields.text('tax', '', 63);
  if (tax !== '' && !CATEGORY.test(tax))
    fields.wrong('tax', `${quoted(tax)} is no category: lower case letters, digits, dots, dashes and underscores`);
  return tax;
}

function readSpan(fields: Fields): { from: Instant | null; to: Instant | null } {
  const at = (name: string): Instant | null => fields.read<Instant | null>(name, null, 'a time', readInstant);
  const [from, to] = [at('from'), at('to')];
  if (from !== null && to !== null && to <= from) fields.wrong('to', 'must lie after `from`');
  return { from, to };
}

/** A plan is for accounts of any zone: what has none is UTC. */
function readInstant(text: string): Instant | Misread {
  try {
    return parseInstant(text, 'UTC');
  } catch (error) {
    if (error instanceof CalendarError) return new Misread(error.message);
    throw error;
  }
}

type Fee = Pick<FeePrice, 'kind' | 'amount' | 'per' | 'term' | 'prorate'>;

function readFee(fields: Fields, { currency }: AroundPrice): Fee {
  const per = fields.oneOf('per', ['period', 'once'], 'period');
  const prorate = fields.flag('prorate', per === 'period');
  if (per === 'once' && prorate) fields.wrong('prorate', 'what is due once is due whole');
  return {
    kind: 'fee',
    amount: fields.read('fee', '0', 'an amount', (text) => readMoney(text, currency)),
    per,
    term: fields.oneOf('term', ['advance', 'arrears'], 'advance'),
    prorate,
  };
}

type Usage = Omit<UsagePrice, 'key' | 'name' | 'tax' | 'from' | 'to'>;

function readUsage(fields: Fields, around: AroundPrice, flaws: Flaw[]): Usage {
  const { currency } = around;
  if (!fields.has('meter')) fields.wrong('meter', 'a price is a `fee`, or names the `meter` whose usage it is for');
  const metered = fields.read('meter', UNKNOWN_METERED, 'the key of a meter', (text) => billable(text, around.meters));
  const per = readDivisor(fields, metered);
  const money = (name: string): DecimalText | null =>
    fields.read<DecimalText | null>(name, null, 'an amount', (text) => readMoney(text, currency));
  const [minimum, maximum] = [money('minimum'), money('maximum')];
  refuseCrossed(fields, 'minimum', minimum, maximum);
  return {
    kind: 'usage',
    meter: metered.meter,
    where: readWhere(fields, metered, flaws),
    per,
    included: readIncluded(fields, metered, per, around, flaws),
    model: readModel(fields, { currency, metered }, flaws),
    discountPercent: fields.read<DecimalText | null>('discount', null, 'a percentage', readPercent),
    minimum,
    maximum,
    commitment: readCommitment(fields, maximum, currency, flaws),
    when: readWhen(fields, metered),
  };
}

/** Decisions are no usage by themselves; a meter over them is. */
function billable(text: string, meters: MetersByKey): Metered | Misread {
  const found = readMetered(text, meters);
  if (found instanceof Misread || found.meters.length > 0) return found;
  return new Misread(`there is no meter ${quoted(REQUESTS)}: make one that counts what is to be paid for`);
}

function readDivisor(fields: Fields, metered: Metered): UsagePrice['per'] {
  // Without its meter a unit cannot be read, and the missing meter is already told.
  if (metered.meter === '') return null;
  const round = fields.oneOf('round', roundingWords, 'none');
  const per = fields.read<Per | null>('per', null, 'a unit such as GB', (text) => readPer(text, metered));
  if (per !== null) return { ...per, round };
  return round === 'none' ? null : { divideBy: '1', round, unit: plainUnit(metered.unit) };
}

function readWhere(fields: Fields, metered: Metered, flaws: Flaw[]): UsagePrice['where'] {
  const tree = fields.tree('where');
  if (tree === undefined) return {};
  if (tree.kind !== 'branch') {
    fields.wrong('where', 'names of dimensions with the values that count, as in {trafficType: public}');
    return {};
  }
  const names = tree.entries.map((e) => e.name);
  const inner = new Fields(tree, flaws, names, '`where`');
  const pairs = names.map((name): [string, string[]] => {
    const wrong = unknownDimension(metered, name);
    if (wrong !== null) inner.wrong(name, wrong);
    const one = inner.tree(name)?.kind !== 'list';
    const values = one ? [inner.text(name, '', 1024)] : inner.texts(name, VALUES_MAX);
    const bad = name === 'trafficType' ? values.find((v) => !trafficTypes.some((type) => type === v)) : undefined;
    if (bad !== undefined) inner.wrong(name, `${quoted(bad)} is not known; one of ${trafficTypes.join(', ')}`);
    return [name, values];
  });
  return Object.fromEntries(pairs);
}

function readIncluded(
  fields: Fields,
  metered: Metered,
  per: UsagePrice['per'],
  around: AroundPrice,
  flaws: Flaw[],
): UsagePrice['included'] {
  const tree = fields.tree('included');
  if (tree?.kind !== 'branch')
    return fields.read<UsagePrice['included']>('included', null, 'an amount, or {entitlement: KEY}', (text) =>
      readFree(text, metered, per),
    );
  const inner = inside(fields, 'included', ['entitlement'], ['entitlement'], flaws);
  const key = inner?.text('entitlement', '', 63) ?? '';
  const found = around.entitlements.find((e) => e.key === key);
  if (found !== undefined) checkIncluded(inner, found, metered, around);
  else if (key !== '')
    inner?.wrong(
      'entitlement',
      `the plan has no entitlement ${quoted(key)}; it has ${around.entitlements.map((e) => e.key).join(', ') || 'none'}`,
    );
  return { entitlement: key };
}

function checkIncluded(inner: Fields | null, found: Entitlement, metered: Metered, around: AroundPrice): void {
  if (metered.meter !== '' && found.meter !== metered.meter)
    inner?.wrong('entitlement', `is on ${found.meter}, and this price is on ${metered.meter}`);
  const fits = fitting(around.period, around.anchor);
  if (!fits.some((period) => period === found.per))
    inner?.wrong(
      'entitlement',
      `is per ${found.per}, which does not fit the periods that are billed: ${fits.length === 0 ? 'state an amount' : `make it per ${fits.join(' or ')}`}`,
    );
}

/** In priced units, or with a unit of the meter. */
function readFree(text: string, metered: Metered, per: UsagePrice['per']): { amount: DecimalText } | Misread {
  const plain = readDecimal(text);
  if (!(plain instanceof Misread) || /^[\d.+-]+$/.test(text))
    return plain instanceof Misread ? plain : { amount: plain };
  const read = readPer(text, metered);
  if (read instanceof Misread) return read;
  const [by, of] = [read.divideBy === 'month' ? (read.size ?? '1') : read.divideBy, per?.divideBy ?? '1'];
  if ((read.divideBy === 'month') !== (of === 'month'))
    return new Misread(`${quoted(text)} is not in the unit that is priced: write it per the same time`);
  const amount = scaledBy('1', by, of === 'month' ? (per?.size ?? '1') : of);
  return amount === null ? new Misread(`${quoted(text)} is no exact number of priced units`) : { amount };
}

function readCommitment(
  fields: Fields,
  maximum: DecimalText | null,
  currency: string,
  flaws: Flaw[],
): UsagePrice['commitment'] {
  const inner = inside(fields, 'commitment', ['amount', 'overage'], ['amount'], flaws);
  if (inner === null) return null;
  if (fields.has('minimum')) fields.wrong('minimum', 'contradicts `commitment`, which is due in any case too');
  const amount = inner.read('amount', '0', 'an amount', (text) => readMoney(text, currency));
  refuseCrossed(inner, 'amount', amount, maximum);
  return {
    amount,
    overage: inner.read('overage', '1', 'a factor', readDecimal),
  };
}

function readWhen(fields: Fields, metered: Metered): string {
  const when = fields.text('when', '', 2000);
  if (when === '') return '';
  const read = readCondition(when);
  if (read instanceof Misread) {
    fields.wrong('when', read.why);
    return '';
  }
  for (const name of read.dimensions) {
    const wrong = unknownDimension(metered, name);
    if (wrong !== null) fields.wrong('when', wrong);
  }
  return when;
}
