/** Brings an index up to date with the event table, before ingest opens. */
import type { Receipt } from '../../domain/fact.ts';
import type { Instant } from '../../domain/window.ts';
import type { UsageStore } from '../../store/usage-store.ts';
import { QUARTER_MS, quarterOf } from './retention.ts';
import { type IdentityTable, RowBuffer } from './table.ts';

export interface Gap {
  /** Events with higher receipts are missing. */
  after: Receipt;
  /** First quarter of an hour that is kept. */
  oldest: number;
  now: Instant;
  /** Rows of a segment. */
  most: number;
  /** Takes what is too little for a segment. */
  table: IdentityTable;
  /** Writes rows out as a segment; with it all receipts up to `frontier` are known. */
  spill(rows: RowBuffer, frontier: Receipt): Promise<void>;
  /** Told now and then how many ids were read. */
  progress(ids: number): void;
}

/**
 * Returns how many ids were missing. Rows come by quarter of an hour and within it by hash, so many in a row may lie close
 * together: they are sorted and written out, and only a remainder small enough to fit wherever it lies goes into the table.
 * (Tried first: into tables. A quarter of an hour of 1.1 million events filled the first half of one, and the server did
 * not start.)
 */
export async function repair(store: Pick<UsageStore, 'identities'>, gap: Gap): Promise<number> {
  const { after, oldest, most } = gap;
  let highest = after;
  let found = 0;
  let spilled = Promise.resolve();
  let rows = new RowBuffer(most);
  for await (const page of store.identities(after, oldest * QUARTER_MS)) {
    for (const row of page) {
      if (row.receipt > highest) highest = row.receipt;
      const quarter = quarterOf(row.receivedAt ?? gap.now);
      if (quarter < oldest) continue;
      found++;
      if (rows.add(row, quarter) < most) continue;
      // One is written while the next is read.
      await spilled;
      spilled = gap.spill(rows, after);
      spilled.catch(() => undefined);
      rows = new RowBuffer(most);
    }
    if (found >= 1_000_000) gap.progress(found);
  }
  await spilled;
  // Rows come in any order: only now it is true that all up to the highest are here. A crash before begins again.
  if (found > rows.count || rows.count > most / 2) await gap.spill(rows, highest);
  else rows.moveTo(gap.table);
  return found;
}
