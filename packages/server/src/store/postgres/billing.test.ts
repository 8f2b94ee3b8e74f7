/** The books' contract on PostgreSQL, and what only a database can get wrong. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { give, grant, invoice, made, payment, told } from '../contract/billing-cases.ts';
import { billingContract } from '../contract/billing-contract.ts';
import { sameBooks } from '../contract/billing-random.ts';
import type { ControlStore } from '../control-store.ts';
import { openControlModel } from '../model/control-model.ts';
import { finalising } from './billing-finalise.ts';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { MIGRATIONS } from './migrations.ts';
import { type ContractServer, counting, type EmptyStore, startContractServer } from './testing/contract-server.ts';

const long = process.env.CI === 'true';
let server: ContractServer;
before(async () => {
  server = await startContractServer();
});
after(() => server?.stop());

/** A store of its own, and a session that writes by hand. */
const withStore = async (
  work: (store: ControlStore, db: Database, empty: EmptyStore) => Promise<void>,
): Promise<void> => {
  const empty = server.empty();
  try {
    await work(await empty.open(), empty.byHand(), empty);
  } finally {
    await empty.drop();
  }
};

billingContract('PostgreSQL', async () => {
  const { open, drop } = server.empty();
  return { store: await open(), again: open, drop };
});

const sequences = async (store: ControlStore): Promise<number[]> =>
  (await store.billing.invoices({ limit: 9999 })).map((one) => one.sequence).sort((a, b) => a - b);

test('random changes to the books get the same answers from PostgreSQL and from the model', () =>
  sameBooks(
    async () => {
      const { open, drop } = server.empty();
      return [{ ...(await open({ connections: 1 })), close: drop }, openControlModel()];
    },
    long ? 30 : 6,
  ));

test('what is final cannot be changed or removed, not even by hand', () =>
  withStore(async (store, db) => {
    await store.billing.finalise([invoice(0)]);
    await give(store.billing, grant('g'));
    await store.billing.change('acme', {}, () => ({ payments: [payment('r')] }));
    for (const [table, column] of [
      ['invoice', 'document'],
      ['invoice', 'due_at'],
      ['invoice', 'number'],
      ['ledger_transaction', 'text'],
      ['ledger_posting', 'amount'],
      ['ledger_posting', 'invoice'],
      ['credit_grant', 'amount'],
      ['payment', 'amount'],
    ] as const)
      await assert.rejects(db.query(`UPDATE ${table} SET ${column} = ${column}`), /is final/, `${table}.${column}`);
    for (const table of ['invoice', 'ledger_transaction', 'ledger_posting', 'credit_grant', 'payment'])
      await assert.rejects(db.query(`DELETE FROM ${table}`), /is final/, table);
    for (const table of ['invoice', 'ledger_transaction', 'ledger_posting', 'credit_grant', 'payment'])
      await assert.rejects(db.query(`TRUNCATE ${table} CASCADE`), /is final/, table);
  }));

test('the database itself refuses postings that do not sum to 0, or stand on the wrong books', () =>
  withStore(async (store, db) => {
    await store.billing.finalise([invoice(0)]);
    const [head] = await db.query<{ id: number }>(
      `INSERT INTO ledger_transaction (tenant, key, kind, at, currency, text, content)
       VALUES ('acme', 'x', 'payment', 0, 'EUR', '', '') RETURNING id`,
    );
    const add = (rows: string): Promise<unknown> =>
      db.query(
        `INSERT INTO ledger_posting (transaction, no, tenant, book, currency, amount, invoice, credit_grant)
         SELECT t, no, tenant, book, currency, amount, invoice::bigint, credit_grant
         FROM (VALUES ${rows.replaceAll('T,', `${head?.id}::bigint,`)})
           AS v (t, no, tenant, book, currency, amount, invoice, credit_grant)`,
      );
    const cash = "(T, 1, 'acme', 'cash', 'EUR', 5, NULL, NULL)";
    await assert.rejects(add(cash), /does not sum to 0/);
    await assert.rejects(add(`${cash}, (T, 2, 'acme', 'x', 'EUR', -4, NULL, NULL)`), /does not sum to 0/);
    await assert.rejects(add(`${cash}, (T, 2, 'acme', 'x', 'USD', -5, NULL, NULL)`), /not in the currency/);
    await assert.rejects(add(`${cash}, (T, 2, 'b', 'x', 'EUR', -5, NULL, NULL)`), /not of the tenant/);
    await assert.rejects(add(`${cash}, (T, 2, 'acme', 'x', 'EUR', -5, 1, NULL)`), /check constraint/);
    await assert.rejects(add(`${cash}, (T, 2, 'acme', 'receivable/b', 'EUR', -5, NULL, NULL)`), /check constraint/);
    await assert.rejects(add(`${cash}, (T, 2, 'acme', 'credit/acme', 'EUR', -5, NULL, NULL)`), /check constraint/);
    await assert.rejects(add(`${cash}, (T, 2, 'acme', 'credit/b', 'EUR', -5, NULL, NULL)`), /check constraint/);
    await assert.rejects(
      add("(999999, 1, 'acme', 'x', 'EUR', 5, NULL, NULL), (999999, 2, 'acme', 'y', 'EUR', -5, NULL, NULL)"),
      /not in the currency/,
    );
    await add(`${cash}, (T, 2, 'acme', 'x', 'EUR', -5, NULL, NULL)`);
    // Nothing is added to a transaction afterwards that changes its sum.
    await assert.rejects(add("(T, 3, 'acme', 'x', 'EUR', 1, NULL, NULL)"), /does not sum to 0/);
    const late = "(T, 3, 'acme', 'cash', 'EUR', 1, NULL, NULL), (T, 4, 'acme', 'x', 'EUR', -1, NULL, NULL)";
    await assert.rejects(add(late), /has its postings already/);
  }));

