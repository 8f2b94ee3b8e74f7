/** Laws of invoices over random lives of an account. The seed of a failure is printed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Conventions, conventionDefaults, type DayCount } from '../../domain/billing/conventions.ts';
import { formatInstant } from '../../domain/calendar.ts';
import { documentText } from './canonical.ts';
import { chargesAgain } from './charges.ts';
import { expectedLines } from './expected.ts';
import { fee, usage, World } from './testing/world.ts';

const RUNS = process.env.CI === 'true' ? 120 : 12;
const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe');
/** Hours since the start, ascending, all in the first 110 days. */
const moments = (max: number) =>
  fc.uniqueArray(fc.integer({ min: 1, max: 110 * 24 }), { maxLength: max }).map((hours) => hours.sort((a, b) => a - b));
const cents = fc
  .integer({ min: 0, max: 999_999 })
  .map((n) => `${Math.trunc(n / 100)}.${String(n % 100).padStart(2, '0')}`);

const textAt = (world: World, hours: number): string =>
  formatInstant(world.at('2026-01-01') + hours * 3_600_000, world.zone);

/** Of all documents: what each period of the account was billed for a kind of line, in minor units. */
function billed(world: World, pick: (line: { price: string; kind: string }) => boolean): bigint {
  return world.documents
    .flatMap(({ document }) => document.lines)
    .filter(pick)
    .reduce((sum, { amount }) => sum + BigInt(amount), 0n);
}

/** One plan, and twins of it with the same prices under other names, changed between at any moment. */
function twins(
  zone: string,
  conventions: Conventions,
  amount: string,
  changes: readonly number[],
  step: number,
): World {
  const world = new World(zone).account('a');
  world.conventions = conventions;
  for (const name of ['p0', 'p1', 'p2']) {
    const traffic = usage('traffic', '0', {
      included: { amount: '10' },
      model: {
        model: 'graduated',
        tiers: [
          { upTo: '100', unit: '0.0333', flat: '1.11' },
          { upTo: null, unit: '0.0177', flat: '0' },
        ],
      },
    });
    world.plan(name, [fee('base', amount), fee('after', amount, { term: 'arrears' }), traffic]);
  }
  world.subscribe('a', 'p0', '2026-01-01');
  for (const [i, hours] of changes.entries()) {
    // Invoices of before the change are final when it comes.
    world.invoice('a', textAt(world, Math.max(0, hours - step)).slice(0, 10));
    world.subscribe('a', `p${(i + 1) % 3}`, textAt(world, hours));
  }
  return world;
}

for (const dayCount of ['days', 'exact', 'thirty'] satisfies DayCount[]) {
  test(`property: parts of a fee sum to the fee to the cent, whatever the changes of plan, by day count ${dayCount}`, () =>
    fc.assert(
      fc.property(zones, cents, moments(6), fc.integer({ min: 0, max: 2000 }), (zone, amount, changes, step) => {
        const world = twins(zone, { ...conventionDefaults, dayCount }, amount, changes, step);
        world.invoice('a', '2026-06-01');
        const whole = BigInt(amount.replace('.', ''));
        assert.equal(
          billed(world, ({ price }) => price === 'after'),
          whole * 5n,
        );
        assert.equal(
          billed(world, ({ price }) => price === 'base'),
          whole * 6n,
        );
      }),
      { numRuns: RUNS },
    ));
}

test('by inclusive day count parts may share a day: they sum to the whole or to more, which is why it is no default', () => {
  const world = twins('UTC', { ...conventionDefaults, dayCount: 'inclusive' }, '31.00', [16 * 24 + 12], 0);
  world.invoice('a', '2026-02-01');
  assert.equal(
    billed(world, ({ price }) => price === 'after'),
    3200n,
  );
});

const points = fc.array(fc.tuple(fc.integer({ min: 0, max: 150 * 24 }), fc.integer({ min: 1, max: 90_000 })), {
  maxLength: 25,
});

function use(world: World, used: readonly (readonly [number, number])[]): void {
  for (const [hours, milli] of used) {
    const quantity = `${Math.trunc(milli / 1000)}.${String(milli % 1000).padStart(3, '0')}`;
    world.used('a', textAt(world, hours), quantity, { group: { region: `r${milli % 4}` } });
  }
}

test('property: usage with unchanged prices costs the same however its period is cut', () =>
  fc.assert(
    fc.property(zones, moments(6), points, (zone, changes, used) => {
      const [cut, whole] = [
        twins(zone, conventionDefaults, '1', changes, 0),
        twins(zone, conventionDefaults, '1', [], 0),
      ];
      for (const world of [cut, whole]) {
        use(world, used);
        world.invoice('a', '2026-06-01');
      }
      const traffic = ({ price }: { price: string }): boolean => price === 'traffic';
      assert.equal(billed(cut, traffic), billed(whole, traffic));
    }),
    { numRuns: RUNS },
  ));

