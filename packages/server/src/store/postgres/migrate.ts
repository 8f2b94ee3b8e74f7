/** Brings the schema to this server's version, one server at a time, all or nothing. */
import { StoreError } from '../errors.ts';
import { type Database, type Query, quoteName } from './database.ts';
import { MIGRATIONS, type Migration } from './migrations.ts';

/** Key of the advisory lock: the letters "toll". */
const LOCK = 0x746f6c6c;

/** Throws `store.newer_schema` when a newer server has been here, and leaves everything as it is. */
export async function migrate(
  db: Database,
  log: (line: string) => void,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  await db.transaction(async (query) => {
    await query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    const done = await applied(query, db.schema);
    refuseNewer(done, migrations);
    for (const migration of migrations.slice(done.length)) {
      log(`control store: migration ${migration.name}`);
      await query(migration.sql);
      await query('INSERT INTO migration (number, name) VALUES ($1, $2)', [
        migrations.indexOf(migration) + 1,
        migration.name,
      ]);
    }
  });
}

async function applied(query: Query, schema: string): Promise<string[]> {
  // Asked first: CREATE ... IF NOT EXISTS needs the right to make a schema also when there is nothing to make.
  const [there] = await query<{ yes: boolean }>('SELECT to_regnamespace($1) IS NOT NULL AS yes', [quoteName(schema)]);
  if (there?.yes !== true) await query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}`);
  await query(`
    CREATE TABLE IF NOT EXISTS migration (
      number integer PRIMARY KEY,
      name text NOT NULL
    )`);
  const rows = await query<{ name: string }>('SELECT name FROM migration ORDER BY number');
  return rows.map((row) => row.name);
}

function refuseNewer(done: readonly string[], migrations: readonly Migration[]): void {
  const strange = done.find((name, i) => migrations[i]?.name !== name);
  if (strange === undefined) return;
  throw new StoreError(
    'store.newer_schema',
    `The control store was changed by another version of Tollgate: it has the migration ${strange}, which this server does not know.`,
    { hint: 'Start the newer version, or restore a copy from before the upgrade.' },
  );
}