test('a server killed while it makes invoices final leaves no gap and no half of a batch', () =>
  withStore(async (store, db, { open }) => {
    await store.billing.finalise([invoice(0)]);
    const victim = await open({ connections: 1 });
    let cut: Promise<unknown> = Promise.resolve();
    // Numbers are taken and documents written by then: the insert of the ledger waits for this session's key.
    await db
      .transaction(async (query) => {
        await query(
          `INSERT INTO ledger_transaction (tenant, key, kind, at, currency, text, content)
         VALUES ('x', 'invoice/b/2/1', 'x', 0, 'EUR', '', '')`,
        );
        const batch = [1, 2, 3].map((day) => invoice(day, { account: 'b' }));
        cut = assert.rejects(victim.billing.finalise(batch), { code: 'store.unavailable' });
        for (let left = 3; left > 0; ) {
          const gone = await db.query<{ ended: boolean }>(
            `SELECT pg_terminate_backend(pid, 5000) AS ended FROM pg_stat_activity
           WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO ledger_transaction%' AND pid <> pg_backend_pid()`,
          );
          left -= gone.length;
          if (gone.length === 0) await pause(5);
          // The store tries again on another connection, as often as it has some.
          if (gone.length > 0 && left === 1) break;
        }
        await cut;
        throw new Error('rolled back');
      })
      .catch((error: Error) => assert.match(error.message, /rolled back/));
    await victim.close();
    const half = await store.billing.invoices({ accounts: ['b'], limit: 9 });
    assert.deepEqual(half, []);
    assert.deepEqual(told(await store.billing.finalise([invoice(1)])), ['final INV-000002']);
    assert.deepEqual(await sequences(store), [1, 2]);
  }));

test('five hundred invoices of ten lines take as many statements as one, and four for more documents', (t) =>
  withStore(async (_, db) => {
    const { db: counted, statements } = counting(db);
    const { finalise } = finalising(counted);
    assert.equal(made(await finalise([invoice(0)])).sequence, 1);
    const one = statements();
    const line = JSON.stringify({ key: 'a|plan|price|0|1|', steps: [{ text: 'tier 1, up to 100 GB', amount: '9' }] });
    const filler = `[${Array.from({ length: 80 }, () => line).join(',')}]`;
    const batch = Array.from({ length: 500 }, (_, i) =>
      invoice(0, { account: `a${i}`, document: `{"i":${i},"lines":${filler}}` }),
    );
    const start = performance.now();
    const all = await finalise(batch);
    t.diagnostic(`500 documents of ${batch[0]?.document.length} bytes: ${(performance.now() - start).toFixed(0)} ms`);
    assert.equal(made(all.slice(499)).sequence, 501);
    assert.equal(statements(), 2 * one + 4);
  }));

test('what was billed before there was a row for it is known: of whom each document says it is for', async () => {
  const empty = server.unmade();
  try {
    const db = empty.byHand();
    await migrate(db, () => undefined, MIGRATIONS.slice(0, 5));
    await db.query("INSERT INTO billing_account VALUES ('top')", []);
    const add = (n: number, tenant: string, frontier: number, document: object) =>
      db.query(
        `INSERT INTO invoice (tenant, entity, kind, from_t, to_t, version, prefix, sequence, number, currency, net, tax,
           total, issued_at, due_at, frontier, document, digest)
         VALUES ($1, '', 'invoice', 0, 1, 1, '', $2::bigint, $2::bigint::text, 'EUR', 0, 0, 0, 0, 0, $3, $4, '')`,
        [tenant, n, frontier, JSON.stringify(document)],
      );
    await add(1, 'top', 9, { account: 'top', accounts: ['top', 'k"],\\[i'], reason: '\u0000' });
    await add(2, 'kid', 5, {});
    const { billing } = await empty.open();
    assert.deepEqual([...(await billing.lastFor(['top', 'k"],\\[i', 'kid', 'other'])).values()], [1, 1, 2, 0]);
    const stale = invoice(0, { account: 'x', frontier: 8, accounts: [{ account: 'top', after: 1 }] });
    assert.deepEqual(told(await billing.finalise([stale])), ['invoice.overtaken']);
  } finally {
    await empty.drop();
  }
});
