/** Writing records so that what the store cannot hold of one series keeps nobody else's from being written (law 6). */
import type { Receipt } from '../domain/fact.ts';
import type { CounterRecord } from '../domain/record.ts';
import { StoreError } from '../store/errors.ts';
import type { UsageStore } from '../store/usage-store.ts';

/**
 * Writes what the store takes. Answers the series whose records it refused as out of its range, none of which are
 * written, with its reason; any other failure is thrown. Halving finds one among thousands in a few statements.
 */
export async function writeFitting(
  usage: Pick<UsageStore, 'writeCounters'>,
  records: readonly CounterRecord[],
  frontier: Receipt,
): Promise<Map<number, string>> {
  try {
    await usage.writeCounters(records, frontier);
    return new Map();
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'store.number_range') throw error;
    const series = [...new Set(records.map((r) => r.series))];
    if (series.length < 2) return new Map(series.map((id) => [id, String(error)]));
    const half = new Set(series.slice(0, series.length >> 1));
    const inHalf = records.filter((r) => half.has(r.series));
    const others = records.filter((r) => !half.has(r.series));
    const refused = await writeFitting(usage, inHalf, frontier);
    return new Map([...refused, ...(await writeFitting(usage, others, frontier))]);
  }
}
