import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactText } from '../../../domain/money/ratio.ts';
import type { SimpleModel } from '../../../domain/price/price.ts';
import { needsEvents, rateUsage } from '../index.ts';
import { checkAmount, context, eventsOf, priceOf, stepTexts, usage } from '../testing/world.ts';

const percentage: SimpleModel & { model: 'percentage' } = {
  model: 'percentage',
  percent: '2.5',
  fixed: '0',
  freeAmount: '100',
  freeEvents: null,
  least: null,
  most: null,
};
const unit = { model: 'per_unit', unit: '10' } as const;

test('single events use up what is free in order, and pay a fixed amount each', () => {
  const model = { ...percentage, fixed: '2', freeAmount: null };
  const free = (freeAmount: string | null, freeEvents: number | null): SimpleModel => ({
    ...model,
    percent: '1',
    freeAmount,
    freeEvents,
  });
  checkAmount([
    ['16', { model: free(null, null) }, usage([eventsOf('50 100 250 400')])],
    ['13.5', { model: free('50', null) }, usage([eventsOf('50 100 250 400')])],
    ['16.5', { model: free('100', null) }, usage([eventsOf('99 1 250 600 200')])],
    ['10.5', { model: free(null, 2) }, usage([eventsOf('50 100 250 400')])],
    // What ends first ends both.
    ['13.5', { model: free('1000', 1) }, usage([eventsOf('50 100 250 400')])],
    ['13.4', { model: free('60', 3) }, usage([eventsOf('50 100 250 400')])],
    // Money back: its percentage, no fixed amount.
    ['2.5', { model: free(null, null) }, usage([eventsOf('100 -50')])],
    // Earlier parts have used up what was free.
    ['4.5', { model: free('150', 2) }, { now: [eventsOf('250')], before: [eventsOf('50 100')], included: null }],
  ]);
});

test('least and most of an event bound each one that pays', () => {
  const model = {
    ...percentage,
    percent: '2.99',
    fixed: '2',
    freeAmount: null,
    least: '2.5',
    most: '12',
  };
  const rated = rateUsage(priceOf({ model }), usage([eventsOf('10 80 10000')]), context());
  assert.equal(exactText(rated.exact), '18.892');
  assert.equal(stepTexts(rated).at(-1), 'least or most of an event: 2 events = -288.799');
});

test('events are asked for only where the price looks at each one', () => {
  assert.equal(needsEvents(priceOf({ model: percentage })), false);
  assert.equal(needsEvents(priceOf({ model: { ...percentage, fixed: '0.1' } })), true);
  assert.equal(needsEvents(priceOf({ model: { ...percentage, most: '1' } })), true);
  assert.equal(needsEvents(priceOf({ model: unit })), false);
  const matrix = {
    model: 'matrix',
    dimensions: ['a'],
    cells: [],
    otherwise: { ...percentage, freeEvents: 3 },
  } as const;
  assert.equal(needsEvents(priceOf({ model: matrix })), true);
});
