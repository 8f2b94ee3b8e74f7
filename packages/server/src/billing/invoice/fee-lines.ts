/** Fee charges become lines. Parts of one fee are cut out of the rounded whole, so that they sum to it. */
import type { Conventions } from '../../domain/billing/conventions.ts';
import { formatInstant } from '../../domain/calendar.ts';
import { allocate } from '../../domain/money/allocate.ts';
import { add, exactText, type Ratio, ZERO } from '../../domain/money/ratio.ts';
import type { FeePrice } from '../../domain/price/price.ts';
import type { Interval } from '../../domain/window.ts';
import { type FeePart, rateFee } from '../rate/index.ts';
import { type FeeCharge, minorOf, placeOf, rateFailure } from './charge.ts';
import type { Step } from './document.ts';
import { type Due, trialText } from './due.ts';
import type { Billed } from './settings.ts';

/** Throws InvoiceError `invoice.rate`. */
export function feeLines(charges: readonly FeeCharge[], billed: Billed): Due[] {
  const rated = charges.map((charge) => ({ charge, part: rate(charge, billed) }));
  const amounts = billed.conventions.roundingPlace === 'net' ? netAmounts(rated, billed) : lineAmounts(rated, billed);
  return rated.map(({ charge, part }, i) => lineOf(charge, part, amounts[i] as bigint));
}

interface RatedFee {
  charge: FeeCharge;
  part: FeePart;
}

const lineAmounts = (rated: readonly RatedFee[], billed: Billed): bigint[] =>
  rated.map(({ charge, part }) => minorOf(part.through, charge, billed) - minorOf(part.before, charge, billed));

/** Fees of one account and period are one amount before it is rounded; each line gets its share of that. */
function netAmounts(rated: readonly RatedFee[], billed: Billed): bigint[] {
  const groups = new Map<string, number[]>();
  for (const [i, { charge }] of rated.entries()) {
    const name = `${charge.scope.period.from} ${charge.price.term} ${charge.account}`;
    groups.set(name, [...(groups.get(name) ?? []), i]);
  }
  const amounts = rated.map(() => 0n);
  for (const places of groups.values()) {
    const exacts = places.map((i) => (rated[i] as RatedFee).part.exact);
    const whole = minorOf(exacts.reduce<Ratio>(add, ZERO), (rated[places[0] as number] as RatedFee).charge, billed);
    if (whole === 0n) continue;
    for (const [at, share] of allocate(whole, exacts).entries()) amounts[places[at] as number] = share;
  }
  return amounts;
}

function rate(charge: FeeCharge, { conventions }: Billed): FeePart {
  const { price, quantity, period, part, waived } = charge;
  if (waived !== null) return { exact: ZERO, before: ZERO, through: ZERO, steps: [waivedStep(charge)] };
  try {
    return keptFee(price, feeName(charge, conventions), () =>
      rateFee(price, quantity, period, part, conventions.dayCount),
    );
  } catch (error) {
    throw rateFailure(error, placeOf(charge));
  }
}

/** All that its amount depends on but the price. */
const feeName = ({ quantity, period, part }: FeeCharge, { dayCount }: Conventions): string =>
  `${quantity} ${spanText(part)} of ${spanText(period)} ${period.count} ${period.unit} ${period.zone} ${dayCount}`;

const spanText = ({ from, to }: Interval): string => `${from} ${to}`;

const FEES_MAX = 1024;
const fees = new WeakMap<FeePrice, Map<string, FeePart>>();

/** Accounts of one plan and zone pay the same fee for the same period, and its price is one object for all of them. */
function keptFee(price: FeePrice, name: string, make: () => FeePart): FeePart {
  let parts = fees.get(price);
  if (parts === undefined) {
    parts = new Map();
    fees.set(price, parts);
  }
  const known = parts.get(name);
  if (known !== undefined) return known;
  const part = make();
  if (parts.size >= FEES_MAX) parts.clear();
  parts.set(name, part);
  return part;
}

function waivedStep({ waived, to, scope }: FeeCharge): Step {
  const text =
    waived === 'trial'
      ? trialText(to, (t) => formatInstant(t, scope.period.calendar.zone))
      : 'free of charge: the first part of a period';
  return { text, quantity: null, unit: null, price: null, amount: '0' };
}

function lineOf(charge: FeeCharge, part: FeePart, amount: bigint): Due {
  const { price } = charge;
  return {
    key: charge.key,
    kind: 'fee',
    account: charge.account,
    plan: charge.plan,
    planVersion: charge.planVersion,
    price: price.key,
    name: price.name,
    from: charge.from,
    to: charge.to,
    quantity: charge.quantity.toString(),
    unit: '',
    metered: null,
    meter: '',
    state: 'known',
    flags: [],
    steps: part.steps,
    exact: exactText(part.exact),
    amount,
    taxCategory: price.tax,
    series: [],
    digest: '',
    scope: charge.scope,
    advance: price.term === 'advance',
    addOn: charge.holding.addOn !== null,
  };
}
