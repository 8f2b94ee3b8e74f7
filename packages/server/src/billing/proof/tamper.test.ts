/** On the real stores: one byte changed behind the server's back, in a fact, a reading, an event, a document, is found and named. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { meterOf } from '../../domain/testing/priced-plan.ts';
import { Lane } from '../../store/chdb/lane.ts';
import { openChdb } from '../../store/chdb/usage-chdb.ts';
import { openDataDir } from '../../store/data-dir.ts';
import { openPostgres } from '../../store/postgres/control-postgres.ts';
import { Database } from '../../store/postgres/database.ts';
import { EmbeddedPostgres } from '../../store/postgres/embedded.ts';
import { usage } from '../invoice/testing/world.ts';
import { at, type BillingWorld, basic, openBilling } from '../run/testing/world.ts';
import { Reconciler } from './reconcile.ts';
import { proofOf, verdicts } from './testing/proof.ts';

const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Both stores, ways around them, and a server that has seen nothing yet. */
async function opened(t: TestContext) {
  const temp = mkdtempSync(join(tmpdir(), 'tg-proof-'));
  const chdb = mkdtempSync(join(memory, 'tg-proof-'));
  const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  const dir = openDataDir(join(temp, 'data'), uid);
  const log = (): void => undefined;
  const server = await EmbeddedPostgres.start({
    ...{ layout: dir.layout, uid, gid, temp, run: temp, users: { wanted: 'nobody' }, log },
  });
  const { connection } = server;
  const control = await openPostgres({ connection, groups: 4 });
  const db = new Database({ connection, schema: 'tollgate', connections: 1, log });
  const directory = join(chdb, 'store');
  const store = await openChdb({ directory });
  const lane = new Lane(directory, { memory: 1e9, seconds: 0, threads: 1 });
  t.after(async () => {
    await lane.close();
    await store.close();
    await db.end();
    await control.close();
    await server.stop();
    dir.release();
    for (const path of [temp, chdb]) rmSync(path, { recursive: true, force: true });
  });
  const world = await openBilling('2026-10-01T12:00', { store, control });
  const { receipt: _, ...meter } = meterOf({ key: 'tokens', eventType: 'llm', valuePath: '$.n', unit: '{token}' });
  await world.append({ kind: 'meter', meter });
  // What is final is guarded by triggers; who owns the database can take them off.
  const around = async (table: string, statement: string): Promise<void> => {
    await db.query(`ALTER TABLE ${table} DISABLE TRIGGER ALL`);
    await db.query(statement);
    await db.query(`ALTER TABLE ${table} ENABLE TRIGGER ALL`);
  };
  const restarted = (): Promise<BillingWorld> => openBilling('2026-10-05T02:00', { store, control });
  return { world, around, lane, restarted };
}

const reconciled = ({ usage, billing, clock }: BillingWorld) =>
  new Reconciler({
    ...{ billing, meteredAt: (asOf) => usage.meteredAt(asOf), now: () => clock.at },
    kept: { read: async () => null, write: async () => undefined },
  }).pass(true);

/** Level of the first fact that differs, of each document that does. */
async function found(world: BillingWorld): Promise<Record<string, string>> {
  const all = await verdicts(proofOf(world), {});
  assert.ok(all.length >= 2, `${all.length} documents`);
  const wrong = all.filter(({ deviations }) => deviations.length > 0);
  return Object.fromEntries(wrong.map(({ invoice, deviations }) => [invoice.number, deviations.at(-1)?.level ?? '']));
}

async function last(world: BillingWorld, number: string) {
  const [invoice] = await world.billing.invoicesByNumber(number);
  const [verdict] = await verdicts(proofOf(world), { id: invoice?.id ?? 0 });
  const deviation = verdict?.deviations.at(-1);
  assert.ok(deviation);
  return deviation;
}

const skip = process.env.CI === 'true' ? false : 'long form: runs with CI=true';

