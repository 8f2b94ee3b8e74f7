/** Figures that other systems publish in their tests come out of the rating of our invoices. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Json, type RatedVector, rateVector } from './index.ts';

interface Vector {
  readonly [name: string]: Json;
  readonly id: string;
}
/** From the compiled file back to the sources. */
const file = new URL('../../../../src/billing/rate/testing/rating.json', import.meta.url);
const { vectors, count } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[]; count: number };

test('all published figures are equal', () => {
  assert.deepEqual([vectors.length, count], [140, 140]);
  const wrong = vectors.map(rateVector).filter(({ equal }) => !equal);
  assert.deepEqual(wrong, []);
});

/** Every text of a number changed in its last digit. */
const spoilt = (figure: Json): Json => {
  if (typeof figure === 'string') return figure.replace(/\d$/, (digit) => (digit === '9' ? '8' : '9'));
  if (typeof figure === 'number') return figure + 1;
  if (Array.isArray(figure)) return figure.map(spoilt);
  if (typeof figure === 'object' && figure !== null)
    return Object.fromEntries(Object.entries(figure).map(([name, value]) => [name, spoilt(value)]));
  return figure;
};

test('a figure that is off by its last digit is not equal', () => {
  // An empty list of lines has no digit, and an error is no figure.
  const figures = vectors.filter(
    ({ expected }) => JSON.stringify(spoilt(expected as Json)) !== JSON.stringify(expected),
  );
  assert.ok(figures.length >= 138);
  for (const vector of figures)
    assert.equal(rateVector({ ...vector, expected: spoilt(vector.expected as Json) }).equal, false, vector.id);
});

test('what is computed has the keys of what is expected', () => {
  for (const vector of vectors) {
    const { computed } = rateVector(vector);
    assert.deepEqual(Object.keys(computed as object), Object.keys(vector.expected as object), vector.id);
  }
});

/** Each row: what is wrong with a vector -> what is said. */
function check(rows: [vector: Json, error: RegExp][]): void {
  for (const [vector, error] of rows) {
    const rated: RatedVector = rateVector(vector);
    assert.deepEqual([rated.computed, rated.equal], [null, false]);
    assert.match(rated.error ?? '', error);
  }
}

test('a vector that cannot be rated says why', () => {
  const of = (model: string, input: Json, expected: Json = { total: '1' }): Json => ({
    id: 'x',
    model,
    input,
    expected,
  });
  check([
    [null, /must be an object/],
    [{ model: 'volume' }, /id must be a text/],
    [of('parity', {}), /no model parity; there are: attribute_mapping/],
    [of('constructor', {}), /no model constructor/],
    [of('per_unit', { unit_amount: '1' }), /input.quantity must be a decimal as text, not nothing/],
    [of('per_unit', { unit_amount: '1', quantity: 0.1 }), /quantity must be a decimal as text, not 0.1/],
    [of('per_unit', { unit_amount: 'x', quantity: '1' }), /not a decimal number: x/],
    [of('per_unit', { unit_amount: '1', quantity: '1' }, { sum: '1' }), /the model per_unit has no figure sum/],
    [of('graduated', { tiers: [], quantity: '1' }), /at least one tier/],
    [of('graduated', { tiers: [{ up_to: null, unit: '1', flat: '0' }], quantity: '-1' }), /the quantity is negative/],
    [of('proration', { billing_period: 'DAILY' }), /no billing period: DAILY/],
    [of('proration', { billing_period: 'MONTHLY', billing_mode: 'IN_ARREAR' }), /not IN_ARREAR/],
    [of('calendar_days', { from: '2026-02-30', to: '2026-03-01' }, { days: 1 }), /no such day/],
  ]);
});
