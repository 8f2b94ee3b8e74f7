/** Brings a directory's layout up to date, or refuses it when a newer version wrote it. */
import { StoreError } from '../errors.ts';
import type { Lane } from './lane.ts';
import { migrations } from './migrations/index.ts';

/** Returns the layout's number. */
export async function migrate(lane: Lane): Promise<number> {
  await lane.execute(
    `CREATE TABLE IF NOT EXISTS schema_version (version UInt32) ENGINE = MergeTree ORDER BY version
     SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`,
  );
  const found = await lane.rows('SELECT max(version) FROM schema_version');
  const version = found.u32();
  if (version > migrations.length) {
    throw new StoreError(
      'store.newer_schema',
      `The usage store has layout ${version}; this version of Tollgate knows layouts up to ${migrations.length}.`,
      { hint: 'Start the newer version again, or point this one at another data directory.' },
    );
  }
  for (let next = version + 1; next <= migrations.length; next++) {
    // The engine has no transactions: each statement can run again after a kill between two of them.
    for (const statement of migrations[next - 1] ?? []) await lane.execute(repeatable(statement));
    await lane.execute(`INSERT INTO schema_version VALUES (${next})`);
  }
  return migrations.length;
}

const repeatable = (statement: string): string => statement.replace(/^CREATE TABLE /, 'CREATE TABLE IF NOT EXISTS ');
