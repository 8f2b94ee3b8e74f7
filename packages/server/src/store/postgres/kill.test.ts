/** PostgreSQL killed under the store, with syncs on: what was acknowledged is there when it runs again. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { invoice } from '../contract/billing-cases.ts';
import { fact } from '../contract/control-facts.ts';
import type { ControlStore } from '../control-store.ts';
import { type DataDir, openDataDir } from '../data-dir.ts';
import { openPostgres } from './control-postgres.ts';
import { Database } from './database.ts';
import { EmbeddedPostgres } from './embedded.ts';

const long = process.env.CI === 'true';
const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;
const temp = mkdtempSync(join(tmpdir(), 'tg-killed-'));
const quiet = (): void => undefined;
let dir: DataDir;
let server: EmbeddedPostgres;
let store: ControlStore;

/** A server that starts again after a kill syncs every file of its cluster: this one holds a single store. */
before(async () => {
  dir = openDataDir(join(temp, 'data'), uid);
  const users = { wanted: 'nobody' };
  server = await EmbeddedPostgres.start({ layout: dir.layout, uid, gid, temp, run: temp, users, log: quiet });
  store = await openPostgres({ connection: server.connection, connections: 4 });
});
after(async () => {
  await store?.close();
  await server?.stop();
  dir?.release();
  rmSync(temp, { recursive: true, force: true });
});

test('every session of ours commits synchronously, on a server that keeps what it acknowledges', async () => {
  const db = new Database({ connection: server.connection, schema: 'public', connections: 1, log: quiet });
  const settings = ['fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums', 'listen_addresses'];
  const rows = await db.query(`SELECT current_setting(name) AS v FROM unnest($1::text[]) AS name`, [settings]);
  assert.deepEqual(
    rows.map((row) => row.v),
    ['on', 'on', 'on', 'on', ''],
  );
  const [text] = await db.query("SELECT current_setting('server_encoding') AS e, 'Ä' < 'B' COLLATE \"default\" AS o");
  assert.deepEqual(text, { e: 'UTF8', o: false });
  await db.end();
});

/**
 * A statement waits for a server that starts again for a time that a test must not hang on: starting again takes what
 * the disk and its other users make of it. Refused as unavailable is right too, and asked again.
 */
const patiently = async <T>(call: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((error as { code?: string }).code !== 'store.unavailable') throw error;
    }
  }
};

test('statements wait for a PostgreSQL that was killed and is started again, and nothing acknowledged is lost', async () => {
  const killed = server.pid ?? 0;
  for (let i = 1; i <= 60; i++) {
    if (i === 20) process.kill(killed, 'SIGKILL');
    await patiently(() => store.appendFacts([fact(i)]));
  }
  // Its backends may answer a moment longer than it lives.
  while (server.pid === killed || server.pid === null) await patiently(() => store.facts(0, 1));
  assert.equal((await patiently(() => store.facts(0, 100))).length, 60);
  assert.equal((await store.health()).writable, true);
});

test('PostgreSQL killed among batches: every number once, no gap, nothing made final is lost', {
  skip: !long && 'long form',
}, async () => {
  const other = await openPostgres({ connection: server.connection, connections: 4 });
  const killed = server.pid ?? 0;
  let done = 0;
  const work = [store, other].map(async (worker) => {
    for (let i = 0; i < 12; i++) {
      const batch = [0, 1, 2].map((account) => invoice(i, { account: `a${account}` }));
      const all = await patiently(() => worker.billing.finalise(batch));
      assert.ok(all.every((one) => one.outcome !== 'refused'));
      done++;
      if (done === 8) process.kill(killed, 'SIGKILL');
    }
  });
  await Promise.all(work);
  await other.close();
  assert.notEqual(server.pid, killed);
  const numbers = (await store.billing.invoices({ limit: 9999 })).map((one) => one.sequence).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: 36 }, (_, i) => i + 1),
  );
});
