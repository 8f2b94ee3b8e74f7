/** What else an invoice is made of: discounts, minimum, taxes, bounds of a price, and what keeps it from being final. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentText, readDocument } from './canonical.ts';
import { check } from './testing/shown.ts';
import { fee, usage, World } from './testing/world.ts';

const three = (): World =>
  new World()
    .account('a')
    .plan('p', [fee('x', '10.01'), fee('y', '10.01'), fee('z', '10.01', { term: 'arrears' }), usage('u', '1')])
    .subscribe('a', 'p', '2026-01-01');

const coupon = (
  world: World,
  key: string,
  off: { percent: string } | { amount: string; currency: string },
  periods: number | null = null,
  on: string[] = [],
): World =>
  world
    .billing({ kind: 'coupon', key, name: key, off, on, periods, removed: false })
    .billing({ kind: 'discount', account: 'a', coupon: key, from: world.at('2026-01-01'), to: null });

test('a percentage is rounded once over all lines it is off, and shared out over them', () =>
  check(
    coupon(three(), 'tenth', { percent: '10' }, 1),
    '2026-02-01',
    `01-01..01-01
     01-01..02-01 fee p/x 10.01
     01-01..02-01 discount p/x -1.00
     01-01..02-01 fee p/y 10.01
     01-01..02-01 discount p/y -1.00
     = 18.02
     01-01..02-01
     01-01..02-01 fee p/z 10.01
     01-01..02-01 discount p/z -1.00
     01-01..02-01 usage p/u 0.00
     02-01..03-01 fee p/x 10.01
     02-01..03-01 fee p/y 10.01
     = 29.03`,
  ));

test('an amount is off each period as far as there is something left, and never more than the lines', () =>
  check(
    coupon(three(), 'five', { amount: '25.00', currency: 'EUR' }, 2),
    '2026-03-01',
    `01-01..01-01
     01-01..02-01 fee p/x 10.01
     01-01..02-01 discount p/x -10.01
     01-01..02-01 fee p/y 10.01
     01-01..02-01 discount p/y -10.01
     = 0.00
     01-01..02-01
     01-01..02-01 fee p/z 10.01
     01-01..02-01 discount p/z -4.98
     01-01..02-01 usage p/u 0.00
     02-01..03-01 fee p/x 10.01
     02-01..03-01 discount p/x -10.01
     02-01..03-01 fee p/y 10.01
     02-01..03-01 discount p/y -10.01
     = 5.03
     02-01..03-01
     02-01..03-01 fee p/z 10.01
     02-01..03-01 discount p/z -4.98
     02-01..03-01 usage p/u 0.00
     03-01..04-01 fee p/x 10.01
     03-01..04-01 fee p/y 10.01
     = 25.05`,
  ));

test('two coupons come off one after the other; one may be off some prices only', () =>
  check(
    coupon(coupon(three(), 'half', { percent: '50' }, null, ['p/x']), 'more', { percent: '50' }),
    '2026-01-01',
    `01-01..01-01
     01-01..02-01 fee p/x 10.01
     01-01..02-01 discount p/x -5.01
     01-01..02-01 discount p/x -2.50
     01-01..02-01 fee p/y 10.01
     01-01..02-01 discount p/y -5.01
     = 7.50`,
  ));

test('a payer’s percentage is also off those it pays for', () => {
  const world = coupon(three(), 'tenth', { percent: '10' }).account('kid', { parent: 'a' }).paidByParent('kid');
  check(
    world.subscribe('kid', 'p', '2026-01-01'),
    '2026-01-01',
    `01-01..01-01
     01-01..02-01 fee p/x 10.01
     01-01..02-01 discount p/x -1.00
     01-01..02-01 fee p/y 10.01
     01-01..02-01 discount p/y -1.00
     01-01..02-01 kid fee p/x 10.01
     01-01..02-01 kid discount p/x -1.00
     01-01..02-01 kid fee p/y 10.01
     01-01..02-01 kid discount p/y -1.00
     = 36.04`,
  );
});

test('what is missing to the plan’s minimum is a line, prorated for a part of a period', () => {
  const world = new World()
    .account('a')
    .plan('p', [fee('base', '3.10'), usage('u', '1')], { minimum: '31.00' })
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-05', '4');
  check(
    world.cancel('a', '2026-01-11'),
    '2026-02-01',
    `01-01..01-01
     01-01..01-11 fee p/base 1.00
     = 1.00
     01-01..01-11
     01-01..01-11 usage p/u 4.00
     01-01..01-11 minimum p/plan 5.00
     = 9.00`,
  );
});

test('a price’s minimum and commitment are due at the end of the period, prorated by convention', () => {
  const world = new World()
    .account('a')
    .plan('p', [
      usage('least', '1', { minimum: '31.00' }),
      usage('most', '1', { maximum: '2.50' }),
      usage('promised', '1', { commitment: { amount: '31.00', overage: '2' } }),
    ])
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-05', '4')
    .cancel('a', '2026-01-11');
  check(
    world,
    '2026-02-01',
    `01-01..01-11
     01-01..01-11 usage p/least 4.00
     01-01..01-11 minimum p/least 6.00
     01-01..01-11 usage p/most 2.50
     01-01..01-11 usage p/promised 4.00
     01-01..01-11 commitment p/promised 6.00
     = 22.50`,
  );
});

test('a tax is rounded once over its lines, which get their shares; each category has its own', () => {
  const world = new World()
    .account('a')
    .plan('p', [fee('a', '0.03'), fee('b', '0.03'), fee('c', '10.00', { tax: 'reduced' })])
    .tax('19')
    .tax('7', { category: 'reduced' })
    .taxed('a')
    .subscribe('a', 'p', '2026-01-01');
  check(
    world,
    '2026-01-01',
    `01-01..01-01
     01-01..02-01 fee p/a 0.03
     01-01..02-01 fee p/b 0.03
     01-01..02-01 fee p/c 10.00
     tax 19 of 0.06 0.01
     tax 7 of 10.00 0.70
     = 10.77`,
  );
  assert.deepEqual(
    world.documents[0]?.document.lines.map(({ tax }) => tax),
    ['1', '0', '70'],
  );
});

test('prices with the tax in them: it is taken out of their sum', () => {
  const world = new World()
    .account('a')
    .plan('p', [fee('a', '11.90'), fee('b', '1.00')])
    .tax('19', { inclusive: true })
    .taxed('a')
    .subscribe('a', 'p', '2026-01-01');
  check(
    world,
    '2026-01-01',
    `01-01..01-01
     01-01..02-01 fee p/a 11.90
     01-01..02-01 fee p/b 1.00
     tax 19 inside of 10.84 2.06
     = 12.90`,
  );
  const { net, tax, total } = world.documents[0]!.document;
  assert.deepEqual([net, tax, total], ['1084', '206', '1290']);
});

test('a rate that changes holds for what ends after it, corrections of older periods keep theirs', () => {
  const world = new World()
    .account('a')
    .plan('p', [usage('u', '1')])
    .tax('16')
    .tax('19', { from: '2026-02-01' })
    .taxed('a')
    .subscribe('a', 'p', '2026-01-01')
    .used('a', '2026-01-02', '100');
  check(
    world,
    '2026-02-01',
    `01-01..02-01
     01-01..02-01 usage p/u 100.00
     tax 16 of 100.00 16.00
     = 116.00`,
  );
  check(
    world.used('a', '2026-01-03', '10').used('a', '2026-02-03', '100'),
    '2026-03-01',
    `02-01..03-01
     02-01..03-01 usage p/u 100.00
     01-01..02-01 adjustment p/u 10.00 (INV-1:1, late or corrected usage)
     tax 16 of 10.00 1.60
     tax 19 of 100.00 19.00
     = 130.60`,
  );
});

test('an exemption is printed and no tax is due', () => {
  const world = three().tax('19').taxed('a', 'Reverse charge');
  world.invoice('a', '2026-01-01');
  const { document } = world.documents[0]!;
  assert.deepEqual([document.taxes, document.tax, document.buyer.exemption], [[], '0', 'Reverse charge']);
});

const refused = (world: World, code: string, message: RegExp): void =>
  assert.throws(
    () => world.invoice('a', '2026-02-01'),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    },
  );

test('what cannot be billed is refused by name and place', () => {
  const priced = (prices = [usage('u', '1')]): World =>
    new World().account('a').plan('p', prices).subscribe('a', 'p', '2026-01-01');
  refused(
    new World()
      .account('a')
      .plan('p', [fee('f', '1')], { currency: 'USD' })
      .subscribe('a', 'p', '2026-01-01'),
    'invoice.currency',
    /^a \/ p: .*USD.*EUR/,
  );
  refused(
    priced().account('kid', { parent: 'a', currency: 'USD' }).paidByParent('kid').subscribe('kid', 'p', '2026-01-01'),
    'invoice.currency',
    /^kid: is billed in USD, a who pays/,
  );
  refused(new World().account('a').subscribe('a', 'gone', '2026-01-01'), 'invoice.plan', /^a \/ gone: /);
  refused(
    priced([usage('u', '1', { included: { entitlement: 'none' } })]),
    'invoice.entitlement',
    /^a \/ p \/ u: .*"none"/,
  );
  refused(priced([usage('u', '-1')]).used('a', '2026-01-02', '1'), 'invoice.rate', /^a \/ p \/ u: /);
  refused(priced().taxed('a'), 'invoice.tax', /^a \/ p \/ u: DE has no tax/);
  refused(coupon(priced(), 'usd', { amount: '1', currency: 'USD' }), 'invoice.coupon', /^a: .*"usd" is in USD/);
  refused(
    priced().billing({ kind: 'discount', account: 'a', coupon: 'no', from: 0, to: null }),
    'invoice.coupon',
    /"no" is not defined/,
  );
  refused(priced([usage('u', '99999999999999999999')]).used('a', '2026-01-02', '9999'), 'invoice.rate', /10\^20/);
});

test('pending and quarantined usage blocks, with its line; unobserved is printed and does not', () => {
  const world = three().used('a', '2026-01-02', '5');
  const frame = world.frames('a', '2026-02-01')[1]!;
  world.pendingFrom = 0;
  const blockedBy = (state: 'pending' | 'quarantined' | 'unobserved') => {
    world.pendingState = state;
    const { document, blocked } = world.draft('a', frame);
    const line = document.lines.find(({ kind }) => kind === 'usage');
    assert.deepEqual([line?.state, line?.amount], [state, '500']);
    return blocked.map(({ line: no, state: s, meter, account }) => [no, s, meter, account]);
  };
  assert.deepEqual(blockedBy('pending'), [[4, 'pending', 'bytes', 'a']]);
  assert.deepEqual(blockedBy('quarantined'), [[4, 'quarantined', 'bytes', 'a']]);
  assert.deepEqual(blockedBy('unobserved'), []);
});

test('usage of a final period that is pending again waits, and is adjusted when it is known', () => {
  const world = three().used('a', '2026-01-02', '5');
  world.invoice('a', '2026-02-01');
  world.used('a', '2026-01-03', '1');
  const frame = world.frames('a', '2026-03-01').at(-1)!;
  world.pendingFrom = 0;
  const corrections = () =>
    world
      .draft('a', frame)
      .document.lines.filter(({ kind }) => kind === 'adjustment')
      .map(({ amount }) => amount);
  assert.deepEqual(corrections(), []);
  world.pendingFrom = Number.POSITIVE_INFINITY;
  assert.deepEqual(corrections(), ['100']);
});

test('a document says what it was computed with, and reads back from its text', () => {
  const world = coupon(three().tax('19').taxed('a'), 'tenth', { percent: '10' }).used('a', '2026-01-02', '5');
  const [, second] = world.invoice('a', '2026-02-01');
  assert.deepEqual(
    second?.basis.map(({ kind }) => kind),
    ['plan', 'subscription', 'tax', 'profile', 'coupon', 'discount'],
  );
  assert.ok(second?.basis.every(({ digest }) => /^[0-9a-f]{64}$/.test(digest)));
  assert.match(second?.lines.find(({ kind }) => kind === 'usage')?.digest ?? '', /^[0-9a-f]{64}$/);
  assert.deepEqual(readDocument(documentText(second!)), second);
});

test('fees of one change are rounded each, or together where the convention says so', () => {
  const world = (roundingPlace: 'line' | 'net'): World => {
    const made = new World()
      .account('a')
      .plan('p', [fee('f', '0.01', { term: 'arrears' })])
      .plan('q', [fee('f', '0.02', { term: 'arrears' })]);
    made.conventions = { ...made.conventions, roundingPlace };
    return made.subscribe('a', 'p', '2026-04-01').subscribe('a', 'q', '2026-04-11');
  };
  // 10 of 30 days of 0.01 and 20 of 0.02: 0.0033 and 0.0133.
  check(
    world('line'),
    '2026-05-01',
    `04-01..05-01
     04-01..04-11 fee p/f 0.00
     04-11..05-01 fee q/f 0.01
     = 0.01`,
  );
  check(
    world('net'),
    '2026-05-01',
    `04-01..05-01
     04-01..04-11 fee p/f 0.00
     04-11..05-01 fee q/f 0.02
     = 0.02`,
  );
});

test('what is not known counts for nothing, and its state says so', () => {
  const world = three();
  world.answer = () => [
    { group: {}, quantity: null, count: 0n, unit: 'By', state: 'pending', flags: ['gap'], events: null, series: [] },
  ];
  const { document, blocked } = world.draft('a', world.frames('a', '2026-02-01')[1]!);
  const line = document.lines.find(({ kind }) => kind === 'usage');
  assert.deepEqual([line?.amount, line?.state, line?.flags], ['0', 'pending', ['gap']]);
  assert.deepEqual(
    blocked.map(({ reason }) => reason),
    ['usage may still come (gap)'],
  );
});

test('an answer that is missing is an error, not a zero', () => {
  const world = three();
  world.answersTo = () => [];
  refused(world, 'invoice.metered', /^a: 0 answers of meters to 1 questions/);
});
