/**
 * The control store on PostgreSQL: any server by its connection string, or the embedded one in a data directory. The
 * statements are written out as SQL; values are parameters always. Begin reading here.
 */
import { GROUPS_MAX } from '../../domain/series.ts';
import * as checks from '../control-checks.ts';
import type { ControlStore } from '../control-store.ts';
import { explainError, StoreError } from '../errors.ts';
import { FIRST_IN_GROUP } from '../series-ids.ts';
import { billing } from './billing.ts';
import { Database, type PostgresConnection } from './database.ts';
import { EmbeddedPostgres, type EmbeddedSettings } from './embedded.ts';
import { facts } from './facts.ts';
import { grants } from './grants.ts';
import { leases, progressRows, runs } from './job-state.ts';
import { unitLeases } from './leases.ts';
import { migrate } from './migrate.ts';
import { notices } from './notices.ts';
import { registry } from './registry.ts';
import { meta, setAsides } from './set-aside.ts';

export interface PostgresSettings {
  connection: PostgresConnection;
  /** Groups of series, 1..64: taken when the store is made, and what it was made with afterwards. */
  groups?: number;
  schema?: string;
  /** Connections at most. */
  connections?: number;
  /**
   * Nobody else uses this store (the embedded one, under the data directory's lock): whatever a killed server left
   * running in it is ended, and its leases are free at once.
   */
  exclusive?: boolean;
  log?: (line: string) => void;
}

/** Opens the store and brings its schema up to date. Throws StoreError: `store.newer_schema`, `store.unavailable`, ... */
export async function openPostgres(settings: PostgresSettings): Promise<ControlStore> {
  const log = settings.log ?? (() => undefined);
  const wanted = settings.groups ?? checks.GROUPS_DEFAULT;
  checks.checkWhole('groups', wanted, 1, GROUPS_MAX);
  const schema = settings.schema ?? 'tollgate';
  const db = new Database({ connection: settings.connection, schema, connections: settings.connections ?? 10, log });
  try {
    if (settings.exclusive === true) await endOthers(db);
    await migrate(db, log);
    if (settings.exclusive === true) await db.query('UPDATE lease SET until = 0');
    const groups = await fixGroups(db, wanted);
    if (groups !== wanted) log(`the control store was made with ${groups} groups of series, and keeps them`);
    await warnIfUnsafe(db, log);
    return assemble(db, groups);
  } catch (error) {
    await db.end();
    throw error;
  }
}

export interface EmbeddedControlSettings extends EmbeddedSettings {
  groups?: number;
}

/** The embedded store: starts or adopts PostgreSQL, and stops it on close. The caller holds the data directory's lock. */
export async function openEmbeddedPostgres(settings: EmbeddedControlSettings): Promise<ControlStore> {
  const server = await EmbeddedPostgres.start(settings);
  try {
    const { groups } = settings;
    const store = await openPostgres({
      connection: server.connection,
      exclusive: true,
      log: settings.log,
      ...(groups === undefined ? {} : { groups }),
    });
    return {
      ...store,
      close: async () => {
        await store.close();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const assemble = (db: Database, groups: number): ControlStore => ({
  engine: 'postgres',
  ...facts(db),
  ...registry(db, groups),
  ...leases(db),
  ...progressRows(db),
  ...runs(db),
  ...setAsides(db),
  ...grants(db),
  ...unitLeases(db),
  ...notices(db),
  ...meta(db),
  billing: billing(db),
  health: () => health(db),
  close: () => db.end(),
});

/**
 * A statement of a server that was killed may still be running in an adopted PostgreSQL, and commit a fact below the
 * frontier after we have looked. It is ended, and waited for, before anything is read.
 */
async function endOthers(db: Database): Promise<void> {
  const others = `SELECT pid FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()`;
  await db.query(`SELECT pg_terminate_backend(pid, 5000) FROM (${others}) AS o`);
  const left = await db.query(others);
  if (left.length > 0)
    throw new StoreError('store.unavailable', 'A statement of the last server still runs in the control store.', {
      hint: 'Start again in a moment.',
    });
}

async function fixGroups(db: Database, wanted: number): Promise<number> {
  return db.transaction(async (query) => {
    await query('INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING', [
      checks.GROUPS_META,
      String(wanted),
    ]);
    const [row] = await query<{ value: string }>('SELECT value FROM meta WHERE name = $1', [checks.GROUPS_META]);
    const groups = Number(row?.value);
    checks.checkWhole('the number of groups in the control store', groups, 1, GROUPS_MAX);
    await query(
      'INSERT INTO series_group (grp, next) SELECT g, $2 FROM generate_series(0, $1 - 1) AS g ON CONFLICT DO NOTHING',
      [groups, FIRST_IN_GROUP],
    );
    return groups;
  });
}

/** synchronous_commit is set by every session of ours; fsync only the server's owner can switch on. */
async function warnIfUnsafe(db: Database, log: (line: string) => void): Promise<void> {
  const [row] = await db.query<{ fsync: string }>("SELECT current_setting('fsync') AS fsync");
  if (row?.fsync !== 'on') log('this PostgreSQL runs with fsync off: what it acknowledges can be lost with the power');
}

const PROBE = `INSERT INTO meta (name, value) VALUES ('health', '1')
  ON CONFLICT (name) DO UPDATE SET value = (meta.value::bigint % 1000000 + 1)::text
  RETURNING current_setting('server_version') AS version, pg_database_size(current_database()) AS bytes`;

/** Writes one row for real: a full disk or a read-only standby shows itself here. Never rejects. */
async function health(db: Database): Promise<{ writable: boolean; detail: string }> {
  try {
    const [row] = await db.twice(() => db.query<{ version: string; bytes: number }>(PROBE));
    return { writable: true, detail: `PostgreSQL ${row?.version}, ${Math.ceil((row?.bytes ?? 0) / 2 ** 20)} MB` };
  } catch (error) {
    return { writable: false, detail: explainError(error) };
  }
}
