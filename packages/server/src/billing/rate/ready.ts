/** A price with every number in it read and checked, once: an invoice run asks the same price a hundred thousand times. */
import { type Condition, readCondition } from '../../domain/price/condition.ts';
import type { SimpleModel, UsageModel, UsagePrice } from '../../domain/price/price.ts';
import { type Bounds, readBounds } from './bounds.ts';
import { type Matrix, readMatrix } from './matrix.ts';
import { pricerOf } from './model/index.ts';
import { percentageNeedsEvents } from './model/percentage.ts';
import type { Pricer } from './piece.ts';
import { RateError } from './rate-error.ts';

export interface ReadyPrice {
  /** What usage of a value of the dimensions is priced with; null: it is free. */
  pricerFor(group: Readonly<Record<string, string>>): Pricer | null;
  /** Values of these are priced apart; none: all usage is one figure. */
  apart: readonly string[];
  /** Null: always. */
  condition: Condition | null;
  bounds: Bounds;
}

const known = new WeakMap<UsagePrice, ReadyPrice>();

/** Throws RateError. Prices are never changed after they are made, so the answer is kept with the price. */
export function readyPrice(price: UsagePrice): ReadyPrice {
  const before = known.get(price);
  if (before !== undefined) return before;
  const ready: ReadyPrice = {
    ...modelOf(price.model),
    condition: conditionOf(price),
    bounds: readBounds(price),
  };
  known.set(price, ready);
  return ready;
}

function modelOf(model: UsageModel): Pick<ReadyPrice, 'pricerFor' | 'apart'> {
  if (model.model === 'matrix') {
    const matrix: Matrix = readMatrix(model);
    return { pricerFor: matrix.pricerFor, apart: matrix.dimensions };
  }
  const pricer = pricerOf(model);
  return { pricerFor: () => pricer, apart: [] };
}

function conditionOf({ when, key }: UsagePrice): Condition | null {
  if (when === '') return null;
  const condition = readCondition(when);
  if ('holds' in condition) return condition;
  throw new RateError('rate.condition', `the condition of the price ${key} ${condition.why}`);
}

const modelsIn = (model: UsageModel): SimpleModel[] => {
  if (model.model !== 'matrix') return [model];
  return [...model.cells.map(({ price }) => price), ...(model.otherwise === null ? [] : [model.otherwise])];
};

/** Dimensions that usage must be told apart by, sorted: what to ask as MeteredAsk.by. Throws RateError. */
export function dimensionsOf(price: UsagePrice): string[] {
  const { apart, condition } = readyPrice(price);
  return [...new Set([...apart, ...(condition?.dimensions ?? [])])].sort();
}

/** Each event's quantity is needed: what to ask as MeteredAsk.events. Throws RateError. */
export const needsEvents = ({ model }: UsagePrice): boolean =>
  modelsIn(model).some((m) => m.model === 'percentage' && percentageNeedsEvents(m));
