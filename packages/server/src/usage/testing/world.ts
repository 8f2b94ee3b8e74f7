/** Usage on the model stores with a clock of its own: what the tests of this folder start from. */
import type { ControlBody } from '../../domain/control-fact.ts';
import type { Clock } from '../../domain/environment.ts';
import type { SeriesReading, StoredEvent } from '../../domain/fact.ts';
import { builtinMeters } from '../../domain/meter.ts';
import type { Series } from '../../domain/series.ts';
import type { Instant } from '../../domain/window.ts';
import { ControlLog } from '../../store/control-log.ts';
import type { ControlStore } from '../../store/control-store.ts';
import { controlModelState, openControlModel } from '../../store/model/control-model.ts';
import { UsageModel } from '../../store/model/usage-model.ts';
import { Receipts } from '../../store/receipts.ts';
import { SeriesRegistry } from '../../store/series-registry.ts';
import type { UsageStore } from '../../store/usage-store.ts';
import { type JobSettings, Usage, type UsageQuery, type UsageRow } from '../index.ts';

export class SteppedClock implements Clock {
  at: Instant;
  private readonly began: Instant;
  constructor(at: Instant) {
    this.at = at;
    this.began = at;
  }
  now(): Instant {
    return this.at;
  }
  elapsed(): number {
    return this.at - this.began;
  }
  sleep(): Promise<void> {
    return Promise.resolve();
  }
}

export interface World {
  clock: SteppedClock;
  store: UsageStore;
  control: ControlStore;
  log: ControlLog;
  registry: SeriesRegistry;
  receipts: Receipts;
  usage: Usage;
  append(...bodies: ControlBody[]): Promise<void>;
  series(resource: string, meter?: string): Promise<Series>;
  /** Readings as [t, value]; returns their receipts. */
  read(
    series: Series,
    rows: readonly (readonly [Instant, bigint] | readonly [Instant, bigint, Partial<SeriesReading>])[],
  ): Promise<number[]>;
  events(rows: readonly Partial<StoredEvent>[]): Promise<number[]>;
  declare(through: Instant, source?: string, tenant?: string): Promise<void>;
  rows(query: Partial<UsageQuery> & { from: Instant; to: Instant }): Promise<UsageRow[]>;
}

export interface WorldOptions {
  store?: UsageStore;
  /** Given again, the world is the same one after a restart. */
  control?: ControlStore;
  clock?: SteppedClock;
  settings?: Partial<JobSettings>;
  groups?: number;
}

/** Equal for equal identities, as the store's key wants it. */
function hashOf({ tenant, source, id }: StoredEvent): { idHi: number; idLo: number } {
  let hash = 17;
  for (const c of JSON.stringify([tenant, source, id])) hash = (Math.imul(hash, 31) + c.charCodeAt(0)) >>> 0;
  return { idHi: hash, idLo: hash };
}

export async function openWorld(
  at: Instant,
  {
    groups = 4,
    store = new UsageModel(),
    control = openControlModel(controlModelState(groups)),
    clock = new SteppedClock(at),
    settings = {},
  }: WorldOptions = {},
): Promise<World> {
  const receipts = await Receipts.open(control, { block: 1000 });
  const log = await ControlLog.open(control, receipts, clock);
  const registry = await SeriesRegistry.open(control);
  const usage = new Usage({
    usage: store,
    control,
    log,
    registry,
    receipts,
    clock,
    holder: 'test',
    groups,
    settings,
    publish: null,
    report: () => undefined,
  });
  const who = { tenant: '', author: 'test', reason: '' };
  const write = async (n: number, put: (first: number) => Promise<void>): Promise<number[]> => {
    const taken = await receipts.take(n);
    await put(taken.first);
    taken.done();
    return Array.from({ length: n }, (_, i) => taken.first + i);
  };
  const world: World = {
    clock,
    store,
    control,
    log,
    registry,
    receipts,
    usage,
    append: async (...bodies) => void (await log.append(bodies, who)),
    series: async (resource, meter = 'network.bytes.sent') => {
      const key = { tenant: '', source: 'host-1', resource, meter, dimensions: {} };
      const rest = { width: 64 as const, lineBits: 0, period: 300_000, layer: 'L2', witnessOf: 0, firstReceipt: 0 };
      const [series] = await registry.register([{ ...key, ...rest }]);
      if (series === undefined) throw new Error('not registered');
      return series;
    },
    read: (series, rows) =>
      write(rows.length, async (first) => {
        const writer = store.writer();
        for (const [i, [t, value, more]] of rows.entries()) {
          const reading = {
            series: series.id,
            t,
            value,
            epoch: 7,
            start: 0,
            receipt: first + i,
            stamps: 0,
            sourceTime: t,
          };
          writer.reading({ ...reading, ...more });
        }
        await writer.commit();
      }),
    events: (rows) =>
      write(rows.length, async (first) => {
        const writer = store.writer();
        for (const [i, row] of rows.entries()) {
          const receipt = first + i;
          const event: StoredEvent = {
            tenant: '',
            source: 'app',
            id: `e${receipt}`,
            type: 'request',
            subject: 'customer-1',
            t: clock.at,
            sourceTime: row.t ?? clock.at,
            receivedAt: clock.at,
            data: '{}',
            receipt,
            stamps: 0,
            set: '',
            ...row,
          };
          writer.event(event, { ...hashOf(event), contentHi: 0, contentLo: 0 });
        }
        await writer.commit();
      }),
    declare: async (through, source = 'host-1', tenant = '') =>
      void (await write(1, async (receipt) => {
        const writer = store.writer();
        const none = { tenant, run: 'r', firstSequence: 0, lastSequence: 0 };
        writer.declaration({
          ...none,
          source,
          completeThrough: through,
          sentAt: clock.at,
          receivedAt: clock.at,
          receipt,
        });
        await writer.commit();
      })),
    rows: async (query) => {
      const all = { filter: {}, windowSize: 'total' as const, zone: 'UTC', groupBy: ['account', 'resource'] };
      return (await usage.query({ ...all, ...query }, null)).rows;
    },
  };
  await world.append(...builtinMeters().map(({ receipt: _, ...meter }) => ({ kind: 'meter' as const, meter })));
  return world;
}
