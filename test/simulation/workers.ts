/**
 * Facts going straight into a store, and job workers over it, on virtual time: what the two-worker test and the disorder
 * test share. Ingest is left out on purpose: here every fact and its receipt is the test's own.
 */
import assert from 'node:assert/strict';
import { Book } from 'tollgate/domain/book.js';
import type { SeriesReading } from 'tollgate/domain/fact.js';
import { Stamp } from 'tollgate/domain/fact.js';
import type { CounterRecord } from 'tollgate/domain/record.js';
import type { Series } from 'tollgate/domain/series.js';
import { WINDOW_MS } from 'tollgate/domain/window.js';
import { ControlLog } from 'tollgate/store/control-log.js';
import type { ControlStore } from 'tollgate/store/control-store.js';
import { Receipts } from 'tollgate/store/receipts.js';
import { SeriesRegistry } from 'tollgate/store/series-registry.js';
import type { UsageStore } from 'tollgate/store/usage-store.js';
import { pureRecords } from 'tollgate/usage/counters.js';
import { Job, type JobSettings } from 'tollgate/usage/job.js';
import type { Poll } from './device.ts';
import { type Faults, withFaults } from './faulty.ts';
import type { MachineClock } from './time.ts';

export const SOURCE = 'host/sim';

export interface Stores {
  readonly usage: UsageStore;
  readonly control: ControlStore;
}

/** Names epochs by small numbers: the store only needs them to differ. */
const epochNumber = (epoch: string): number => {
  let n = 7;
  for (const c of epoch) n = (n * 31 + c.charCodeAt(0)) % 2 ** 40;
  return n;
};

/** The one process that ingests: writes facts with receipts and stamps them as ingest does. */
export class Feeder {
  readonly #stores: Stores;
  readonly #receipts: Receipts;
  readonly #clock: MachineClock;
  readonly series: Series[] = [];
  readonly #newest = new Map<number, number>();
  #sequence = 1;
  readonly written: SeriesReading[] = [];

  constructor(stores: Stores, receipts: Receipts, clock: MachineClock) {
    this.#stores = stores;
    this.#receipts = receipts;
    this.#clock = clock;
  }

  async register(names: readonly string[]): Promise<void> {
    const rows = names.map((name) => ({
      tenant: '',
      source: SOURCE,
      resource: name,
      meter: 'network.bytes.sent',
      dimensions: {},
      width: 64 as const,
      lineBits: 0,
      period: 60_000,
      layer: 'L2',
      witnessOf: 0,
      firstReceipt: 1,
    }));
    this.series.push(...(await this.#stores.control.registerSeries(rows)));
  }

  /** One commit of polls, in the order given. `completeThrough` 0: the source says nothing about completeness. */
  async write(polls: readonly { index: number; poll: Poll }[], completeThrough: number): Promise<void> {
    const taken = await this.#receipts.take(polls.length + 1);
    const writer = this.#stores.usage.writer();
    for (const [n, { index, poll }] of polls.entries()) {
      const series = this.series[index]?.id;
      if (series === undefined) throw new Error('no such series');
      const newest = this.#newest.get(series) ?? 0;
      this.#newest.set(series, Math.max(newest, poll.t));
      const reading: SeriesReading = {
        series,
        t: poll.t,
        sourceTime: poll.t,
        value: poll.value,
        epoch: epochNumber(poll.epoch),
        start: poll.start,
        receipt: taken.first + n,
        stamps: poll.t < newest ? Stamp.late : 0,
      };
      writer.reading(reading);
      this.written.push(reading);
    }
    writer.declaration({
      tenant: '',
      source: SOURCE,
      run: 'run',
      firstSequence: this.#sequence,
      lastSequence: this.#sequence + polls.length - 1,
      completeThrough,
      sentAt: this.#clock.now(),
      receivedAt: this.#clock.now(),
      receipt: taken.first + polls.length,
    });
    this.#sequence += polls.length;
    await writer.commit();
    taken.done();
  }
}

export const jobSettings: JobSettings = { intervalMs: 60_000, deadlineMs: 900_000, leaseMs: 30_000, chunkWindows: 4 };

export interface Worker {
  readonly job: Job;
  readonly events: string[];
}

/** A worker with a view of its own: its own log, registry and faults over the same two stores. */
export const makeWorker = async (
  stores: Stores,
  receipts: Receipts,
  clock: MachineClock,
  holder: string,
  faults: Faults,
  groups: number,
): Promise<Worker> => {
  const control = withFaults(stores.control, faults);
  const usage = withFaults(stores.usage, faults);
  const events: string[] = [];
  const job = new Job({
    usage,
    control,
    log: await ControlLog.open(stores.control, receipts, clock),
    registry: await SeriesRegistry.open(stores.control),
    receipts,
    clock,
    holder,
    groups,
    settings: jobSettings,
    publisher: null,
    report: (event, detail) => events.push(`${event} ${JSON.stringify(detail)}`),
  });
  return { job, events };
};

/** What the facts up to S give, by the pure function alone. */
export const pureAt = async (
  stores: Stores,
  series: readonly Series[],
  from: number,
  to: number,
  frontier: number,
): Promise<CounterRecord[]> => {
  const book = new Book();
  for (const fact of await stores.control.facts(0, 1_000_000, { upTo: frontier })) book.apply(fact);
  return pureRecords(
    { usage: stores.usage, book, frontier },
    series.map((s) => ({ series: s, from, to })),
  );
};

const text = (record: CounterRecord): string =>
  JSON.stringify(record, (key, value: unknown) =>
    key === 'frontier' ? undefined : typeof value === 'bigint' ? String(value) : value,
  );

/** Records as sorted lines; void rows are as good as none. */
export const bytesOf = (records: readonly CounterRecord[]): string[] =>
  records
    .filter((r) => !r.isVoid)
    .map(text)
    .sort();

export const storedRecords = (stores: Stores, series: readonly Series[], from: number, to: number) =>
  stores.usage.counterRecords(
    series.map((s) => s.id),
    from,
    to,
  );

/** Every stored record is what the facts up to its own frontier give: none was ever wrong. */
export const checkOwnFrontier = async (
  stores: Stores,
  series: readonly Series[],
  from: number,
  to: number,
): Promise<void> => {
  const stored = await storedRecords(stores, series, from, to);
  for (const frontier of new Set(stored.map((r) => r.frontier))) {
    const pure = new Map(
      (await pureAt(stores, series, from, to, frontier)).map((r) => [`${r.series}/${r.window}/${r.part}`, r]),
    );
    for (const record of stored) {
      if (record.frontier !== frontier) continue;
      const want = pure.get(`${record.series}/${record.window}/${record.part}`);
      if (record.isVoid) assert.equal(want, undefined, `a void row stands where the facts give ${want && text(want)}`);
      else
        assert.equal(
          text(record),
          want && text(want),
          `record of series ${record.series}, window ${record.window}, frontier ${frontier}`,
        );
    }
  }
};

export { Receipts, WINDOW_MS };
