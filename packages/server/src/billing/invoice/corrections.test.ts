/** What is looked at again, and shares of what is shared out: nothing is printed or owed that did not change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UsagePrice } from '../../domain/price/price.ts';
import { framesOf } from './frames.ts';
import { check, shown } from './testing/shown.ts';
import { fee, usage, World } from './testing/world.ts';

const entitlement = { key: 'traffic', meter: 'bytes', per: 'billing', overage: 'allow' } as const;

test('what an entitlement includes is divided as the usage is, also by the size of a unit', () => {
  const hours = 744n;
  const per = { divideBy: 'month', size: '1000000000', unit: 'GB month', round: 'none' } as const;
  const world = new World()
    .account('a')
    .plan(
      'p',
      [usage('u', '1', { per, included: { entitlement: 'traffic' } })],
      {},
      {
        entitlements: [{ ...entitlement, amount: 100_000_000_000 * 744 }],
      },
    )
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-05', (150_000_000_000n * hours).toString());
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..02-01 usage p/u 50.00
     = 50.00`,
  );
});

test('one fee under two tax categories in a period is billed once, and not corrected when nothing has changed', () => {
  const world = new World()
    .account('a')
    .taxed('a')
    .tax('19')
    .tax('7', { category: 'low' })
    .plan('p', [fee('base', '31.00', { term: 'arrears' })]);
  world
    .plan('p', [fee('base', '31.00', { term: 'arrears', tax: 'low' })], {}, { from: world.at('2026-01-16') })
    .subscribe('a', 'p', '2026-01-01');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..01-16 fee p/base 15.00
     01-16..02-01 fee p/base 16.00
     tax 19 of 15.00 2.85
     tax 7 of 16.00 1.12
     = 34.97`,
  );
  check(
    world,
    '2026-03-01',
    `02-01..03-01
     02-01..03-01 fee p/base 31.00
     tax 7 of 31.00 2.17
     = 33.17`,
  );
  // From the 11th on it is in the other category: five days move.
  world.plan('p', [fee('base', '31.00', { term: 'arrears', tax: 'low' })], {}, { from: world.at('2026-01-11') });
  assert.deepEqual(
    world
      .invoice('a', '2026-04-01')
      .flatMap((document) => shown(world, document))
      .slice(2, -3),
    [
      '01-01..01-11 adjustment p/base -5.00 (INV-1:1, change of plan)',
      '01-11..02-01 adjustment p/base 5.00 (INV-1:2, change of plan)',
    ],
  );
});

test('each line’s share of the tax is that of its own amount, also where lines all but cancel each other out', () => {
  const world = new World()
    .account('a')
    .taxed('a')
    .tax('19')
    .plan('p', [fee('f', '100.00')]);
  world.plan('q', [fee('f', '100.03', { term: 'arrears' })]).subscribe('a', 'p', '2026-01-01');
  world.invoice('a', '2026-01-01');
  world.subscribe('a', 'q', '2026-01-01');
  const [document] = world.invoice('a', '2026-02-01');
  assert.deepEqual(
    document?.lines.map(({ amount, tax }) => [amount, tax]),
    [
      ['10003', '1901'],
      ['-10000', '-1900'],
    ],
  );
  assert.equal(document?.tax, '1');
});

test('a correction of usage that may still come, in whichever part, keeps the invoice from being final', () => {
  const world = new World().account('a').plan('p', [usage('u', '1', { name: 'one' })]);
  world
    .plan('p', [usage('u', '1', { name: 'two' })], {}, { from: world.at('2026-01-16') })
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-05', '4');
  const [frame] = world.frames('a', '2026-02-01').slice(-1);
  assert.ok(frame);
  const { document } = world.draft('a', frame);
  world.documents.push({ number: 'INV-1', document });
  world.used('a', '2026-01-06', '1');
  const answer = world.answer.bind(world);
  world.answer = (ask) => answer(ask).map((row) => ({ ...row, state: 'pending' }));
  const again = world.draft('a', frame, false);
  assert.deepEqual(
    again.document.lines.map(({ kind, amount, state }) => [kind, amount, state]),
    [['adjustment', '100', 'pending']],
  );
  assert.equal(again.blocked.length, 1);
});

test('a commitment is used up by the period, whatever parts it is cut into', () => {
  const billed = (names: readonly string[]): bigint => {
    const world = new World().account('a');
    world.conventions = { ...world.conventions, dayCount: 'exact' };
    for (const [i, name] of names.entries()) {
      const price = usage('u', '1', { name, commitment: { amount: '100', overage: '2' } });
      world.plan('p', [price], {}, { from: i === 0 ? 0 : world.at(`2026-01-${i}6T12:00`) });
    }
    world.subscribe('a', 'p', '2026-01-01').used('a', '2026-01-05', '80').used('a', '2026-01-20', '20');
    return world.invoice('a', '2026-02-01').reduce((sum, { total }) => sum + BigInt(total), 0n);
  };
  assert.equal(billed(['one']), 10_000n);
  assert.equal(billed(['one', 'two']), 10_000n);
  assert.equal(billed(['one', 'two', 'three']), 10_000n);
});

/** A price beside another of the same usage, in a plan that is renamed on the 16th or not: 100 units in each half. */
const besides = (model: UsagePrice['model'], isCut: boolean): bigint => {
  const prices = (name: string) => [usage('plain', '0', { name }), usage('u', '1', { name, model })];
  const world = new World().account('a').plan('p', prices('one'));
  if (isCut) world.plan('p', prices('two'), {}, { from: world.at('2026-01-16') });
  world.subscribe('a', 'p', '2026-01-01');
  for (const day of ['05', '20']) world.used('a', `2026-01-${day}`, '100', { group: { region: 'eu' } });
  return world.invoice('a', '2026-02-01').reduce((sum, { total }) => sum + BigInt(total), 0n);
};

