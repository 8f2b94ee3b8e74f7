/** Current records of a span as one Parquet file, on disk when the call returns. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Instant } from '../../domain/window.ts';
import type { Lane } from './lane.ts';
import { refusal } from './refusal.ts';
import { quoted, windowsWithin } from './sql.ts';

const COLUMNS = {
  counter: ['record', 'series, w AS window, part, used, seen, n, flags, state, s AS frontier'],
  tally: [
    'tally',
    'series, w AS window, part, total AS sum, toDecimal128(amount, 0) AS count, least AS min, most AS max, latest, latest_at, flags, state, s AS frontier',
  ],
} as const;

export async function exportParquet(
  lane: Lane,
  table: 'counter' | 'tally',
  from: Instant,
  to: Instant,
  file: string,
): Promise<number> {
  const [name, columns] = COLUMNS[table];
  const where = `${windowsWithin(from, to)} AND void = 0`;
  const draft = `${file}.draft`;
  try {
    const rows = await lane.exclusive(async (held) => {
      await held.execute(
        `SELECT ${columns} FROM ${name} FINAL WHERE ${where} ORDER BY series, w, part
         INTO OUTFILE ${quoted(draft)} TRUNCATE FORMAT Parquet`,
      );
      return (await held.rows(`SELECT count() FROM ${name} FINAL WHERE ${where}`)).u64();
    });
    await sync(draft);
    await rename(draft, file);
    await sync(dirname(file));
    return rows;
  } catch (error) {
    await rm(draft, { force: true });
    throw refusal(error);
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
