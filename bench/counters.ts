/** A cloud's counters for the benches: series in the registry, their readings written by SQL, and the real usage job over both. */
import { Session } from 'chdb';
import type { Clock } from 'tollgate/domain/environment.js';
import { builtinMeters } from 'tollgate/domain/meter.js';
import { WINDOW_MS } from 'tollgate/domain/window.js';
import { openChdb, type UsageChdb } from 'tollgate/store/chdb/usage-chdb.js';
import { ControlLog } from 'tollgate/store/control-log.js';
import type { ControlStore } from 'tollgate/store/control-store.js';
import { controlModelState, openControlModel } from 'tollgate/store/model/control-model.js';
import { Receipts } from 'tollgate/store/receipts.js';
import { SeriesRegistry } from 'tollgate/store/series-registry.js';
import { Usage } from 'tollgate/usage/index.js';

export const HOUR = 3_600_000;
/** 1 October 2026, midnight UTC. */
export const START = 1_790_812_800_000;
export const POLL = 300_000;
const METER = 'network.bytes.sent';

/** Wall time as the bench says; durations as they are. */
class BenchClock implements Clock {
  at = START;
  now(): number {
    return this.at;
  }
  elapsed(): number {
    return performance.now();
  }
  async sleep(): Promise<void> {}
}

export interface Cloud {
  store: UsageChdb;
  control: ControlStore;
  usage: Usage;
  clock: BenchClock;
  /** A session of the bench's own beside the store's. */
  sql: Session;
  /** Id of the first series; the others follow without holes. */
  first: number;
  receipts: Receipts;
  close(): Promise<void>;
}

/** `series` counters, `perAccount` of them to an account (0: nobody owns them). One group, so that their ids are one run. */
export async function openCloud(directory: string, series: number, perAccount = 0): Promise<Cloud> {
  const store = await openChdb({ directory });
  const control = openControlModel(controlModelState(1));
  const clock = new BenchClock();
  const receipts = await Receipts.open(control, { block: 10_000 });
  const log = await ControlLog.open(control, receipts, clock);
  const registry = await SeriesRegistry.open(control);
  const who = { tenant: '', author: 'bench', reason: 'bench' };
  await log.append(
    builtinMeters().map(({ receipt: _, ...meter }) => ({ kind: 'meter' as const, meter })),
    who,
  );
  const rest = {
    meter: METER,
    dimensions: {},
    width: 64 as const,
    lineBits: 0,
    period: POLL,
    layer: 'L2',
    witnessOf: 0,
  };
  const keys = Array.from({ length: series }, (_, i) => ({
    tenant: '',
    source: `host-${i % 1000}`,
    resource: `nic-${i}`,
    ...rest,
    firstReceipt: 0,
  }));
  const registered = await registry.register(keys);
  const first = Math.min(...registered.slice(0, 1).map((s) => s.id));
  if (registered.some((s, i) => s.id !== first + i)) throw new Error('the bench counts on series ids in a row');
  if (perAccount > 0) {
    const accounts = Array.from({ length: Math.ceil(series / perAccount) }, (_, a) => a);
    await log.append(
      accounts.map((a) => ({
        kind: 'account' as const,
        id: accountName(a),
        parent: null,
        name: accountName(a),
        zone: 'UTC',
        currency: 'EUR',
        state: 'active' as const,
      })),
      who,
    );
    await log.append(
      keys.map((key, i) => ({
        kind: 'owner' as const,
        resource: key.resource,
        account: accountName(Math.floor(i / perAccount)),
        from: START - 30 * 24 * HOUR,
      })),
      who,
    );
  }
  const report = (): void => undefined;
  const usage = new Usage({
    usage: store,
    control,
    log,
    registry,
    receipts,
    clock,
    holder: 'bench',
    groups: 1,
    publish: null,
    report,
  });
  const sql = new Session(directory);
  sql.query('SET use_query_condition_cache = 0, max_threads = 2, async_insert = 0');
  const close = async (): Promise<void> => {
    sql.close();
    await store.close();
  };
  return { store, control, usage, clock, sql, first, receipts, close };
}

export const accountName = (a: number): string => `account-${a}`;

/**
 * SQL for the readings of polls [from, to), every 5 minutes from START on, as INSERT ... SELECT. Each series has a phase
 * of its own and a jitter of up to a second; values grow by up to two million a poll.
 */
export const pollsSql = (
  cloud: Pick<Cloud, 'first'>,
  series: number,
  from: number,
  to: number,
  receipt: number,
): string => `
  SELECT toUInt32(${cloud.first} + s) AS series,
    toUInt64(${START} + k * ${POLL} + cityHash64(s) % ${POLL - 2000} + cityHash64(s, k) % 1000) AS t,
    toUInt64((k + 1000) * 1000000 + cityHash64(s, k, 1) % 900000) AS value,
    toUInt64(cityHash64(s, 2) % 4503599627370496) AS epoch, toUInt64(0) AS start, toUInt64(${receipt} + number) AS receipt,
    toInt64(0) AS skew, toUInt8(0) AS stamps
  FROM (SELECT number, number % ${series} AS s, toInt64(intDiv(number, ${series})) + ${from} AS k FROM numbers(${series * (to - from)}))`;

export const COLUMNS = 'series, t, value, epoch, start, receipt, skew, stamps';

/** Waits until the engine has no merges under way, so that no part of a bench pays for another. */
export async function settle(cloud: Cloud): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    quiet = cloud.sql.query('SELECT count() FROM system.merges').trim() === '0' ? quiet + 1 : 0;
  }
}

/** The job has closed everything before `at` and knows facts up to `frontier`. */
export async function closedUpTo(cloud: Cloud, at: number, frontier: number): Promise<void> {
  const edge = Math.floor(at / WINDOW_MS) * WINDOW_MS;
  for (const stream of ['counter', 'event'] as const) {
    await cloud.control.createProgress({ stream, group: 0, from: edge, closedTo: edge, to: null, frontier });
  }
}

/** Takes receipts for rows written by SQL; they count as durable once `work` is done. */
export async function withReceipts<T>(cloud: Cloud, count: number, work: (first: number) => Promise<T>): Promise<T> {
  const taken = await cloud.receipts.take(count);
  try {
    return await work(taken.first);
  } finally {
    taken.done();
  }
}
