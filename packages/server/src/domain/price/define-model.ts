/** How usage is priced: one of the models of price.ts, stated by the field that has its name. */
import { Fields } from '../limit/fields.ts';
import type { Flaw, Tree } from '../limit/located.ts';
import { type Metered, unknownDimension } from '../limit/metered-unit.ts';
import { plainUnit } from '../quantity.ts';
import { isAbove, readDecimal, readMoney, readPercent, readPositive } from './decimal.ts';
import { readBlocks, readPercentTiers, readTiers, readWhole } from './define-tiers.ts';
import type { DecimalText, MatrixModel, SimpleModel, UsageModel } from './price.ts';

const simple = [
  'unit',
  'graduated',
  'volume',
  'package',
  'blocks',
  'percentage',
  'graduated_percentage',
  'dynamic',
] as const;
type Simple = (typeof simple)[number];
/** Fields that state a model; `policy` goes with blocks. */
export const modelWords: readonly string[] = [...simple, 'matrix'];
export const modelFields: readonly string[] = [...modelWords, 'policy'];
const simpleFields: readonly string[] = [...simple, 'policy'];
/** Models of a meter whose quantity is money. */
const ofMoney: ReadonlySet<string> = new Set(['percentage', 'graduated_percentage', 'dynamic']);

const DIMENSIONS_MAX = 8;
const CELLS_MAX = 1000;
/** Stands for a model that could not be read: its problem is already told. */
const UNREAD: SimpleModel = { model: 'per_unit', unit: '0' };

export interface AroundModel {
  currency: string;
  metered: Metered;
}

/** Of a price. */
export function readModel(fields: Fields, around: AroundModel, flaws: Flaw[]): UsageModel {
  const stated = statedIn(fields, modelWords, 'a price of usage');
  if (stated === 'matrix') return readMatrix(fields, around, flaws);
  return stated === null ? UNREAD : readSimple(fields, stated as Simple, around, flaws);
}

function statedIn(fields: Fields, words: readonly string[], what: string): string | null {
  const [first, ...others] = words.filter((word) => fields.has(word));
  if (first === undefined) fields.wrong('', `${what} states one of ${words.join(', ')}`);
  for (const other of others)
    fields.wrong(other, `contradicts \`${first}\`: ${what} states one of ${words.join(', ')}`);
  if (first !== 'blocks' && fields.has('policy')) fields.wrong('policy', 'goes with `blocks`');
  return first ?? null;
}

function readSimple(fields: Fields, stated: Simple, around: AroundModel, flaws: Flaw[]): SimpleModel {
  const { currency, metered } = around;
  if (ofMoney.has(stated)) checkMoney(fields, stated, around);
  switch (stated) {
    case 'unit':
      return { model: 'per_unit', unit: fields.read('unit', '0', 'a price', (text) => readMoney(text, currency)) };
    case 'graduated':
    case 'volume':
      return { model: stated, tiers: readTiers(fields, stated, currency, flaws) };
    case 'package':
      return readPackage(fields, currency, flaws);
    case 'blocks':
      return {
        model: 'blocks',
        policy: fields.oneOf('policy', ['all', 'top'], 'all'),
        blocks: readBlocks(fields, 'blocks', currency, flaws),
      };
    case 'percentage':
      return readPercentage(fields, { currency, metered }, flaws);
    case 'graduated_percentage':
      return { model: stated, tiers: readPercentTiers(fields, stated, currency, flaws) };
    case 'dynamic':
      return { model: stated, multiplier: fields.read('dynamic', '1', 'a factor', readDecimal) };
  }
}

/** A percentage is of money: the meter counts it, in the plan's currency or in a word of its own such as `{cent}`. */
function checkMoney(fields: Fields, stated: string, { currency, metered }: AroundModel): void {
  const { unit } = metered;
  const fits = metered.meter === '' || unit === currency || unit === '1' || unit === '' || unit.startsWith('{');
  if (!fits)
    fields.wrong(
      stated,
      `is of money, and the meter counts ${plainUnit(unit)}: its unit is to be ${currency || 'a currency'}`,
    );
}

function readPackage(fields: Fields, currency: string, flaws: Flaw[]): SimpleModel {
  const inner = inside(fields, 'package', ['size', 'price', 'free'], ['size', 'price'], flaws);
  return {
    model: 'package',
    size: inner?.read('size', '1', 'a number', readPositive) ?? '1',
    price: inner?.read('price', '0', 'a price', (text) => readMoney(text, currency)) ?? '0',
    free: inner?.read('free', '0', 'a number', readDecimal) ?? '0',
  };
}

