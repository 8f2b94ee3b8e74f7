/** Decisions while the decision server is slow, away or lying, and names that are made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNow, open } from './testing/decide.ts';
import { blocked, settled } from './testing/lender.ts';

test('a block ends the chunks at hand and stands while nobody answers', async () => {
  const { ask, lender, world, decide } = open(1000);
  await ask();
  lender.refusal = blocked;
  world.pass(540);
  decide();
  await settled();
  assert.equal(await ask(), false);
  lender.away = true;
  world.pass(5000);
  assert.equal(await ask(), false);
  lender.away = false;
  lender.refusal = null;
  world.pass(1000);
  await ask();
  await settled();
  assert.equal(await ask(), true);
});

test('a slow server costs a call 10 ms, and what it lends late pays for what was admitted', async () => {
  const { decide, lender, world, decider } = open(1000);
  lender.delayMs = 400;
  const verdict = decide();
  await settled();
  world.pass(9);
  let done = false;
  void Promise.resolve(verdict).then(() => {
    done = true;
  });
  await settled();
  assert.equal(done, false);
  world.pass(1);
  assert.equal((await verdict).refusal, null);
  assert.equal(decider.owed, 1);
  world.pass(400);
  await settled();
  assert.equal(decider.owed, 0);
  lender.delayMs = 0;
  await decider.close();
  assert.deepEqual([lender.used, lender.owed], [1, 0]);
});

test('while the server is away nobody waits, and what was admitted is charged afterwards', async () => {
  const { count, ask, lender, world, decide, decider, told } = open(1000);
  lender.away = true;
  assert.equal(await count(10), 10);
  assert.equal(isNow(await decide()), true);
  assert.deepEqual(told, ['throttle.no_answer']);
  assert.equal(decider.owed, 11);
  // It is told in vain meanwhile.
  for (let i = 0; i < 10; i++) {
    world.pass(500);
    await settled();
  }
  assert.equal(decider.owed, 11);
  lender.away = false;
  world.pass(1200);
  await settled();
  assert.equal(lender.owed, 11);
  assert.equal(await ask(), true);
  assert.equal(decider.owed, 0);
});

test('fail modes while the server is away: what limits said, and before that the setting', async () => {
  const check = async (
    mode: 'open' | 'closed' | 'last' | 'bounded',
    amount: number,
    admitted: number,
    known: boolean,
  ) => {
    const fail = { mode, amount };
    const { count, lender, world, ask } = open(1000, known ? {} : { fail });
    if (known) {
      lender.fail = fail;
      await ask();
      world.pass(1200);
    }
    lender.away = true;
    assert.equal(await count(20), admitted, `${mode}, ${known ? 'known' : 'never answered'}`);
  };
  for (const known of [false, true]) {
    await check('open', 0, 20, known);
    await check('closed', 0, 0, known);
    await check('last', 0, 20, known);
    await check('bounded', 7, 7, known);
  }
});

test('with `last`, what was refused stays refused while the server is away', async () => {
  const { ask, lender, world } = open(0);
  lender.fail = { mode: 'last', amount: 0 };
  assert.equal(await ask(), false);
  lender.away = true;
  world.pass(5000);
  assert.equal(await ask(), false);
});

test('a lie is no answer', async () => {
  const check = async (body: unknown, status = 200) => {
    const { ask, lender, client } = open(1000, { fail: { mode: 'closed', amount: 0 } });
    lender.lie = { status, retryAfter: 0, body: typeof body === 'string' ? body : JSON.stringify(body) };
    assert.equal(await ask(), false, JSON.stringify(body));
    assert.equal(client.failures, 1, JSON.stringify(body));
  };
  const lease = { id: 'a', granted: 5, ttlMs: 900, perCall: false, fail: { mode: 'open', amount: 0 } };
  const whole = { ...lease, policies: [], refusal: [] };
  await check('no JSON');
  await check(null);
  await check({});
  await check({ ...whole, granted: 1e300 });
  await check({ ...whole, granted: -1 });
  await check({ ...whole, granted: '5' });
  await check({ ...whole, granted: 0 });
  await check({ ...whole, id: null });
  await check({ ...whole, ttlMs: 1.5 });
  await check({ ...whole, fail: { mode: 'maybe', amount: 0 } });
  await check({ ...whole, policies: [{ name: 'x' }] });
  await check(whole, 500);
  await check({ code: 'auth.scope' }, 403);
});

test('an account the server does not know is refused as such', async () => {
  const { decide, lender } = open(1000);
  lender.lie = { status: 404, retryAfter: 0, body: '{"code":"account.unknown"}' };
  assert.equal((await decide()).refusal?.code, 'account.unknown');
});

test('more tenants than are kept: the oldest are forgotten, and what they hold is returned', async () => {
  const { ask, decider, lender, world } = open(1_000_000);
  for (let i = 0; i < 300; i++) await ask(1, `tenant-${i}`);
  assert.equal(decider.questions, 100);
  world.pass(200);
  await settled();
  assert.ok(lender.open.size <= 100, `${lender.open.size} open`);
});

test('made up names push out only each other, also while the server is away', async () => {
  const { ask, decide, decider, lender } = open(1_000_000);
  await ask();
  const lies = lender.lie;
  lender.lie = { status: 404, retryAfter: 0, body: '{"code":"account.unknown"}' };
  for (let i = 0; i < 300; i++) assert.equal(await ask(1, `nobody-${i}`), false);
  lender.lie = lies;
  lender.away = true;
  for (let i = 0; i < 300; i++) assert.equal(await ask(1, `invented-${i}`), true);
  assert.equal(decider.questions, 101);
  assert.equal(decider.lost, 200);
  const { policies } = await decide();
  assert.equal(policies[0]?.name, 'calls', 'what is known of a tenant stays known');
});

test('a name that can be nobody is refused without asking, and a refused question stops no other', async () => {
  const { ask, lender, client } = open(1000, { fail: { mode: 'closed', amount: 0 } });
  for (const name of ['', 'a\u0000b', 'line\nline', 'x'.repeat(257)]) assert.equal(await ask(1, name), false, name);
  assert.equal(lender.questions.length, 0);
  lender.lie = { status: 400, retryAfter: 0, body: '{"code":"request.invalid"}' };
  assert.equal(await ask(1, 'odd'), false);
  assert.equal(client.failures, 1);
  lender.lie = null;
  assert.equal(await ask(1, 'acme'), true);
});

test('what is returned while a proxy answers for the server is returned again, until the server has it', async () => {
  const { lender, client, world } = open(1000);
  lender.open.set('lent', 100);
  lender.lie = { status: 404, retryAfter: 0, body: '<html>not found</html>' };
  client.giveBack([{ id: 'lent', used: 3 }]);
  await client.flush();
  assert.deepEqual([lender.used, client.failures], [0, 1]);
  lender.lie = null;
  world.pass(1000);
  await client.flush();
  assert.deepEqual([lender.used, [...lender.open]], [3, []]);
  // What the server itself refuses is not asked again.
  lender.lie = { status: 404, retryAfter: 0, body: '{"code":"lease.unknown"}' };
  client.giveBack([{ id: 'gone', used: 1 }]);
  await client.flush();
  assert.equal(client.failures, 1);
});
