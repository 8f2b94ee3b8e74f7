import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LimitDefinition } from '../domain/limit/limit.ts';
import type { Interval } from '../domain/window.ts';
import { simulate } from './simulate.ts';
import type { SimulationStep } from './simulated.ts';
import { limit } from './testing/decided-world.ts';
import { atOnce, quotaOf, rate } from './testing/gates.ts';
import { MeteredWorld, NOW } from './testing/metered-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const iso = (t: number): string => new Date(t).toISOString().slice(0, 16);

async function steps(w: MeteredWorld, definition: LimitDefinition, span: Interval, accounts: string[] = []) {
  const { usage, store, log, receipts } = w;
  const deps = { usage, store, book: log.book, frontier: receipts.frontier() };
  const found: SimulationStep[] = [];
  for await (const step of simulate(deps, { limit: definition, accounts }, span)) found.push(step);
  return found;
}

const refusals = (all: readonly SimulationStep[]) =>
  all
    .flatMap((s) => (s.kind === 'refusal' ? [s.refusal] : []))
    .sort((a, b) => a.from - b.from || (a.account < b.account ? -1 : 1));

const run = (name: string, body: (w: MeteredWorld) => Promise<void>): void => {
  test(name, async () => {
    const w = await MeteredWorld.open();
    try {
      await body(w);
    } finally {
      await w.close();
    }
  });
};

const MONTH = { from: Date.UTC(2026, 9, 1), to: NOW };
const quota = (change: Partial<LimitDefinition> = {}) =>
  limit({ feed: 'metered', meter: 'bytes', rule: quotaOf(100, 'day'), ...change });

run('a quota: which accounts, in which periods, from which window on, and how much over', async (w) => {
  await w.events(0, [NOW - 3 * DAY, 60], [NOW - 3 * DAY + 2 * HOUR, 60], [NOW - 2 * DAY, 90], [NOW - MINUTE, '100.5']);
  await w.events(1, [NOW - 3 * DAY, 500], [NOW - 20 * DAY, 100]);
  const all = await steps(w, quota(), MONTH);
  assert.deepEqual(
    refusals(all).map((r) => [
      r.account,
      iso(r.from),
      r.used,
      r.over,
      iso(r.firstFrom),
      r.firstTo - r.firstFrom,
      r.refusals,
    ]),
    [
      ['a', '2026-11-18T00:00', 120n, 20n, '2026-11-18T11:30', 15 * MINUTE, null],
      ['b', '2026-11-18T00:00', 500n, 400n, '2026-11-18T09:30', 15 * MINUTE, null],
      ['a', '2026-11-21T00:00', 101n, 1n, '2026-11-21T09:15', 15 * MINUTE, null],
    ],
  );
  const progress = all.filter((s) => s.kind === 'progress');
  assert.deepEqual(progress.at(-1), { kind: 'progress', done: progress.length, of: progress.length });
  assert.deepEqual(
    refusals(await steps(w, quota(), MONTH, ['a'])).map((r) => r.account),
    ['a', 'a'],
  );
});

run('a quota of a subtree, by resource, by value, and over a sum of meters', async (w) => {
  await w.events(0, [NOW - HOUR, 60], [NOW - HOUR, 20, 'us']);
  await w.events(1, [NOW - HOUR, 70, 'us']);
  const over = async (change: Partial<LimitDefinition>) =>
    refusals(await steps(w, quota(change), MONTH)).map((r) => [r.account, r.subject, r.over]);
  assert.deepEqual(await over({ scope: 'subtree' }), [['root', '', 50n]]);
  assert.deepEqual(await over({ scope: 'resource', rule: quotaOf(75, 'day') }), [['a', 'vm-0', 5n]]);
  assert.deepEqual(await over({ scope: { dimension: 'region' }, rule: quotaOf(65, 'day') }), [['b', 'us', 5n]]);
  assert.deepEqual(await over({ meter: 'bytes + calls', rule: quotaOf(81, 'day') }), [['a', '', 1n]]);
});

run('a rate: each event is decided at its own time, as it would have been', async (w) => {
  const t = NOW - DAY;
  await w.events(0, ...[0, 1, 2, 3].map((i) => [t + i * 1000, 1] as const), [t + MINUTE, 1], [t + 2000, 1]);
  const calls = limit({ meter: 'calls', rule: rate('fixed', 2, MINUTE) });
  const [found, ...others] = refusals(await steps(w, calls, MONTH));
  assert.deepEqual(others, []);
  assert.deepEqual([found?.account, found?.used, found?.over, found?.refusals], ['a', 6n, 3n, 3]);
  assert.equal(found?.firstFrom, t + 2000);
  const bytes = limit({ meter: 'bytes', rule: rate('fixed', 2, MINUTE), shadow: true });
  assert.equal(refusals(await steps(w, bytes, MONTH)).length, 1);
  const sub = limit({ meter: 'calls', scope: 'subtree', rule: rate('fixed', 2, MINUTE) });
  assert.deepEqual(
    refusals(await steps(w, sub, MONTH)).map((r) => r.account),
    ['a', 'root'],
  );
});

run('what the past cannot tell of is refused by name', async (w) => {
  const refused = (definition: LimitDefinition, code: string, span = MONTH) =>
    assert.rejects(steps(w, definition, span), (error: Error & { code?: string }) => error.code === code);
  await refused(limit({ rule: atOnce(5, 1000) }), 'limit.invalid');
  await refused(limit({ meter: 'peak', rule: rate('fixed', 5, 1000) }), 'limit.invalid');
  await refused(limit({ meter: 'requests', rule: rate('fixed', 5, 1000) }), 'limit.invalid');
  await refused(quota(), 'request.invalid', { from: NOW, to: NOW });
});
