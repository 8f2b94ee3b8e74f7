/** What hangs on a decision: notices, refusals to explain, usage of what was admitted, and the books balanced. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { watching } from '../domain/limit/watched.ts';
import type { Reconciled } from './reconcile.ts';
import { ask, DecidedWorld, limit } from './testing/decided-world.ts';
import { quotaOf, rate } from './testing/gates.ts';
import { MeteredWorld, NOW } from './testing/metered-world.ts';
import { Watch } from './watch.ts';

const HOUR = 3_600_000;

const run = (name: string, body: (d: DecidedWorld, w: MeteredWorld) => Promise<void>): void => {
  test(name, async () => {
    const w = await MeteredWorld.open();
    try {
      const d = await DecidedWorld.open(w);
      await body(d, w);
      await d.published.stop(0);
    } finally {
      await w.close();
    }
  });
};
const metered = limit({ key: 'included', feed: 'metered', meter: 'bytes', rule: quotaOf(1000) });
const percents = async (d: DecidedWorld) => (await d.notices.list(null, 99)).map((n) => [n.tenant, n.limit, n.percent]);

run(
  'a threshold is told once for each period and version, by decisions too, and not again after a restart',
  async (d, w) => {
    await d.define(limit());
    for (let i = 0; i < 6; i++) await d.throttle.decide(ask(), 1);
    await d.notices.work();
    await d.notices.work();
    assert.deepEqual(await percents(d), [['a', 'calls', 50]]);
    assert.deepEqual(
      d.sent.map((n) => [n.percent, n.used, n.amount]),
      [[50, 6, 10]],
    );
    assert.equal(w.reports.filter((r) => r === 'limit.threshold').length, 1);
    await d.published.stop(0);
    const next = await DecidedWorld.open(w);
    await next.throttle.decide(ask(), 1);
    await next.notices.work();
    assert.deepEqual(next.sent, []);
    await next.throttle.decide(ask({ account: 'b' }), 10);
    await next.notices.work();
    assert.deepEqual(await percents(next), [
      ['b', 'calls', 100],
      ['b', 'calls', 50],
      ['a', 'calls', 50],
    ]);
    assert.deepEqual(
      (await next.notices.list(new Set(['a']), 9)).map((n) => n.tenant),
      ['a'],
    );
    await next.define(limit({ rule: quotaOf(12) }));
    await next.throttle.decide(ask(), 0);
    await next.notices.work();
    assert.equal((await next.notices.list(null, 1))[0]?.amount, 12, 'of the new version');
    await next.published.stop(0);
  },
);

run('a metered counter tells when it crosses, whoever moves it; nothing used is no news', async (d, w) => {
  await d.define(metered);
  await d.throttle.decide(ask(), 1);
  await d.notices.work();
  assert.equal(d.sent.length, 0);
  await w.events(0, [NOW, 999]);
  await d.notices.work();
  assert.deepEqual(
    d.sent.map((n) => [n.limit, n.percent, n.used]),
    [['included', 50, 999]],
  );
});

run('accounts that ask for nothing are told all the same, and once', async (d, w) => {
  await d.define(metered);
  const watch = new Watch({
    book: () => w.log.book,
    watched: watching(() => w.log.book),
    feed: w.feed,
    clock: w.clock,
    breathe: async () => undefined,
    report: () => undefined,
  });
  await watch.round();
  await w.events(0, [NOW, 600]);
  await d.notices.work();
  await watch.round();
  await d.notices.work();
  assert.deepEqual(
    d.sent.map((n) => [n.tenant, n.percent]),
    [['a', 50]],
  );
  assert.equal(w.reports.filter((r) => r === 'limit.threshold').length, 1);
});

run('notices wait while the store is away', async (d, w) => {
  await d.define(limit());
  await d.throttle.decide(ask(), 10);
  const { addNotices } = w.control;
  w.control.addNotices = async () => Promise.reject(new Error('away'));
  await assert.rejects(d.notices.work());
  w.control.addNotices = addNotices;
  await d.notices.work();
  assert.equal(d.sent.length, 2);
});

run('a refusal can be explained down to the series that used the quota up', async (d, w) => {
  await d.define(metered);
  await w.events(0, [NOW - HOUR, 600]);
  await w.events(0, [NOW - HOUR, 500, 'us']);
  await w.usage.job.run();
  const answer = await d.throttle.decide(ask({ action: 'upload' }), 1);
  assert.equal(answer.allowed, false);
  const [refusal] = d.refusals.list(null, 9);
  assert.ok(refusal);
  const { id, at, cost, action, kind, used, remaining, reason, plan } = refusal;
  assert.deepEqual(
    [at, cost, action, kind, used, remaining, reason, plan],
    [NOW, 1, 'upload', 'refused', 1100, 0, 'limit.reached', null],
  );
  assert.deepEqual([refusal.limit?.key, refusal.limit?.amount, refusal.limit?.feed], ['included', 1000, 'metered']);
  assert.equal(d.refusals.get(id), refusal);
  const rows = await d.refusals.behind(id, w.usage, null);
  assert.deepEqual(
    rows?.map((r) => [r.quantity, r.group.resource]),
    [
      ['600', 'vm-0'],
      ['500', 'vm-0'],
    ],
  );
  const explained = await w.usage.explain(rows?.[0]?.explain ?? '', null, Number);
  assert.equal(explained.kind, 'tally');
  assert.equal(await d.refusals.behind(id, w.usage, new Set(['b'])), null, 'of another tenant');
  assert.deepEqual(d.refusals.list(new Set(['b']), 9), []);
  assert.deepEqual(
    d.refusals.counts(null).map((c) => [c.account, c.limit, c.calls, c.units]),
    [['a', 'included', 1, 1n]],
  );
  assert.equal(d.refusals.get('refusal:other-0'), undefined);
});

run('what a shadow limit would have refused, and what a soft one let through, is kept as such', async (d) => {
  await d.define(limit({ key: 'soft', hard: false, rule: quotaOf(1) }));
  await d.define(limit({ key: 'shadow', shadow: true, rule: quotaOf(2) }));
  for (let i = 0; i < 3; i++) assert.equal((await d.throttle.decide(ask(), 1)).allowed, true);
  assert.deepEqual(
    d.refusals.list(null, 9).map((r) => [r.kind, r.limit?.key]),
    [
      ['shadowed', 'shadow'],
      ['exceeded', 'soft'],
    ],
  );
});

test('the ring of refusals and their counts are bounded', async () => {
  const w = await MeteredWorld.open();
  try {
    const { Refusals } = await import('./refusals.ts');
    const refusals = new Refusals('x', { kept: 3, counts: 2 });
    const question = { prepared: { gates: [] }, standing: { gates: [] } as never, at: 0 };
    const answer = {
      allowed: false,
      reason: 'action.blocked' as const,
      detail: '',
      gate: null,
      decision: null,
      plan: null,
      shadowed: [],
    };
    for (let i = 0; i < 5; i++) refusals.note(ask({ account: `a${i}` }), question, 1, answer, NOW);
    assert.deepEqual(
      refusals.list(null, 9).map((r) => r.account),
      ['a4', 'a3', 'a2'],
    );
    assert.equal(refusals.get('refusal:x-0'), undefined);
    assert.deepEqual(
      refusals.counts(null).map((c) => c.account),
      ['a3', 'a4'],
    );
  } finally {
    await w.close();
  }
});

const reconciled = async (d: DecidedWorld): Promise<Reconciled[]> => {
  const rows: Reconciled[] = [];
  for await (const row of d.ledger.reconcile(d.w.usage, (key) => key === 'units', d.w.clock.at)) rows.push(row);
  return rows;
};

run('what was admitted is metered, with its account and dimensions, and the books balance', async (d, w) => {
  await d.define(limit());
  await d.define(limit({ key: 'eu', scope: { dimension: 'region' }, rule: quotaOf(5) }));
  await d.define(limit({ key: 'rate', rule: rate('fixed', 100, 1000) }));
  await d.define(limit({ key: 'trial', shadow: true, rule: quotaOf(4) }));
  await d.define(limit({ key: 'some', actions: ['upload'], rule: quotaOf(9) }));
  for (let i = 0; i < 9; i++) await d.throttle.decide(ask({ dimensions: { region: 'eu' } }), 2);
  await d.throttle.decide(ask({ action: 'upload' }), 3);
  await d.throttle.decide(ask({ account: 'b' }), 7);
  w.clock.pass(60_000);
  await d.published.stop();
  const rows = await reconciled(d);
  const shown = rows.map((r) => [
    r.limit,
    r.subject,
    Number(r.offered),
    Number(r.admitted),
    Number(r.refused),
    Number(r.shadowed),
    r.difference,
  ]);
  assert.deepEqual(shown, [
    ['calls', 'a', 21, 7, 14, 0, 0n],
    ['eu', 'a\neu', 18, 4, 14, 0, 0n],
    ['rate', 'a', 21, 7, 14, 0, 0n],
    ['trial', 'a', 21, 4, 14, 3, 0n],
    ['some', 'a', 3, 3, 0, 0, null],
    ['calls', 'b', 7, 7, 0, 0, 0n],
    ['rate', 'b', 7, 7, 0, 0, 0n],
    ['trial', 'b', 7, 0, 0, 7, 0n],
  ]);
  assert.ok(rows.every((r) => r.isBalanced));
  assert.ok(rows.filter((r) => r.difference === null).every((r) => r.incomparable !== ''));
});

/** The lock names this very process, which lives: whoever opened the copy would look for seconds whether it moves. */
const isUnlocked = (path: string): boolean => !path.endsWith('/lock');

run('after a kill at most what was decided since the last flush is missing', async (d, w) => {
  await d.define(limit());
  await d.throttle.decide(ask(), 4);
  await d.published.spool.flush();
  // What a kill now would leave on the disk.
  cpSync(join(w.dir, 'decisions'), join(w.dir, 'killed'), { recursive: true, filter: isUnlocked });
  await d.throttle.decide(ask(), 1);
  w.clock.pass(60_000);
  const next = await DecidedWorld.open(w, 'killed');
  await next.published.stop();
  const [row] = await reconciled(d);
  assert.deepEqual([row?.admitted, row?.metered, row?.difference], [5n, 4n, -1n]);
});

run('a meter that a sum of decisions cannot be an event of is told once, and requests need none', async (d, w) => {
  await d.define(limit({ meter: 'calls' }));
  await d.define(limit({ key: 'r', meter: 'requests' }));
  for (let i = 0; i < 3; i++) await d.throttle.decide(ask({ meter: 'calls' }), 1);
  await d.throttle.decide(ask({ meter: 'requests' }), 1);
  assert.deepEqual(
    w.reports.filter((r) => r.startsWith('decisions')),
    ['decisions.not_metered'],
  );
});