/** `percentage: 2.5`, or an object. */
function readPercentage(fields: Fields, { currency }: AroundModel, flaws: Flaw[]): SimpleModel {
  const model = {
    model: 'percentage',
    fixed: '0',
    freeAmount: null,
    freeEvents: null,
    least: null,
    most: null,
  } as const;
  if (fields.tree('percentage')?.kind === 'leaf')
    return { ...model, percent: fields.read('percentage', '0', 'a percentage', readPercent) };
  const names = ['percent', 'fixed', 'free_amount', 'free_events', 'least', 'most'];
  const inner = inside(fields, 'percentage', names, ['percent'], flaws);
  if (inner === null) return { ...model, percent: '0' };
  const money = (name: string): DecimalText | null =>
    inner.read<DecimalText | null>(name, null, 'an amount', (text) => readMoney(text, currency));
  const [least, most] = [money('least'), money('most')];
  refuseCrossed(inner, 'least', least, most);
  return {
    model: 'percentage',
    percent: inner.read('percent', '0', 'a percentage', readPercent),
    fixed: money('fixed') ?? '0',
    freeAmount: money('free_amount'),
    freeEvents: inner.read<number | null>('free_events', null, 'a number', readWhole),
    least,
    most,
  };
}

/** The least is not above the most. */
export function refuseCrossed(fields: Fields, name: string, least: DecimalText | null, most: DecimalText | null): void {
  if (least !== null && most !== null && isAbove(least, most))
    fields.wrong(name, `${least} is above the most, ${most}`);
}

/** An object in a field; null when it is none, which is then told. */
export function inside(
  fields: Fields,
  name: string,
  known: readonly string[],
  needed: readonly string[],
  flaws: Flaw[],
): Fields | null {
  const tree = fields.tree(name);
  if (tree === undefined) return null;
  const inner = new Fields(tree, flaws, known, `\`${name}\``);
  if (tree.kind !== 'branch') return null;
  for (const field of needed) if (!inner.has(field)) inner.wrong(field, 'is missing');
  return inner;
}

function readMatrix(fields: Fields, around: AroundModel, flaws: Flaw[]): MatrixModel {
  const none: MatrixModel = { model: 'matrix', dimensions: [], cells: [], otherwise: null };
  const inner = inside(fields, 'matrix', ['dimensions', 'cells', 'otherwise'], ['dimensions', 'cells'], flaws);
  if (inner === null) return none;
  const dimensions = inner.texts('dimensions', DIMENSIONS_MAX);
  for (const name of dimensions) {
    const wrong = unknownDimension(around.metered, name);
    if (wrong !== null) inner.wrong('dimensions', wrong);
  }
  const items = inner.items('cells', 'a list of cells', CELLS_MAX);
  const cells = items.map((item) => readCell(item, dimensions, around, flaws));
  refuseSame(items, cells, flaws);
  const rest = inner.tree('otherwise');
  return {
    model: 'matrix',
    dimensions,
    cells,
    otherwise: rest === undefined ? null : readOtherwise(rest, around, flaws),
  };
}

function readCell(
  item: Tree,
  dimensions: readonly string[],
  around: AroundModel,
  flaws: Flaw[],
): MatrixModel['cells'][number] {
  const fields = new Fields(item, flaws, ['where', ...simpleFields], 'a cell');
  if (item.kind !== 'branch') return { where: {}, price: UNREAD };
  const where = inside(fields, 'where', dimensions, [], flaws);
  const pairs = dimensions.flatMap((name): [string, string][] =>
    where?.has(name) === true ? [[name, where.text(name, '', 1024)]] : [],
  );
  if (pairs.length === 0 && fields.tree('where')?.kind !== 'leaf')
    fields.wrong('where', 'names a value of at least one of the dimensions; what is for the rest goes to `otherwise`');
  const stated = statedIn(fields, simple, 'a cell');
  const price = stated === null ? UNREAD : readSimple(fields, stated as Simple, around, flaws);
  return { where: Object.fromEntries(pairs), price };
}

function readOtherwise(tree: Tree, around: AroundModel, flaws: Flaw[]): SimpleModel {
  const fields = new Fields(tree, flaws, simpleFields, '`otherwise`');
  const stated = tree.kind === 'branch' ? statedIn(fields, simple, '`otherwise`') : null;
  return stated === null ? UNREAD : readSimple(fields, stated as Simple, around, flaws);
}

/** Two cells for one value: nobody could tell which. Two with as many names may meet in one value as well. */
function refuseSame(items: readonly Tree[], cells: MatrixModel['cells'], flaws: Flaw[]): void {
  cells.forEach((cell, i) => {
    const first = cells.findIndex((other) => ambiguous(other.where, cell.where));
    const tree = items[i];
    if (first < i && tree !== undefined && Object.keys(cell.where).length > 0)
      flaws.push({
        ...tree.at,
        path: tree.path,
        message: `ambiguous: the cell in line ${items[first]?.at.line ?? 0} is for ${whereText(cells[first]?.where ?? {})} too`,
      });
  });
}

type Where = Readonly<Record<string, string>>;
const whereText = (where: Where): string =>
  `{${Object.entries(where)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ')}}`;

/** As many names, and no name on which they differ. */
function ambiguous(a: Where, b: Where): boolean {
  const [names, others] = [Object.keys(a), Object.keys(b)];
  return names.length === others.length && names.every((name) => !(name in b) || a[name] === b[name]);
}