/** All that may bear on an invoice, with usage and changes that come late. */
function life(
  zone: string,
  changes: readonly number[],
  used: readonly (readonly [number, number])[],
  late: number,
): World {
  const world = new World(zone)
    .account('a')
    .account('kid', { parent: 'a' })
    .paidByParent('kid')
    .tax('19')
    .tax('7', { category: 'reduced', inclusive: true })
    .taxed('a');
  const regions = usage('regions', '1', {
    model: {
      model: 'matrix',
      dimensions: ['region'],
      cells: [{ where: { region: 'r1' }, price: { model: 'per_unit', unit: '0.5' } }],
      otherwise: { model: 'per_unit', unit: '0.25' },
    },
  });
  const prices = [
    fee('base', '19.99'),
    regions,
    usage('traffic', '0.0777', { tax: 'reduced', maximum: '50', minimum: '2' }),
  ];
  world
    .plan('p0', prices, { minimum: '25.00' })
    .plan('p1', [fee('base', '49.99', { term: 'arrears' }), usage('traffic', '0.01')]);
  world.billing({ kind: 'coupon', key: 'c', name: 'c', off: { percent: '12.5' }, on: [], periods: 3, removed: false });
  world.billing({
    kind: 'coupon',
    key: 'd',
    name: 'd',
    off: { amount: '30.00', currency: 'EUR' },
    on: ['p0'],
    periods: null,
    removed: false,
  });
  world.billing({ kind: 'discount', account: 'a', coupon: 'c', from: START, to: null });
  world.billing({ kind: 'discount', account: 'a', coupon: 'd', from: START + 40 * DAY, to: START + 70 * DAY });
  world.subscribe('a', 'p0', '2026-01-01').subscribe('kid', 'p1', '2026-01-20');
  use(world, used.slice(0, late));
  for (const [i, hours] of changes.entries()) {
    world.invoice('a', textAt(world, hours).slice(0, 10));
    world.subscribe(i % 2 === 0 ? 'a' : 'kid', `p${(i + 1) % 2}`, textAt(world, hours + 500));
  }
  use(world, used.slice(late));
  return world;
}
const lives = fc.tuple(zones, moments(4), points, fc.integer({ min: 0, max: 25 }));

test('property: what was billed and adjusted is what is due, and then there is nothing left to adjust', () =>
  fc.assert(
    fc.property(lives, (given) => {
      const world = life(...given);
      world.invoice('a', '2026-07-01');
      const book = world.book();
      const sums = new Map<string, bigint>();
      for (const { document } of world.documents) {
        const charges = chargesAgain(book, document);
        for (const due of expectedLines(book, charges, world.answersTo(charges))) {
          sums.set(due.key, (sums.get(due.key) ?? 0n) + due.amount);
        }
      }
      for (const [key, sum] of sums) {
        const lines = world.documents.flatMap(({ document }) => document.lines.filter((line) => line.key === key));
        assert.equal(
          lines.reduce((all, { amount }) => all + BigInt(amount), 0n),
          sum,
          key,
        );
      }
      const last = world.frames('a', '2026-08-01').at(-1);
      assert.ok(last !== undefined);
      const again = world.draft('a', last).document.lines;
      assert.deepEqual(
        again.filter(({ kind, from }) => kind === 'adjustment' && from < last.from),
        [],
      );
    }),
    { numRuns: RUNS / 2 },
  ));

test('property: totals are net and tax, shares of taxes sum to them, and discounts never exceed what they are off', () =>
  fc.assert(
    fc.property(lives, (given) => {
      const world = life(...given);
      world.invoice('a', '2026-07-01');
      for (const { document } of world.documents) {
        const sum = (values: readonly string[]): bigint => values.reduce((all, value) => all + BigInt(value), 0n);
        const inside = sum(document.taxes.filter(({ inclusive }) => inclusive).map(({ amount }) => amount));
        assert.equal(BigInt(document.net), sum(document.lines.map(({ amount }) => amount)) - inside);
        assert.equal(BigInt(document.tax), sum(document.taxes.map(({ amount }) => amount)));
        assert.equal(BigInt(document.total), BigInt(document.net) + BigInt(document.tax));
        assert.equal(sum(document.lines.map(({ tax = '0' }) => tax)), BigInt(document.tax));
        for (const [i, { no }] of document.lines.entries()) assert.equal(no, i + 1);
      }
      const keys = new Map<string, bigint>();
      for (const { document } of world.documents)
        for (const { key, amount } of document.lines) {
          const [base = ''] = key.split(/ ?discount /);
          keys.set(base, (keys.get(base) ?? 0n) + BigInt(amount));
        }
      for (const [key, sum] of keys) assert.ok(sum >= 0n, `${key}: ${sum}`);
    }),
    { numRuns: RUNS / 2 },
  ));

test('property: the order of unrelated facts, of answers’ rows and of their series changes nothing', () =>
  fc.assert(
    fc.property(lives, fc.infiniteStream(fc.nat()), (given, lots) => {
      const [one, other] = [life(...given), life(...given)];
      const answer = other.answer.bind(other);
      const drawn = lots[Symbol.iterator]();
      other.answer = (ask) =>
        answer(ask)
          .map((row) => ({ row, lot: drawn.next().value as number }))
          .sort((a, b) => a.lot - b.lot)
          .map(({ row }) => ({ ...row, series: [...row.series].reverse() }));
      other.points.reverse();
      for (const world of [one, other]) world.invoice('a', '2026-07-01');
      assert.deepEqual(
        other.documents.map(({ document }) => documentText(document)),
        one.documents.map(({ document }) => documentText(document)),
      );
    }),
    { numRuns: RUNS / 4 },
  ));
