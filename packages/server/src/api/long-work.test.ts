import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Problem } from '../errors.ts';
import { LongWork } from './long-work.ts';
import { openApi } from './testing/api.ts';

/** Counts how many steps are in work at once. */
const counted = () => {
  const seen = { now: 0, most: 0, made: 0 };
  const steps = async function* (n: number): AsyncGenerator<number> {
    for (let i = 0; i < n; i++) {
      seen.most = Math.max(seen.most, ++seen.now);
      await setImmediate();
      seen.now--;
      seen.made++;
      yield i;
    }
  };
  const ask = (answers: LongWork, key: string, n: number) =>
    answers.lines({ key, begin: async () => steps(n), lineOf: (step) => `${step}\n` });
  return { seen, ask };
};
const textOf = async (lines: AsyncIterable<unknown>): Promise<string> => {
  let text = '';
  for await (const line of lines) text += String(line);
  return text;
};
const isBusy = (error: unknown): boolean => error instanceof Problem && error.code === 'server.busy';

test('of all long answers one step is in work at a time, and each is whole', async () => {
  const { seen, ask } = counted();
  const answers = new LongWork({ what: 'answers', all: 32, ofKey: 4 });
  const texts = await Promise.all(['a', 'b', 'c'].map(async (key) => textOf(await ask(answers, key, 3))));
  assert.deepEqual([texts, seen.most], [['0\n1\n2\n', '0\n1\n2\n', '0\n1\n2\n'], 1]);
});

test('a key has four at once, all together 32; a place is free again when its answer ends, fails or is not read', async () => {
  const { ask } = counted();
  const answers = new LongWork({ what: 'answers', all: 32, ofKey: 4 });
  const of = await Promise.all([1, 2, 3, 4].map((n) => ask(answers, 'a', n)));
  await assert.rejects(ask(answers, 'a', 1), isBusy);
  const [read, left] = of;
  assert.ok(read !== undefined && left !== undefined);
  await textOf(read);
  left.destroy();
  await setImmediate();
  const failing = { begin: async () => assert.fail('bad'), lineOf: String };
  for (let i = 0; i < 9; i++) await assert.rejects(answers.lines({ key: 'a', ...failing }), /bad/);
  const torn = async function* () {
    yield 1;
    throw new Error('torn');
  };
  for (let i = 0; i < 9; i++)
    await assert.rejects(textOf(await answers.lines({ key: 'a', begin: async () => torn(), lineOf: String })), /torn/);
  await Promise.all([ask(answers, 'a', 1), ask(answers, 'a', 1)]);
  await assert.rejects(ask(answers, 'a', 1), isBusy);
  await Promise.all(Array.from({ length: 28 }, (_, i) => ask(answers, `key ${i % 7}`, 1)));
  await assert.rejects(ask(answers, 'other', 1), isBusy);
});

test('one that nobody reads any more makes no further step', async () => {
  const { seen, ask } = counted();
  const lines = await ask(new LongWork({ what: 'answers', all: 32, ofKey: 4 }), 'a', 1000);
  lines.destroy();
  for (let i = 0; i < 20; i++) await setImmediate();
  assert.ok(seen.made < 5, String(seen.made));
});

test('proofs and simulations share the places: while a key has four in work, any further one is refused', async (t) => {
  const api = await openApi(t);
  const { billing } = api.context.control;
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { invoices } = billing;
  t.mock.method(billing, 'invoices', async (filter: Parameters<typeof invoices>[0]) => {
    await gate;
    return invoices(filter);
  });
  const verify = () => api.call(api.admin, 'GET', '/api/v1/invoices/verify');
  const simulate = (what: string, body: string) =>
    api.call(api.admin, 'POST', `/api/v1/${what}/simulate?from=2026-11-01&to=2026-11-20`, {
      raw: { body, type: 'application/yaml' },
    });
  const daily = '{key: daily, meter: network.bytes.received, feed: metered, quota: 500, per: day}';
  const routes = [
    verify,
    () => simulate('plans', 'plans: [{key: basic}]'),
    () => simulate('limits', daily),
    () => api.call(api.admin, 'GET', '/api/v1/limits/reconcile'),
  ];
  const held = Array.from({ length: 4 }, verify);
  for (const ask of routes) {
    const { status, body, headers } = await ask();
    assert.deepEqual([status, body.code, headers['retry-after']], [503, 'server.busy', '2']);
  }
  open();
  for (const { status } of await Promise.all(held)) assert.equal(status, 200);
  for (const ask of routes) assert.equal((await ask()).status, 200);
});
