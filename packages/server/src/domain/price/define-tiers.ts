/** Tiers and blocks: in order, without a gap, the last one without an end. */
import { Misread, quoted, readCount } from '../limit/amount.ts';
import { Fields } from '../limit/fields.ts';
import type { Flaw, Tree } from '../limit/located.ts';
import { isAbove, readDecimal, readMoney, readPercent, readPositive } from './decimal.ts';
import type { Block, DecimalText, PercentTier, Tier } from './price.ts';

const TIERS_MAX = 200;
const WHOLE_MAX = 1_000_000_000;

/** Stands for what could not be read: its problem is already told. */
const UNREAD = '0';
const ENDLESS = new Set(['unlimited', 'infinity', 'inf']);

export const readTiers = (fields: Fields, name: string, currency: string, flaws: Flaw[]): Tier[] =>
  tiersIn(fields, name, 'unit', flaws, (tier) => ({
    unit: tier.read('unit', UNREAD, 'a price', (text) => readMoney(text, currency)),
    flat: flatOf(tier, currency),
  }));

export const readPercentTiers = (fields: Fields, name: string, currency: string, flaws: Flaw[]): PercentTier[] =>
  tiersIn(fields, name, 'percent', flaws, (tier) => ({
    percent: tier.read('percent', UNREAD, 'a percentage', readPercent),
    flat: flatOf(tier, currency),
  }));

const flatOf = (tier: Fields, currency: string): DecimalText =>
  tier.read('flat', '0', 'an amount', (text) => readMoney(text, currency));

function tiersIn<T>(
  fields: Fields,
  name: string,
  priced: 'unit' | 'percent',
  flaws: Flaw[],
  read: (tier: Fields) => T,
): (T & { upTo: DecimalText | null })[] {
  const items = itemsOf(fields, name, 'tiers', TIERS_MAX);
  let before: DecimalText | null = '0';
  return items.map((item, i) => {
    const tier = new Fields(item, flaws, ['from', 'up_to', priced, 'flat'], 'a tier');
    if (item.kind === 'branch' && !tier.has(priced) && !tier.has('flat'))
      tier.wrong('', `a tier has a price: ${priced}, flat, or both`);
    const last = i === items.length - 1;
    const upTo = item.kind === 'branch' ? endOf(tier, before, last) : null;
    if (before !== null) checkStart(tier, before);
    before = upTo;
    return { upTo, ...read(tier) };
  });
}

/** Included in the tier; null: without end. */
function endOf(tier: Fields, before: DecimalText | null, last: boolean): DecimalText | null {
  const endless = ENDLESS.has(tier.leaf('up_to', '')?.text ?? 'unlimited');
  if (endless && !last) tier.wrong('up_to', 'only the last tier goes on without end: say up to where this one reaches');
  if (endless) return null;
  if (last) tier.wrong('up_to', 'the last tier goes on without end: leave `up_to` away, or add one behind it');
  const upTo = tier.read<DecimalText | null>('up_to', null, 'a number', readPositive);
  if (upTo !== null && before !== null && !isAbove(upTo, before))
    tier.wrong('up_to', `overlaps: the tier before reaches up to ${before}`);
  return upTo;
}

/** `from` need not be said; when it is, it is where the one before ends. */
function checkStart(tier: Fields, before: DecimalText): void {
  const from = tier.read<DecimalText>('from', before, 'a number', readDecimal);
  if (isAbove(from, before)) tier.wrong('from', `leaves a gap: the tier before reaches up to ${before}`);
  if (isAbove(before, from)) tier.wrong('from', `overlaps: the tier before reaches up to ${before}`);
}

export function readBlocks(fields: Fields, name: string, currency: string, flaws: Flaw[]): Block[] {
  const items = itemsOf(fields, name, 'blocks', TIERS_MAX);
  return items.map((item, i) => {
    const block = new Fields(item, flaws, ['size', 'most', 'price'], 'a block');
    for (const needed of ['size', 'price'])
      if (item.kind === 'branch' && !block.has(needed)) block.wrong(needed, 'is missing');
    const last = i === items.length - 1;
    const most = block.read('most', null, 'a number', readWhole);
    if (item.kind === 'branch' && most === null && !last && !block.has('most'))
      block.wrong('most', 'only the last block goes on without end: say how many there are of this one');
    if (most !== null && last) block.wrong('most', 'the last block goes on without end: leave `most` away');
    return {
      size: block.read('size', '1', 'a number', readPositive),
      most,
      price: block.read('price', UNREAD, 'a price', (text) => readMoney(text, currency)),
    };
  });
}

/** From 1 on. */
export const readWhole = (text: string): number | Misread =>
  readCount(text, 1, WHOLE_MAX) ?? new Misread(`${quoted(text)} is not a whole number from 1`);

function itemsOf(fields: Fields, name: string, what: string, most: number): readonly Tree[] {
  const items = fields.items(name, `a list of ${what}`, most);
  if (items.length === 0 && fields.tree(name)?.kind === 'list') fields.wrong(name, `a list of at least one of ${what}`);
  return items;
}