test('a price goes on from what it has itself billed in the period, whatever other prices of the same usage look at', () => {
  const tiers = [
    { upTo: '100', unit: '1', flat: '0' },
    { upTo: null, unit: '0.1', flat: '0' },
  ];
  const matrix: UsagePrice['model'] = {
    model: 'matrix',
    dimensions: ['region'],
    cells: [{ where: { region: 'eu' }, price: { model: 'graduated', tiers } }],
    otherwise: null,
  };
  const terms = { percent: '10', fixed: '1', freeAmount: null, freeEvents: 1, least: null, most: '3' };
  const percentage: UsagePrice['model'] = { model: 'percentage', ...terms };
  for (const [model, total] of [
    [matrix, 11_000n],
    [percentage, 300n],
  ] as const)
    for (const isCut of [false, true]) assert.equal(besides(model, isCut), total, `${model.model} ${isCut}`);
});

test('from a plan that counts units to one that looks at each event', () => {
  const terms = { percent: '10', fixed: '1', freeAmount: null, freeEvents: 1, least: null, most: '3' };
  const world = new World()
    .account('a')
    .plan('p', [usage('u', '1')])
    .plan('q', [usage('u', '1', { model: { model: 'percentage', ...terms } })])
    .subscribe('a', 'p', '2026-01-01')
    .subscribe('a', 'q', '2026-01-16')
    .used('a', '2026-01-05', '5')
    .used('a', '2026-01-20', '100');
  // The free event of the period is the one before the change.
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..01-16 usage p/u 5.00
     01-16..02-01 usage q/u 3.00
     = 8.00`,
  );
});

test('an account that a price’s condition is not for owes nothing of it, flat amounts and minimum neither', () => {
  const model: UsagePrice['model'] = { model: 'graduated', tiers: [{ upTo: null, unit: '1', flat: '5' }] };
  const world = new World()
    .account('a')
    .plan('p', [
      usage('others', '1', { when: "account.name == 'b'", minimum: '10', model }),
      usage('own', '1', { when: "account.name == 'a'", minimum: '10', model }),
    ])
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-05', '2');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..02-01 usage p/others 0.00
     01-01..02-01 usage p/own 7.00
     01-01..02-01 minimum p/own 3.00
     = 10.00`,
  );
});

test('a subscription that is withdrawn from its beginning gives back what was paid in advance', () => {
  for (const start of ['2026-01-01', '2026-01-15T13:37']) {
    const world = new World()
      .account('a')
      .plan('p', [fee('base', '31.00')])
      .subscribe('a', 'p', start);
    const [first] = world.invoice('a', start);
    assert.equal(first?.total, '3100');
    const { receipt: _, ...subscription } = world.book().catalogue.subscriptionsOf('a')[0]!;
    world.fact({ ...subscription, to: subscription.from });
    const [frame] = framesOf(world.book(), 'a', first.to);
    assert.ok(frame, start);
    assert.deepEqual(
      world.draft('a', frame).document.lines.map(({ kind, amount }) => [kind, amount]),
      [['adjustment', '-3100']],
    );
  }
});

test('what was billed under two tax categories is taken back under each', () => {
  const base = (tax: string) => fee('base', '31.00', { term: 'arrears', tax });
  const world = new World()
    .account('a')
    .taxed('a')
    .tax('19')
    .tax('7', { category: 'low' })
    .plan('p', [base('')]);
  world
    .plan('p', [base('low')], {}, { from: world.at('2026-01-16') })
    .plan('none', [])
    .subscribe('a', 'p', '2026-01-01');
  world.invoice('a', '2026-02-01');
  world.subscribe('a', 'none', '2026-01-01');
  assert.deepEqual(
    world.invoice('a', '2026-03-01').flatMap((document) => shown(world, document)),
    [
      '02-01..03-01',
      '01-01..01-16 adjustment p/base -15.00 (INV-1:1, the plan was left)',
      '01-16..02-01 adjustment p/base -16.00 (INV-1:2, the plan was left)',
      'tax 19 of -15.00 -2.85',
      'tax 7 of -16.00 -1.12',
      '= -34.97',
    ],
  );
});
