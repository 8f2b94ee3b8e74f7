/** A run that is cut off anywhere costs nothing: the next one makes what is missing, and nothing twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BillingStore } from '../../store/billing-store.ts';
import { StoreError } from '../../store/errors.ts';
import { at, type BillingWorld, basic, openBilling } from './testing/world.ts';

const ACCOUNTS = ['a', 'b', 'c', 'd', 'e'];

async function opened(): Promise<BillingWorld> {
  const world = await openBilling('2026-10-01T12:00');
  await world.plan('basic', basic, { period: { unit: 'day', count: 1 } });
  for (const [i, id] of ACCOUNTS.entries()) {
    await world.account(id);
    await world.subscribe(id, 'basic', '2026-10-01');
    await world.tokens(id, '2026-10-01T18:00', i);
  }
  world.clock.at = at('2026-10-05T12:00');
  await world.usage.job.run();
  return world;
}

/** The process ends at the n-th call of the books: before it, or when it is done and nobody hears of it. */
function dying(billing: BillingStore, n: number, isDone: boolean): { store: BillingStore; died(): boolean } {
  let calls = 0;
  const store = new Proxy(billing, {
    get: (target, name: keyof BillingStore) => {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        calls++;
        if (calls < n) return method.apply(target, args);
        if (calls === n && isDone) await method.apply(target, args);
        throw new StoreError('store.unavailable', 'the process is gone');
      };
    },
  });
  return { store, died: () => calls >= n };
}

const textsOf = async ({ billing }: BillingWorld): Promise<string[]> => {
  const all = await billing.invoices({ limit: 100 });
  const documents = await Promise.all(all.map(({ id }) => billing.invoice(id)));
  return documents.map((one) => `${one?.number} ${one?.issuedAt} ${one?.document}`).sort();
};

async function checkLedger({ billing }: BillingWorld): Promise<void> {
  const books = await billing.balances(['receivable/', 'revenue/', 'tax/', 'credit/', 'cash']);
  assert.equal(
    books.reduce((sum, { amount }) => sum + amount, 0n),
    0n,
  );
}

test('cut off at any call, before or after it was done, the next run ends with the same invoices byte for byte', async () => {
  const whole = await opened();
  await whole.server('one', { batch: 2 }).run();
  const expected = await textsOf(whole);
  assert.equal(expected.length, 2 * ACCOUNTS.length);
  let [n, deaths] = [1, 0];
  // Every call in the long form, one of three in the short one.
  const step = process.env.CI === 'true' ? 1 : 3;
  for (let dies = true; dies; n += step) {
    dies = false;
    for (const isDone of [false, true]) {
      const world = await opened();
      const { store, died } = dying(world.billing, n, isDone);
      const first = world.server('one', { batch: 2, billing: store });
      await first.run().catch(() => undefined);
      dies ||= died();
      deaths += Number(died());
      // Whoever held it is gone: the hold has to end first. Invoices keep the date of the run.
      world.clock.at += 300_000;
      for (let i = 0; i < 2; i++) await world.server('two', { batch: 2 }).run();
      const texts = await textsOf(world);
      // A run that was not begun is begun later, so its invoices are of later.
      const moved = texts.map((text) =>
        text.replace(String(at('2026-10-05T12:00') + 300_000), String(at('2026-10-05T12:00'))),
      );
      assert.deepEqual(moved, expected, `call ${n}, ${isDone ? 'done' : 'not done'}`);
      await checkLedger(world);
    }
  }
  assert.ok(deaths > 10, `${deaths} deaths`);
});

test('two servers at once make each invoice once, and number them without a gap', async () => {
  const world = await opened();
  const [one, two] = [world.server('one', { batch: 2 }), world.server('two', { batch: 1 })];
  await Promise.all([one.run(), two.run({ accounts: ACCOUNTS }), two.run({ accounts: ['c', 'd'] })]);
  await two.run();
  const all = await world.billing.invoices({ limit: 100 });
  assert.deepEqual(
    all.map(({ sequence }) => sequence).sort((a, b) => a - b),
    all.map((_, i) => i + 1),
  );
  assert.equal(new Set(all.map(({ account, from, to }) => `${account} ${from} ${to}`)).size, all.length);
  assert.equal(all.length, 2 * ACCOUNTS.length);
  await checkLedger(world);
});

test('another server does not run what one holds, and goes on with it once the hold has ended', async () => {
  const world = await opened();
  const { id } = await world.billing.startBillingRun({ frontier: 1, until: world.clock.at, startedAt: world.clock.at });
  await world.billing.holdBillingRun(id, 'gone', world.clock.at, 120_000);
  const waiting = await world.server('two').run();
  assert.deepEqual([waiting.ref, waiting.outcome, waiting.accounts], [String(id), 'running', 0]);
  world.clock.at += 120_001;
  const taken = await world.server('two').run();
  assert.deepEqual([taken.ref, taken.outcome], [String(id), 'done']);
  assert.equal((await world.server('two').run()).invoices, 10);
});
