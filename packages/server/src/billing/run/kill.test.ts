/** Invoice runs on PostgreSQL, killed with SIGKILL at any of their writings: no number is lost, no account billed twice. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ControlBody } from '../../domain/control-fact.ts';
import { ControlLog } from '../../store/control-log.ts';
import { openPostgres } from '../../store/postgres/control-postgres.ts';
import type { PostgresConnection } from '../../store/postgres/database.ts';
import { startBarePostgres } from '../../store/postgres/testing/bare-postgres.ts';
import { Receipts } from '../../store/receipts.ts';
import { systemClock } from '../../system.ts';
import { fee } from '../invoice/testing/world.ts';
import { type Death, makeInvoices, type RunningWork } from './testing/running-process.ts';
import { at, ZONE } from './testing/world.ts';

const program = join(import.meta.dirname, 'testing', 'running-process.js');
const ACCOUNTS = process.env.CI === 'true' ? 600 : 40;
const KILLS = process.env.CI === 'true' ? 12 : 2;

/** Accounts with a fee in advance since October. */
async function layDown(postgres: PostgresConnection): Promise<void> {
  const control = await openPostgres({ connection: postgres });
  const log = await ControlLog.open(control, await Receipts.open(control, { block: 10_000 }), systemClock);
  const terms = { currency: 'EUR', period: { unit: 'month', count: 1 }, anchor: 'calendar', trialDays: 0 } as const;
  const billing = { ...terms, minimum: null, prices: [fee('base', '49')] };
  const plan = { key: 'basic', name: 'basic', entitlements: [], limits: [], billing };
  const bodies: ControlBody[] = [{ kind: 'plan', plan, from: 0, removed: false }];
  const from = at('2026-10-01');
  for (let i = 0; i < ACCOUNTS; i++) {
    const id = `a${String(i).padStart(5, '0')}`;
    bodies.push({ kind: 'account', id, parent: null, name: id, zone: ZONE, currency: 'EUR', state: 'active' });
    bodies.push({ kind: 'subscription', account: id, plan: 'basic', from, to: null, anchor: from });
  }
  await log.append(bodies, { tenant: '', author: 'test', reason: '' });
  await control.close();
}

/** How the process ended. */
function ended(work: RunningWork): Promise<NodeJS.Signals | number | null> {
  const child = spawn(process.execPath, [program, JSON.stringify(work)], { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
}

/** Before what is written is sent, at once after it, and while the store is at it. */
const MOMENTS = [0, null, 2, 7, 1, 25] as const;
const deathOf = (i: number): Death => ({
  write: 1 + ((3 + i * 17) % 40),
  afterMs: MOMENTS[i % MOMENTS.length] ?? null,
});

test('killed again and again, the runs end with every invoice once, numbers without a gap, and a ledger of zero', async (t) => {
  // Nobody kills PostgreSQL here: what a process had sent is committed or not, synced or not.
  const { connection: postgres, stop } = await startBarePostgres();
  t.after(stop);
  await layDown(postgres);
  const control = await openPostgres({ connection: postgres });
  let now = at('2026-11-05');
  const work = (holder: string, death: Death | null = null): RunningWork => ({
    ...{ postgres, holder, now, batch: 3, death },
  });
  for (let i = 0; i < KILLS; i++) {
    // Each hold has to end before the next one goes on with the run.
    now += 300_000;
    assert.equal(await ended(work(`killed ${i}`, deathOf(i))), 'SIGKILL');
  }
  now += 300_000;
  const last = await makeInvoices(work('last'));
  assert.equal(last.outcome, 'done', last.error);
  // The last one may have gone on with what the one before had begun.
  assert.equal((await makeInvoices(work('and once more'))).invoices, 0);
  const all = await control.billing.invoices({ limit: 10_000 });
  const numbers = all.map(({ sequence }) => sequence).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: 2 * ACCOUNTS }, (_, i) => i + 1),
  );
  assert.equal(new Set(all.map(({ account, from, to }) => `${account} ${from} ${to}`)).size, 2 * ACCOUNTS);
  assert.equal(
    all.reduce((sum, { total }) => sum + total, 0n),
    BigInt(2 * ACCOUNTS) * 4900n,
  );
  const books = await control.billing.balances(['receivable/', 'revenue/']);
  assert.equal(
    books.reduce((sum, { amount }) => sum + amount, 0n),
    0n,
  );
  await control.close();
});
