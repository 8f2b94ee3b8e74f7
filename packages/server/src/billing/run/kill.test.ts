/** Invoice runs on PostgreSQL, killed with SIGKILL at random points: no number is lost, no account billed twice. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { ControlBody } from '../../domain/control-fact.ts';
import type { BillingStore } from '../../store/billing-store.ts';
import { ControlLog } from '../../store/control-log.ts';
import { openDataDir } from '../../store/data-dir.ts';
import { openPostgres } from '../../store/postgres/control-postgres.ts';
import type { PostgresConnection } from '../../store/postgres/database.ts';
import { EmbeddedPostgres } from '../../store/postgres/embedded.ts';
import { Receipts } from '../../store/receipts.ts';
import { systemClock } from '../../system.ts';
import { fee } from '../invoice/testing/world.ts';
import { makeInvoices, type RunningWork } from './testing/running-process.ts';
import { at, ZONE } from './testing/world.ts';

const program = join(import.meta.dirname, 'testing', 'running-process.js');
const ACCOUNTS = process.env.CI === 'true' ? 600 : 40;
const KILLS = process.env.CI === 'true' ? 12 : 2;

async function startPostgres(t: TestContext): Promise<PostgresConnection> {
  const temp = mkdtempSync(join(tmpdir(), 'tg-invoices-'));
  const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  const dir = openDataDir(join(temp, 'data'), uid);
  const log = (): void => undefined;
  const users = { wanted: 'nobody' };
  const server = await EmbeddedPostgres.start({ layout: dir.layout, uid, gid, temp, run: temp, users, log });
  t.after(async () => {
    await server.stop();
    dir.release();
    rmSync(temp, { recursive: true, force: true });
  });
  return server.connection;
}

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

/** Killed once it has made some more invoices. False: it was done before. */
async function killed(work: RunningWork, billing: BillingStore, afterMs: number): Promise<boolean> {
  const newest = async (): Promise<number> => (await billing.invoices({ limit: 1 }))[0]?.sequence ?? 0;
  const before = await newest();
  const child = spawn(process.execPath, [program, JSON.stringify(work)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  while (child.exitCode === null && (await newest()) === before) await wait(5);
  await wait(afterMs);
  child.kill('SIGKILL');
  return (await gone) === 'SIGKILL';
}

test('killed again and again, the runs end with every invoice once, numbers without a gap, and a ledger of zero', async (t) => {
  const postgres = await startPostgres(t);
  await layDown(postgres);
  const control = await openPostgres({ connection: postgres });
  let now = at('2026-11-05');
  const begun = systemClock.elapsed();
  let kills = 0;
  const work = (holder: string): RunningWork => ({ postgres, holder, now, batch: 3 });
  for (let i = 0; i < KILLS; i++) {
    // Each hold has to end before the next one goes on with the run.
    now += 300_000;
    if (await killed(work(`killed ${i}`), control.billing, (i * 7) % 25)) kills++;
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
  t.diagnostic(`${kills} of ${KILLS} killed at work, ${Math.round(systemClock.elapsed() - begun)} ms`);
  assert.ok(kills > 0, 'none was killed at work');
});
