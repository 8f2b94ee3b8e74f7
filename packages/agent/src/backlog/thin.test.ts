import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Item, type Part, partsOf } from './pass.ts';
import { ENDS_ONLY, QUARTER, thin } from './thin.ts';

/** Passes over some counters that now and then begin anew, and go. */
const passes = fc.array(
  fc.record({
    stepMs: fc.constantFrom(10_000, 300_000, QUARTER, 3 * QUARTER),
    counters: fc.array(
      fc.record({ name: fc.constantFrom('a', 'b', 'c'), epoch: fc.nat(1), grows: fc.nat(1000), begins: fc.boolean() }),
      { maxLength: 4 },
    ),
    ends: fc.array(fc.constantFrom('a', 'b'), { maxLength: 1 }),
    hint: fc.boolean(),
  }),
  { maxLength: 40 },
);
type Passes = typeof passes extends fc.Arbitrary<infer P> ? P : never;

const partsFrom = (work: Passes): Part[] => {
  const values = new Map<string, bigint>();
  let at = 1_790_000_000_000;
  return work.flatMap(({ stepMs, counters, ends, hint }) => {
    at += stepMs;
    const samples = counters.map(({ name, epoch, grows, begins }) => {
      const key = `${name}${epoch}`;
      const start = begins && !values.has(key) ? at - 1 : 0;
      const value = (values.get(key) ?? 0n) + BigInt(grows);
      values.set(key, value);
      return { head: { resource: name, meter: 'm', epoch: `e${epoch}` }, at, value, start };
    });
    const ended = ends.map((name) => ({ head: { resource: name, meter: 'm', epoch: 'e0' }, at }));
    const resources = hint ? [{ id: 'a', name: `at ${at}` }] : [];
    return partsOf({ samples, ended, resources, completeThrough: at });
  });
};

const seriesOf = ({ head }: Item): string => `${head.resource} ${head.epoch}`;
const itemsOf = (parts: readonly Part[]): readonly Item[] => parts.flatMap((part) => part.items);
const totals = (items: readonly Item[]): Map<string, string> => {
  const chains = new Map<string, { first: bigint; last: bigint }>();
  for (const item of items) {
    if (item.value === null) continue;
    const chain = chains.get(seriesOf(item));
    if (chain === undefined) chains.set(seriesOf(item), { first: item.start > 0 ? 0n : item.value, last: item.value });
    else chain.last = item.value;
  }
  return new Map([...chains].map(([key, { first, last }]) => [key, String(last - first)]));
};

const check = (work: Passes, window: number): void => {
  const parts = partsFrom(work);
  const [before, after] = [itemsOf(parts), itemsOf(thin(parts, window))];
  assert.deepEqual(
    after,
    before.filter((item) => after.includes(item)),
    'the order stays, and nothing is invented',
  );
  assert.deepEqual(totals(after), totals(before));
  assert.deepEqual(
    after.filter((i) => i.value === null),
    before.filter((i) => i.value === null),
  );
  const lasts = (items: readonly Item[]) =>
    new Map(items.filter((i) => i.value !== null).map((i) => [`${seriesOf(i)} ${Math.floor(i.at / window)}`, i.value]));
  assert.deepEqual(lasts(after), lasts(before), 'the last value of every window stays');
  const thinned = thin(parts, window);
  assert.equal(thinned.at(-1)?.completeThrough, parts.at(-1)?.completeThrough);
  const hints = (of: readonly Part[]) => new Map(of.flatMap((p) => p.resources.map((hint) => [hint.id, hint.name])));
  assert.deepEqual(hints(thinned), hints(parts));
  assert.deepEqual(itemsOf(thin(thinned, window)), after, 'thinned again nothing more goes');
};

for (const [name, window] of [
  ['15 minutes', QUARTER],
  ['first and last values', ENDS_ONLY],
] as const)
  test(`thinned to ${name}: no total changes, and the last value of every window stays`, () =>
    fc.assert(
      fc.property(passes, (work) => check(work, window)),
      { numRuns: process.env.CI === 'true' ? 2000 : 150 },
    ));

test('a part vouches for no more than what comes with it and before it', () =>
  fc.assert(
    fc.property(passes, (work) => {
      const parts = partsFrom(work);
      const thinned = thin(parts, QUARTER);
      const stays = new Set(itemsOf(thinned));
      const sent = new Set<Item>();
      for (const part of thinned) {
        for (const item of part.items) sent.add(item);
        for (const { items, completeThrough } of parts)
          if (completeThrough <= part.completeThrough)
            for (const item of items) assert.ok(sent.has(item) || !stays.has(item));
      }
    }),
    { numRuns: 100 },
  ));

test('a day of a counter polled every 10 seconds keeps 98 of its 8640 readings', () => {
  const work: Passes = Array.from({ length: 8640 }, () => ({
    stepMs: 10_000,
    counters: [{ name: 'a', epoch: 0, grows: 7, begins: false }],
    ends: [],
    hint: false,
  }));
  const thinned = thin(partsFrom(work), QUARTER);
  assert.equal(itemsOf(thinned).length, 98);
  assert.ok(thinned.length <= 98);
  assert.equal(itemsOf(thin(thinned, ENDS_ONLY)).length, 2);
});
