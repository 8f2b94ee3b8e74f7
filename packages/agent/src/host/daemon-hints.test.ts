/** Owner facts as the server keeps them: the last one told of an instant holds from there on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceHint } from '@tollgate/event';
import { type Found, Hints, parseTold } from './daemon-hints.ts';
import type { Mapping } from './mapping.ts';
import { parseMapping } from './mapping-file.ts';

const day = (n: number): number => Date.UTC(2026, 10, n);
const AT = day(10);

/** Rules of the object x: account, from day, to day of November. */
const mapping = (...rules: [account: string, from?: number | undefined, to?: number][]): Mapping => {
  const instant = (name: string, n: number | undefined): string =>
    n === undefined ? '' : `, ${name}: ${new Date(day(n)).toISOString()}`;
  const lines = rules.map(
    ([a, from, to]) => `  - { match: { object: x }, account: ${a}${instant('from', from)}${instant('to', to)} }\n`,
  );
  const parsed = parseMapping(rules.length === 0 ? 'objects: []\n' : `objects:\n${lines.join('')}`);
  if ('flaws' in parsed) throw new Error(JSON.stringify(parsed.flaws));
  return parsed.mapping;
};

const object = (account?: string): Found => ({
  resource: 's/x',
  poller: 'nft',
  object: 'x',
  ...(account === undefined ? {} : { account }),
});

/** Who owns it on these days, after all these hints in their order. */
const ownersOn = (days: readonly number[], hints: readonly ResourceHint[]): (string | null)[] => {
  const facts = new Map<number, string | null>();
  for (const { owners = [] } of hints) for (const { from, account } of owners) facts.set(from, account);
  const sorted = [...facts].sort(([a], [b]) => a - b);
  return days.map((n) => sorted.findLast(([from]) => from <= day(n))?.[1] ?? null);
};

test('a rule for some days takes the account of a name away on these days only', () => {
  const check = (rules: Parameters<typeof mapping>, expected: (string | null)[]): void => {
    const hints = new Hints();
    const named = [object('acme')];
    const told = hints.of('nft', named, mapping(), 1, AT).hints;
    assert.deepEqual(ownersOn([1, 5, 9], told), ['acme', 'acme', 'acme']);
    told.push(...hints.of('nft', named, mapping(...rules), 2, AT).hints);
    assert.deepEqual(ownersOn([1, 5, 9], told), expected);
  };
  check([['globex', 5, 7]], ['acme', 'globex', 'acme']);
  check([['globex', 5]], ['acme', 'globex', 'globex']);
  check([['globex', undefined, 7]], ['globex', 'globex', 'acme']);
  check([['null', 5, 7]], ['acme', null, 'acme']);
  check(
    [
      ['globex', 5, 7],
      ['initech', 8, 10],
    ],
    ['acme', 'globex', 'initech'],
  );
});

test('before the first rule nothing is said of an object whose name says nothing', () => {
  const { hints } = new Hints().of('nft', [object()], mapping(['globex', 5, 7]), 1, AT);
  assert.deepEqual(hints[0]?.owners, [
    { account: 'globex', from: day(5) },
    { account: null, from: day(7) },
  ]);
});

test('a from that was corrected is taken back, also while the first hint is on its way or was lost', () => {
  const check = (restart: boolean, firstArrives: boolean): void => {
    let hints = new Hints();
    const told: ResourceHint[] = [];
    const first = hints.of('nft', [object()], mapping(['acme', 1]), 1, AT).hints;
    if (firstArrives) told.push(...first);
    if (restart) hints = new Hints(parseTold(JSON.stringify(hints.told)));
    told.push(...hints.of('nft', [object()], mapping(['acme', 5]), 2, AT + 60_000).hints);
    assert.deepEqual(ownersOn([2, 6], told), [null, 'acme']);
    told.push(...hints.of('nft', [object()], mapping(['acme', 3]), 3, AT + 120_000).hints);
    assert.deepEqual(ownersOn([2, 4, 6], told), [null, 'acme', 'acme']);
  };
  for (const restart of [false, true]) for (const arrives of [false, true]) check(restart, arrives);
});

test('of more resources than are remembered, those not heard of for longest go first', () => {
  const hints = new Hints({
    owners: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`r${i}`, [{ account: 'a', from: 0 }]])),
  });
  hints.of('nft', [{ ...object('acme'), resource: 'r0' }, object('acme')], mapping(), 1, AT);
  const { owners } = hints.told;
  assert.deepEqual(
    [Object.keys(owners).length, owners.r0?.[0]?.account, owners.r1, owners.r2?.length],
    [20_000, 'acme', undefined, 1],
  );
});
