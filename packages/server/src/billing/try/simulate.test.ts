/** Other plans against the past of accounts, on the model stores. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanContent } from '../../domain/limit/plan.ts';
import type { Price } from '../../domain/price/price.ts';
import { fee, usage } from '../invoice/testing/world.ts';
import { at, type BillingWorld, basic, openBilling } from '../run/testing/world.ts';
import { type PlanSimulation, simulatePlans } from './simulate.ts';

const quarter = { from: at('2026-10-01'), to: at('2027-01-01') };

function planOf(key: string, prices: readonly Price[], currency = 'EUR'): PlanContent {
  const terms = { period: { unit: 'month', count: 1 }, anchor: 'calendar', trialDays: 0 } as const;
  return { key, name: key, entitlements: [], limits: [], billing: { currency, ...terms, minimum: null, prices } };
}

async function simulated(world: BillingWorld, what: Partial<PlanSimulation>): Promise<string[]> {
  const reader = await world.usage.meteredAt();
  const book = await world.log.bookAt(reader.frontier);
  const asked = { plans: [], accounts: null, span: quarter, ...what };
  const out: string[] = [];
  for await (const step of simulatePlans(reader, book, asked)) {
    if (step.kind === 'account') {
      const { account, before, after, periodsBefore, failure } = step.account;
      out.push(failure === '' ? `${account} ${periodsBefore}: ${before} -> ${after}` : failure);
    }
    if (step.kind === 'total')
      out.push(...step.totals.map((t) => `${t.accounts} in ${t.currency}: ${t.before} -> ${t.after}`));
  }
  return out;
}

/** A quarter of two customers with `basic`, and one with another plan. */
async function opened(): Promise<BillingWorld> {
  const world = await openBilling('2026-10-01T00:00');
  await world.plan('basic', basic);
  await world.plan('flat', [fee('flat', '80')]);
  for (const id of ['acme', 'late', 'third']) await world.account(id);
  await world.subscribe('acme', 'basic', '2026-10-01');
  await world.subscribe('late', 'basic', '2026-12-01');
  await world.subscribe('third', 'flat', '2026-10-01');
  for (const [id, day, n] of [
    ['acme', '2026-10-05', 100],
    ['acme', '2026-11-05', 300],
    ['late', '2026-12-05', 10],
    ['third', '2026-12-05', 50],
  ] as const)
    await world.tokens(id, day, n);
  await world.runAt('2027-01-10');
  return world;
}

test('subscribers of the plan: what it would have been, to the cent, and nothing is written', async () => {
  const world = await opened();
  const before = [await world.papers(), world.log.book.at, world.log.book.catalogue.planVersions('basic').length];
  const plans = [planOf('basic', [fee('base', '39'), usage('tokens', '0.15', { meter: 'tokens' })])];
  assert.deepEqual(await simulated(world, { plans }), [
    'acme 3: 18700 -> 17700',
    'late 1: 5000 -> 4050',
    '2 in EUR: 23700 -> 21750',
  ]);
  const after = [await world.papers(), world.log.book.at, world.log.book.catalogue.planVersions('basic').length];
  assert.deepEqual(after, before);
  const same = [planOf('basic', basic)];
  assert.deepEqual(await simulated(world, { plans: same }), [
    'acme 3: 18700 -> 18700',
    'late 1: 5000 -> 5000',
    '2 in EUR: 23700 -> 23700',
  ]);
});

test('accounts that are named would have had the plan as long as they had any', async () => {
  const world = await opened();
  const plans = [planOf('new', [fee('base', '10'), usage('tokens', '1', { meter: 'tokens' })])];
  assert.deepEqual(await simulated(world, { plans, accounts: ['late', 'third'] }), [
    'late 1: 5000 -> 2000',
    'third 3: 24000 -> 8000',
    '2 in EUR: 29000 -> 10000',
  ]);
});

test('who cannot be billed by it is told, the others go on; periods outside the span do not count', async () => {
  const world = await opened();
  const [text, ...others] = await simulated(world, { plans: [planOf('basic', basic, 'USD')], accounts: ['acme'] });
  assert.match(text ?? '', /^acme \/ basic: the plan is priced in USD, the account is billed in EUR/);
  assert.deepEqual(others, []);
  const span = { from: at('2026-10-15'), to: at('2026-12-20') };
  assert.deepEqual(await simulated(world, { plans: [planOf('basic', basic)], span, accounts: ['acme'] }), [
    'acme 1: 7900 -> 7900',
    '1 in EUR: 7900 -> 7900',
  ]);
});
