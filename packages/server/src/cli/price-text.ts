/** Prices of a plan in few words, for people. */
import { table } from './table.ts';

interface Terms {
  currency: string;
  period: { unit: string; count: number };
  anchor: string;
  trialDays: number;
  minimum: string | null;
  prices: readonly PriceLike[];
}
/** A price as the API shows it: more fields than are named there. */
interface PriceLike {
  key: string;
  name: string;
  kind: string;
  tax: string;
  from?: string;
  to?: string;
}
interface Tier {
  upTo: string | null;
  unit?: string;
  percent?: string;
  flat: string;
}
interface Model {
  model: string;
  unit?: string;
  percent?: string;
  fixed?: string;
  size?: string;
  price?: string;
  free?: string;
  multiplier?: string;
  tiers?: readonly Tier[];
  blocks?: readonly { size: string; most: number | null; price: string }[];
  cells?: readonly { where: Readonly<Record<string, string>>; price: Model }[];
  otherwise?: Model | null;
}
interface Usage extends PriceLike {
  meter: string;
  per: { unit: string } | null;
  included: { entitlement?: string; amount?: string } | null;
  model: Model;
}
interface Fee extends PriceLike {
  amount: string;
  per: string;
  term: string;
}

const flatText = (flat: string): string => (flat === '0' ? '' : ` + ${flat}`);
const tierText = ({ upTo, unit, percent, flat }: Tier): string =>
  `${percent === undefined ? unit : `${percent}%`}${flatText(flat)} ${upTo === null ? 'beyond' : `up to ${upTo}`}`;
const whereText = (where: Readonly<Record<string, string>>): string =>
  Object.entries(where)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

/** `0.09 up to 100, 0.05 beyond`. */
export const modelText = (m: Model): string => {
  if (m.tiers !== undefined)
    return `${m.tiers.map(tierText).join(', ')}${m.model === 'volume' ? ', all at the price of the tier reached' : ''}`;
  if (m.blocks !== undefined)
    return m.blocks.map((b) => `${b.price} for ${b.size}${b.most === null ? '' : `, ${b.most} times`}`).join(', then ');
  if (m.cells !== undefined) {
    const cells = m.cells.map(({ where, price }) => `${whereText(where)}: ${modelText(price)}`);
    return [...cells, `else ${m.otherwise ? modelText(m.otherwise) : 'free'}`].join('; ');
  }
  if (m.model === 'package')
    return `${m.price ?? ''} for each ${m.size ?? ''}${m.free === '0' ? '' : ` beyond ${m.free}`}`;
  if (m.model === 'percentage') return `${m.percent ?? ''}%${m.fixed === '0' ? '' : ` + ${m.fixed} each`}`;
  if (m.model === 'dynamic') return `${m.multiplier ?? ''} times what it cost`;
  return m.unit ?? '';
};

const isFee = (price: PriceLike): price is Fee => price.kind === 'fee';
const includedText = ({ included }: Usage): string =>
  included === null ? '' : (included.amount ?? `what ${included.entitlement ?? ''} includes`);

const every = ({ unit, count }: Terms['period']): string => (count === 1 ? unit : `${count} ${unit}s`);

/** The terms in a line, the prices in a table. */
export const billingText = (terms: Terms): string => {
  const { currency, period, anchor, trialDays, minimum } = terms;
  const more = [
    anchor === 'calendar' ? 'by the calendar' : 'from the start of the subscription',
    ...(trialDays === 0 ? [] : [`${trialDays} days free`]),
    ...(minimum === null ? [] : [`at least ${minimum}`]),
  ];
  const prices = terms.prices as readonly (Fee | Usage)[];
  return `Billed in ${currency} every ${every(period)}, ${more.join(', ')}.\n\n${table(prices, [
    { title: 'price', cell: (p) => p.key },
    { title: 'name', cell: (p) => (p.name === p.key ? '' : p.name) },
    { title: 'for', cell: (p) => (isFee(p) ? (p.per === 'once' ? 'once' : `each period, in ${p.term}`) : p.meter) },
    { title: 'unit', cell: (p) => (isFee(p) ? '' : (p.per?.unit ?? '')) },
    { title: 'included', cell: (p) => (isFee(p) ? '' : includedText(p)) },
    { title: 'costs', cell: (p) => (isFee(p) ? p.amount : modelText(p.model)) },
    { title: 'tax', cell: (p) => p.tax },
    { title: 'from', cell: (p) => p.from ?? '' },
    { title: 'to', cell: (p) => p.to ?? '' },
  ])}`;
};
