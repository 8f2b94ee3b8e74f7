/** The contract on embedded PostgreSQL, and what only a database can get wrong. One server for the file, a schema a test. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { controlContract } from '../contract/control-contract.ts';
import { fact } from '../contract/control-facts.ts';
import { sameAnswers } from '../contract/control-random.ts';
import { key } from '../contract/control-registry.ts';
import type { ControlStore } from '../control-store.ts';
import { type DataDir, openDataDir } from '../data-dir.ts';
import { openControlModel } from '../model/control-model.ts';
import { openPostgres, type PostgresSettings } from './control-postgres.ts';
import { Database, translate } from './database.ts';
import { EmbeddedPostgres } from './embedded.ts';
import { migrate } from './migrate.ts';
import { MIGRATIONS, TABLES_WITHOUT_TENANT } from './migrations.ts';

const long = process.env.CI === 'true';
const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;
const temp = mkdtempSync(join(tmpdir(), 'tg-control-'));
const quiet = (): void => undefined;
let dir: DataDir;
let server: EmbeddedPostgres;
let schemas = 0;

before(async () => {
  dir = openDataDir(join(temp, 'data'), uid);
  const users = { wanted: 'nobody' };
  server = await EmbeddedPostgres.start({ layout: dir.layout, uid, gid, temp, run: temp, users, log: quiet });
});
after(async () => {
  await server?.stop();
  dir?.release();
  rmSync(temp, { recursive: true, force: true });
});

/** Handles on one empty store. */
const fresh = async (): Promise<{
  open(more?: Partial<PostgresSettings>): Promise<ControlStore>;
  drop(): Promise<void>;
}> => {
  const schema = `t${schemas++}`;
  const handles: ControlStore[] = [];
  return {
    open: async (more = {}) => {
      const handle = await openPostgres({ connection: server.connection, schema, connections: 4, ...more });
      handles.push(handle);
      return handle;
    },
    drop: async () => {
      await Promise.all(handles.map((handle) => handle.close()));
    },
  };
};

controlContract('PostgreSQL', async () => {
  const { open, drop } = await fresh();
  return { store: await open(), again: open, drop };
});

test('random calls get the same answers from PostgreSQL and from the model', () =>
  sameAnswers(async () => [await (await fresh()).open({ connections: 1 }), openControlModel()], long ? 300 : 5));

const withDatabase = async (schema: string, work: (db: Database) => Promise<void>): Promise<void> => {
  const db = new Database({ connection: server.connection, schema, connections: 2, log: quiet });
  try {
    await work(db);
  } finally {
    await db.end();
  }
};

