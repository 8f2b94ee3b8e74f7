/** The contract on PostgreSQL, and what only a database can get wrong. One server for the file. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { controlContract } from '../contract/control-contract.ts';
import { fact } from '../contract/control-facts.ts';
import { sameAnswers } from '../contract/control-random.ts';
import { key } from '../contract/control-registry.ts';
import type { NewSeries } from '../control-store.ts';
import { openControlModel } from '../model/control-model.ts';
import { openPostgres } from './control-postgres.ts';
import { translate } from './database.ts';
import { migrate } from './migrate.ts';
import { MIGRATIONS, TABLES_WITHOUT_TENANT } from './migrations.ts';
import { registry } from './registry.ts';
import { type ContractServer, counting, type EmptyStore, startContractServer } from './testing/contract-server.ts';

const long = process.env.CI === 'true';
const quiet = (): void => undefined;
let server: ContractServer;
before(async () => {
  server = await startContractServer();
});
after(() => server?.stop());

controlContract('PostgreSQL', async () => {
  const { open, drop } = server.empty();
  return { store: await open(), again: open, drop };
});

test('random calls get the same answers from PostgreSQL and from the model', () =>
  sameAnswers(
    async () => {
      const { open, drop } = server.empty();
      return [{ ...(await open({ connections: 1 })), close: drop }, openControlModel()];
    },
    long ? 300 : 5,
  ));

const withEmpty = async (work: (empty: EmptyStore) => Promise<void>, empty = server.empty()): Promise<void> => {
  try {
    await work(empty);
  } finally {
    await empty.drop();
  }
};
/** For cases that change the tables themselves. */
const withUnmade = (work: (empty: EmptyStore) => Promise<void>): Promise<void> => withEmpty(work, server.unmade());

test('every table has a tenant column or stands in the list of those that need none', () =>
  withEmpty(async ({ schema, open, byHand }) => {
    await open();
    const rows = await byHand().query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables t WHERE table_schema = $1 AND NOT EXISTS (
         SELECT 1 FROM information_schema.columns c
         WHERE c.table_schema = $1 AND c.table_name = t.table_name AND c.column_name = 'tenant')`,
      [schema],
    );
    assert.deepEqual(rows.map((row) => row.name).sort(), [...TABLES_WITHOUT_TENANT].sort());
  }));

test('a store changed by a newer version is refused by the name of the migration, and left alone', () =>
  withUnmade(async ({ open, byHand }) => {
    await open();
    const newer = [...MIGRATIONS, { name: '9999-from-the-future', sql: 'CREATE TABLE future (tenant text)' }];
    await migrate(byHand(), quiet, newer);
    await assert.rejects(open(), { code: 'store.newer_schema', message: /9999-from-the-future/ });
  }));

test('a migration that fails leaves the schema as it was', () =>
  withUnmade(async ({ open, byHand }) => {
    await open();
    const broken = [...MIGRATIONS, { name: '0002-broken', sql: 'CREATE TABLE half (tenant text); SELECT 1/0' }];
    const db = byHand();
    await assert.rejects(migrate(db, quiet, broken), { code: 'store.failed' });
    const [row] = await db.query<{ there: unknown }>("SELECT to_regclass('half') AS there");
    assert.equal(row?.there, null);
    await (await open()).health();
  }));

test('four servers that open an empty store at once all get it, migrated once', () =>
  withUnmade(async ({ open }) => {
    const stores = await Promise.all([open(), open(), open({ groups: 9 }), open({ groups: 9 })]);
    const groups = await Promise.all(stores.map((store) => store.meta('groups')));
    assert.equal(new Set(groups).size, 1);
  }));

test('the number of groups is the one the store was made with', () =>
  withEmpty(async ({ open }) => {
    await open({ groups: 64 });
    const said: string[] = [];
    const other = await open({ groups: 2, log: (line) => said.push(line) });
    assert.equal(await other.meta('groups'), '64');
    assert.match(said.join(), /64 groups/);
    await assert.rejects(open({ groups: 65 }), { code: 'store.number_range' });
  }));

test('a fact cannot be changed or removed, not even by hand', () =>
  withEmpty(async ({ open, byHand }) => {
    await (await open()).appendFacts([fact(1)]);
    for (const sql of ["UPDATE fact SET reason = 'x'", 'DELETE FROM fact', 'TRUNCATE fact'])
      await assert.rejects(byHand().query(sql), /never changed/);
  }));

test('an integer beyond 2^53 in the database is an error, not another number', () =>
  withEmpty(async ({ byHand }) => {
    const db = byHand();
    const top = await db.query<{ n: number }>('SELECT 9007199254740991::bigint AS n, -9007199254740991::bigint AS m');
    assert.deepEqual(top, [{ n: Number.MAX_SAFE_INTEGER, m: -Number.MAX_SAFE_INTEGER }]);
    await assert.rejects(db.query('SELECT 9007199254740993::bigint'), { code: 'store.number_range' });
    // The driver's own table of types is as it was.
    assert.equal(pg.types.getTypeParser(20)('9007199254740993'), '9007199254740993');
  }));

test('thousands of series are registered in as many statements as one, and found again', () =>
  withEmpty(async ({ open, byHand }) => {
    await open({ groups: 4 });
    const { db, statements } = counting(byHand());
    const store = registry(db, 4);
    const made = async (keys: readonly NewSeries[]): Promise<[number, number]> => {
      const before = statements();
      const rows = await store.registerSeries(keys);
      const between = statements();
      assert.deepEqual(await store.registerSeries(keys), rows);
      assert.equal(new Set(rows.map((row) => row.id)).size, keys.length);
      return [between - before, statements() - between];
    };
    const one = await made([key('one')]);
    const count = long ? 20_000 : 3000;
    assert.deepEqual(
      await made(Array.from({ length: count }, (_, i) => key(`nic${i}`, { source: `host/${i % 1000}` }))),
      one,
    );
  }));

test('exclusive: what a killed server left running is ended, and its leases are free', () =>
  withEmpty(async ({ open }) => {
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
  }));

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
  const connection = { ...server.connection, host: `${server.connection.host}/nowhere` };
  await assert.rejects(openPostgres({ connection }), { code: 'store.unavailable' });
});

test('a connection string opens the store as well', () =>
  withEmpty(async ({ open }) => {
    const { host, user, database } = server.connection;
    const connection = `postgresql://${user}@/${database}?host=${encodeURIComponent(host)}`;
    assert.equal(await (await open({ connection })).leaseReceipts(1), 1);
  }));

test('a schema may have any name', () =>
  withUnmade(async ({ open }) => {
    assert.equal(await (await open({ schema: 'by "string"' })).leaseReceipts(1), 1);
  }));
