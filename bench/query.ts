/**
 * `query`: one account's month, grouped by day, over 100 million readings (1,160 accounts of 10 counters, 30 days at 5
 * minutes), through the query that the API answers with. Cold: the first question for each account after the store was
 * opened, the engine's caches dropped, and (as root) the system's. Warm: asked again.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type BenchOptions, type BenchResult, inFolder, machine, numberOf, quantile, round, say } from './common.ts';
import {
  accountName,
  type Cloud,
  COLUMNS,
  closedUpTo,
  HOUR,
  openCloud,
  POLL,
  pollsSql,
  START,
  settle,
  withReceipts,
} from './counters.ts';

const PER_ACCOUNT = 10;
const POLLS_A_DAY = 288;

export function run(options: BenchOptions): Promise<BenchResult> {
  const accounts = numberOf(options, 'accounts', 1160);
  const days = numberOf(options, 'days', 30);
  const asked = Math.min(accounts, numberOf(options, 'queries', 400));
  return inFolder(options, async (folder) => {
    const cloud = await openCloud(`${folder}/store`, accounts * PER_ACCOUNT, PER_ACCOUNT);
    try {
      const readings = await fill(cloud, accounts * PER_ACCOUNT, days);
      const dropped = dropCaches(cloud);
      const cold: number[] = [];
      const warm: number[] = [];
      const step = Math.max(1, Math.floor(accounts / asked));
      for (let i = 0; i < asked; i++) cold.push(await ask(cloud, (i * step) % accounts, days));
      for (let i = 0; i < asked; i++) warm.push(await ask(cloud, (i * step) % accounts, days));
      const all = [...cold, ...warm];
      return {
        bench: 'query',
        settings: {
          accounts,
          counters_per_account: PER_ACCOUNT,
          days,
          poll_s: POLL / 1000,
          queries: all.length,
          caches_dropped: dropped,
          ...machine(),
        },
        metrics: {
          readings,
          p50_ms: round(quantile(all, 0.5), 2),
          p99_ms: round(quantile(all, 0.99), 2),
          cold_first_ms: round(cold[0] ?? Number.NaN, 2),
          cold_p50_ms: round(quantile(cold, 0.5), 2),
          cold_p99_ms: round(quantile(cold, 0.99), 2),
          warm_p50_ms: round(quantile(warm, 0.5), 2),
          warm_p99_ms: round(quantile(warm, 0.99), 2),
        },
      };
    } finally {
      await cloud.close();
    }
  });
}

/** Readings by SQL, their records by the store's own fast path. */
async function fill(cloud: Cloud, series: number, days: number): Promise<number> {
  const write = (from: number, to: number): Promise<unknown> =>
    withReceipts(cloud, series * (to - from), (receipt) =>
      cloud.sql.queryAsync(`INSERT INTO reading (${COLUMNS}) ${pollsSql(cloud, series, from, to, receipt)}`),
    );
  await write(-3, 0);
  await write(0, POLLS_A_DAY / 2);
  const frontier = Number.MAX_SAFE_INTEGER - 1;
  for (let day = 0; day < days; day++) {
    await write(day * POLLS_A_DAY + POLLS_A_DAY / 2, (day + 1) * POLLS_A_DAY + POLLS_A_DAY / 2);
    // Few series: a whole day a call takes the memory of four hours of 100,000.
    const from = START + day * 24 * HOUR;
    const span = { firstSeries: cloud.first, lastSeries: cloud.first + series - 1, from, to: from + 24 * HOUR };
    const { odd } = await cloud.store.closeCounters(span, frontier, []);
    if (odd.length > 0) throw new Error(`${odd.length} odd series in data that has none`);
    if (day % 5 === 4) say(`${day + 1} of ${days} days written and closed`);
  }
  const end = START + days * 24 * HOUR;
  await closedUpTo(cloud, end, cloud.receipts.frontier());
  cloud.clock.at = end + 12 * HOUR;
  await settle(cloud);
  return Number(cloud.sql.query(`SELECT count() FROM reading WHERE t >= ${START} AND t < ${end}`).trim());
}

function dropCaches(cloud: Cloud): string {
  for (const cache of ['MARK', 'UNCOMPRESSED', 'QUERY CONDITION']) {
    cloud.sql.query(`SYSTEM DROP ${cache} CACHE`);
  }
  try {
    execFileSync('sync');
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    return 'engine and system';
  } catch {
    return 'engine only';
  }
}

async function ask(cloud: Cloud, account: number, days: number): Promise<number> {
  const from = performance.now();
  const { rows } = await cloud.usage.query(
    {
      filter: { accounts: [accountName(account)], meters: ['network.bytes.sent'] },
      from: START,
      to: START + days * 24 * HOUR,
      windowSize: 'day',
      zone: 'UTC',
      groupBy: ['account'],
    },
    null,
  );
  const took = performance.now() - from;
  if (rows.length !== days || rows.some((r) => r.quantity === null))
    throw new Error(`${rows.length} rows for ${days} days`);
  return took;
}