test('on PostgreSQL and chDB a changed fact, reading, event or document is named', { skip }, async (t) => {
  const { world, around, lane, restarted } = await opened(t);
  await world.account('acme');
  await world.append({ kind: 'owner', resource: 'nic', account: 'acme', from: 0 });
  const sent = usage('sent', '0.001', { meter: 'network.bytes.sent' });
  await world.plan('basic', [...basic, sent], { period: { unit: 'day', count: 1 } });
  await world.subscribe('acme', 'basic', '2026-10-01T12:00');
  const nic = await world.series('nic');
  // Off the grid of windows: what lies on an edge is told as of the window that begins there.
  const start = at('2026-10-01T14:01');
  const readings = Array.from({ length: 24 }, (_, i) => [start + i * 300_000, BigInt(i * 1000)] as const);
  const receipts = await world.read(nic, [...readings, [at('2026-10-02T00:00'), 23_000n]]);
  const [event] = await world.events([
    { type: 'llm', subject: 'app-acme', t: at('2026-10-01T15:00'), data: '{"n":20}' },
  ]);
  await world.declare(at('2026-10-02T01:00'));
  const view = await world.runAt('2026-10-05T01:00');
  assert.deepEqual(view.failures, []);
  assert.deepEqual(await world.papers(), [
    'INV-000001 acme 10-01..10-01: base 49.00 = 49.00 open',
    'INV-000002 acme 10-01..10-02: tokens 2.00, sent 23.00, base 49.00 = 74.00 open',
  ]);
  assert.deepEqual(await found(world), {});

  await t.test('a control fact', async () => {
    const change = (a: string, b: string): Promise<void> =>
      around('fact', `UPDATE fact SET body = replace(body::text, '${a}', '${b}')::json WHERE kind = 'plan'`);
    await change('"0.1"', '"0.2"');
    const again = await restarted();
    assert.deepEqual(await found(again), { 'INV-000001': 'basis', 'INV-000002': 'basis' });
    const { text, receipt } = await last(again, 'INV-000002');
    const [plan] = await world.control.facts(0, 1, { kinds: ['plan'] });
    assert.equal(receipt, plan?.receipt);
    assert.match(text, /^The plan of receipt \d+ is not what it was/);
    await change('"0.2"', '"0.1"');
  });

  // Value and time are in the key of the table, so the row is written anew.
  const columns = 'series, t, value, epoch, start, receipt, skew, stamps';
  const change = async (receipt: number, column: 't' | 'value', from: number, to: number): Promise<void> => {
    const changed = columns.replace(` ${column},`, ` toUInt64(${to}),`);
    await lane.execute(`INSERT INTO reading (${columns}) SELECT ${changed} FROM reading WHERE receipt = ${receipt}`);
    await lane.execute(
      `ALTER TABLE reading DELETE WHERE receipt = ${receipt} AND ${column} = ${from} SETTINGS mutations_sync = 1`,
    );
  };
  const reading = async (
    index: number,
    column: 't' | 'value',
    from: number,
    to: number,
    told: RegExp,
  ): Promise<void> => {
    const receipt = receipts[index] as number;
    await change(receipt, column, from, to);
    const again = await restarted();
    assert.deepEqual(await found(again), { 'INV-000002': 'record' });
    const { series, window, stored, computed, facts, text } = await last(again, 'INV-000002');
    assert.equal(series, nic.id);
    assert.equal(window, start - 60_000, text);
    assert.notEqual(stored, computed);
    assert.match(text, told);
    assert.ok(facts?.some((fact) => fact.receipt === receipt));
    await change(receipt, column, to, from);
  };

  await t.test('a reading', () => reading(2, 'value', 2_000, 2_100, /^The record of .* is not what/));
  const same = /^The readings of .* not those that its record was made of, though the usage is the same, 3 facts/;
  await t.test('a reading between two others, to another value between them', () =>
    reading(1, 'value', 1_000, 1_001, same),
  );
  await t.test('the time of a reading between two others', () =>
    reading(1, 't', start + 300_000, start + 300_001, same),
  );

  await t.test('a record, which verify does not read', async () => {
    const add = (used: string): Promise<void> =>
      lane.execute(
        `ALTER TABLE record UPDATE used = used ${used} WHERE series = ${nic.id} AND toUnixTimestamp(w) = ${(start - 60_000) / 1000} SETTINGS mutations_sync = 1`,
      );
    await add('+ 500');
    const again = await restarted();
    assert.deepEqual(await found(again), {});
    const { findings, difference } = await reconciled(again);
    const text =
      `line 2, sent, has 23000 of network.bytes.sent metered, usage is 23500: The record of series ${nic.id} in the window of ` +
      '2026-10-01T14:00:00+02:00 is not what its facts give, 3 facts in it.';
    assert.deepEqual(findings, [
      { stage: 'metered', currency: 'EUR', amount: 50n, account: 'acme', document: 'INV-000002', text },
    ]);
    assert.deepEqual(difference, { EUR: 50n });
    await add('- 500');
    assert.deepEqual((await reconciled(await restarted())).findings, []);
  });

  await t.test('an event', async () => {
    const change = (a: number, b: number): Promise<void> =>
      lane.execute(
        `ALTER TABLE event UPDATE data = replaceAll(data, '${a}', '${b}') WHERE receipt = ${event} SETTINGS mutations_sync = 1`,
      );
    await change(20, 21);
    const again = await restarted();
    assert.deepEqual(await found(again), { 'INV-000002': 'record' });
    const { facts, stored, computed } = await last(again, 'INV-000002');
    assert.deepEqual(
      facts?.map((fact) => fact.receipt),
      [event],
    );
    assert.match(`${stored} ${computed}`, /,20,.*,21,/);
    await change(21, 20);
  });

  await t.test('a document', async () => {
    const change = (a: string, b: string): Promise<void> =>
      around('invoice', `UPDATE invoice SET document = replace(document, '${a}', '${b}') WHERE number = 'INV-000002'`);
    await change('"amount":"2300"', '"amount":"2301"');
    const again = await restarted();
    assert.deepEqual(await found(again), { 'INV-000002': 'document' });
    assert.match((await last(again, 'INV-000002')).text, /INV-000002 is not what was made final/);
    await change('"amount":"2301"', '"amount":"2300"');
  });

  assert.deepEqual(await found(await restarted()), {});

  await t.test('a bit that rotted on disk, which the engine itself refuses to read', async () => {
    const parts = await lane.rows(`SELECT path FROM system.parts WHERE table = 'reading' AND active`);
    while (parts.more) {
      const path = parts.text();
      const file = ['data.bin', 'value.bin'].map((name) => join(path, name)).find(existsSync);
      assert.ok(file !== undefined);
      const bytes = readFileSync(file);
      bytes[40] = (bytes[40] ?? 0) ^ 1;
      writeFileSync(file, bytes);
    }
    await assert.rejects(async () => found(await restarted()), /Checksum doesn't match/);
  });
});
