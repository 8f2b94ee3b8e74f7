/** What a correction says of itself, and what it may be held against. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvoiceError } from './invoice-error.ts';
import { fee, usage, World } from './testing/world.ts';

/** A price of 0.10 until the 16th, of 0.20 from then on; five units on the 3rd, five on the 20th; invoiced. */
const twoPrices = (): World =>
  new World()
    .account('a')
    .plan('p', [usage('u', '0.10')])
    .plan('p', [usage('u', '0.20')], {}, { from: new World().at('2026-01-16') })
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-03', '5')
    .used('a', '2026-01-20', '5');

const reasons = (world: World, until: string): string[] =>
  world.invoice('a', until).flatMap(({ lines }) => lines.filter(({ corrects }) => corrects !== '').map(told));
const told = ({ amount, corrects }: { amount: string; corrects: string }): string => `${amount} ${corrects}`;

test('late usage is told as such in whichever part of the period it comes', () => {
  for (const [day, amount] of [
    ['2026-01-04', '10'],
    ['2026-01-21', '20'],
  ] as const) {
    const world = twoPrices();
    world.invoice('a', '2026-02-01');
    assert.deepEqual(reasons(world.used('a', day, '1'), '2026-03-01'), [`${amount} INV-1:2, late or corrected usage`]);
    // Once more: held against all that the key was billed, adjustments too.
    world.used('a', '2026-01-05', '1');
    assert.deepEqual(reasons(world, '2026-04-01'), ['10 INV-1:2, late or corrected usage']);
  }
});

test('another price for a part of the period is no other usage', () => {
  const world = new World()
    .account('a')
    .plan('p', [usage('u', '0.10')])
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-03', '5')
    .used('a', '2026-01-20', '5');
  world.invoice('a', '2026-02-01');
  world.plan('p', [usage('u', '0.30')], {}, { from: world.at('2026-01-10') });
  assert.deepEqual(reasons(world, '2026-03-01'), ['100 INV-1:1, change of price']);
});

test('what was billed in another currency is not corrected in this one', () => {
  const world = new World()
    .account('a')
    .plan('eur', [fee('base', '31.00')])
    .plan('jpy', [fee('base', '1000')], { currency: 'JPY' })
    .subscribe('a', 'eur', '2026-01-01');
  world.invoice('a', '2026-02-01');
  world.account('a', { currency: 'JPY' }).subscribe('a', 'jpy', '2026-01-01');
  assert.throws(
    () => world.invoice('a', '2026-03-01'),
    (error) =>
      error instanceof InvoiceError &&
      error.code === 'invoice.currency' &&
      error.message === 'a / eur / base: was billed in EUR on INV-2:1, the invoice is in JPY',
  );
});