test('every table has a tenant column or stands in the list of those that need none', async () => {
  const { open, drop } = await fresh();
  await open();
  const schema = `t${schemas - 1}`;
  await withDatabase(schema, async (db) => {
    const rows = await db.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables t WHERE table_schema = $1 AND NOT EXISTS (
         SELECT 1 FROM information_schema.columns c
         WHERE c.table_schema = $1 AND c.table_name = t.table_name AND c.column_name = 'tenant')`,
      [schema],
    );
    assert.deepEqual(rows.map((row) => row.name).sort(), [...TABLES_WITHOUT_TENANT].sort());
  });
  await drop();
});

test('a store changed by a newer version is refused by the name of the migration, and left alone', async () => {
  const { open, drop } = await fresh();
  await open();
  const schema = `t${schemas - 1}`;
  const newer = [...MIGRATIONS, { name: '9999-from-the-future', sql: 'CREATE TABLE future (tenant text)' }];
  await withDatabase(schema, (db) => migrate(db, quiet, newer));
  await assert.rejects(open(), { code: 'store.newer_schema', message: /9999-from-the-future/ });
  await drop();
});

test('a migration that fails leaves the schema as it was', async () => {
  const { open, drop } = await fresh();
  await open();
  const schema = `t${schemas - 1}`;
  const broken = [...MIGRATIONS, { name: '0002-broken', sql: 'CREATE TABLE half (tenant text); SELECT 1/0' }];
  await withDatabase(schema, async (db) => {
    await assert.rejects(migrate(db, quiet, broken), { code: 'store.failed' });
    const [row] = await db.query<{ there: unknown }>("SELECT to_regclass('half') AS there");
    assert.equal(row?.there, null);
  });
  await (await open()).health();
  await drop();
});

test('four servers that open an empty store at once all get it, migrated once', async () => {
  const { open, drop } = await fresh();
  const stores = await Promise.all([open(), open(), open({ groups: 9 }), open({ groups: 9 })]);
  const groups = await Promise.all(stores.map((store) => store.meta('groups')));
  assert.equal(new Set(groups).size, 1);
  await drop();
});

test('the number of groups is the one the store was made with', async () => {
  const { open, drop } = await fresh();
  await open({ groups: 64 });
  const said: string[] = [];
  const other = await open({ groups: 2, log: (line) => said.push(line) });
  assert.equal(await other.meta('groups'), '64');
  assert.match(said.join(), /64 groups/);
  await assert.rejects(open({ groups: 65 }), { code: 'store.number_range' });
  await drop();
});

test('a fact cannot be changed or removed, not even by hand', async () => {
  const { open, drop } = await fresh();
  await (await open()).appendFacts([fact(1)]);
  await withDatabase(`t${schemas - 1}`, async (db) => {
    for (const sql of ["UPDATE fact SET reason = 'x'", 'DELETE FROM fact', 'TRUNCATE fact'])
      await assert.rejects(db.query(sql), /never changed/);
  });
  await drop();
});

test('an integer beyond 2^53 in the database is an error, not another number', () =>
  withDatabase('public', async (db) => {
    const top = await db.query<{ n: number }>('SELECT 9007199254740991::bigint AS n, -9007199254740991::bigint AS m');
    assert.deepEqual(top, [{ n: Number.MAX_SAFE_INTEGER, m: -Number.MAX_SAFE_INTEGER }]);
    await assert.rejects(db.query('SELECT 9007199254740993::bigint'), { code: 'store.number_range' });
    // The driver's own table of types is as it was.
    assert.equal(pg.types.getTypeParser(20)('9007199254740993'), '9007199254740993');
  }));

test('every session of ours commits synchronously, on a server that keeps what it acknowledges', () =>
  withDatabase('public', async (db) => {
    const settings = ['fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums', 'listen_addresses'];
    const rows = await db.query(`SELECT current_setting(name) AS v FROM unnest($1::text[]) AS name`, [settings]);
    assert.deepEqual(
      rows.map((row) => row.v),
      ['on', 'on', 'on', 'on', ''],
    );
    const [text] = await db.query("SELECT current_setting('server_encoding') AS e, 'Ä' < 'B' COLLATE \"default\" AS o");
    assert.deepEqual(text, { e: 'UTF8', o: false });
  }));

test('a hundred thousand series are registered in a few seconds, and found again', async (t) => {
  const { open, drop } = await fresh();
  const store = await open();
  const count = long ? 100_000 : 10_000;
  const keys = Array.from({ length: count }, (_, i) => key(`nic${i}`, { source: `host/${i % 1000}` }));
  const start = performance.now();
  const rows = await store.registerSeries(keys);
  const made = performance.now();
  assert.deepEqual(await store.registerSeries(keys), rows);
  const found = performance.now();
  assert.equal(new Set(rows.map((row) => row.id)).size, count);
  t.diagnostic(`${count} keys: new ${(made - start).toFixed(0)} ms, known ${(found - made).toFixed(0)} ms`);
  assert.ok(made - start < count / 10, 'at least 10,000 keys a second');
  await drop();
});

test('exclusive: what a killed server left running is ended, and its leases are free', async () => {
  const { open, drop } = await fresh();
  const killed = await open();
  assert.ok(await killed.acquireLease(0, 'killed', 1000, 60_000));
  const left = new pg.Client({ ...server.connection, password: '' });
  left.on('error', quiet);
  await left.connect();
  const statement = assert.rejects(left.query('SELECT pg_sleep(60)'));
  const store = await open({ exclusive: true });
  await statement;
  const lease = await store.acquireLease(0, 'next', 1001, 60_000);
  assert.equal(lease?.token, 2);
  await left.end().catch(quiet);
  await drop();
});

test('statements wait for a PostgreSQL that was killed and is started again, and nothing acknowledged is lost', async () => {
  const { open, drop } = await fresh();
  const store = await open();
  let acknowledged = 0;
  const before = server.pid ?? 0;
  for (let i = 1; i <= 60; i++) {
    if (i === 20) process.kill(before, 'SIGKILL');
    await store.appendFacts([fact(i)]);
    acknowledged = i;
    if (i === 20) await pause(50);
  }
  assert.notEqual(server.pid, before);
  assert.equal((await store.facts(0, 100)).length, acknowledged);
  assert.equal((await store.health()).writable, true);
  await drop();
});

test('errors of the driver become codes of ours', () => {
  const check = (code: string, said: string, expected: string): void =>
    assert.equal(translate(Object.assign(new Error(said), { code })).code, expected, `${code} ${said}`);
  check('53100', 'could not extend file', 'store.disk_full');
  check('57P01', 'terminating connection', 'store.unavailable');
  check('57P03', 'the database system is starting up', 'store.unavailable');
  check('ECONNREFUSED', '', 'store.unavailable');
  check('', 'Connection terminated unexpectedly', 'store.unavailable');
  check('53300', 'too many clients', 'store.unavailable');
  check('25006', 'read-only transaction', 'store.not_writable');
  check('22021', 'invalid byte sequence', 'store.text_invalid');
  check('42P01', 'no such table', 'store.failed');
});

test('a server that is not there is an error that says so', { skip: !long && 'long form' }, async () => {
  const connection = { ...server.connection, host: join(temp, 'nowhere') };
  await assert.rejects(openPostgres({ connection }), { code: 'store.unavailable' });
});

test('a connection string opens the store as well', async () => {
  const { host, user, database } = server.connection;
  const store = await openPostgres({
    connection: `postgresql://${user}@/${database}?host=${encodeURIComponent(host)}`,
    schema: 'by "string"',
  });
  assert.equal(await store.leaseReceipts(1), 1);
  await store.close();
});
