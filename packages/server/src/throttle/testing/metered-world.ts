/** Ingest, usage, engine and feed on one pair of stores, with a clock that stands still: what metered quotas are tested on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlBody } from '../../domain/control-fact.ts';
import type { Clock } from '../../domain/environment.ts';
import { metersOf } from '../../domain/limit/limit.ts';
import { periodAt } from '../../domain/limit/period.ts';
import { parseQuantity, SCALE } from '../../domain/quantity.ts';
import type { Instant } from '../../domain/window.ts';
import { Ingest } from '../../ingest/index.ts';
import { ControlLog } from '../../store/control-log.ts';
import type { ControlStore } from '../../store/control-store.ts';
import { type ControlModelState, controlModelState, openControlModel } from '../../store/model/control-model.ts';
import { UsageModel } from '../../store/model/usage-model.ts';
import { Receipts } from '../../store/receipts.ts';
import { SeriesRegistry } from '../../store/series-registry.ts';
import type { UsageStore } from '../../store/usage-store.ts';
import { type Filter, Usage } from '../../usage/index.ts';
import { Engine } from '../engine/engine.ts';
import type { Gate } from '../engine/types.ts';
import { Feed } from '../feed.ts';
import type { FeedDeps, FeedSettings } from '../feed-settings.ts';
import { scopeOf } from '../usage-scope.ts';

export const NOW = 1_795_253_400_000;
const silent = { info: () => {}, warn: () => {}, error: () => {} };
const who = { tenant: '', author: 'test', reason: '' };
const WATCHED = new Set(['bytes', 'calls', 'network.bytes.sent', 'network.bytes.received', 'peak', 'disk']);

/** What time does to the world: it stands, and who waits for it waits until told. */
export class WorldClock implements Clock {
  at: Instant;
  private sleepers: { until: number; resolve: () => void }[] = [];
  constructor(at: Instant) {
    this.at = at;
  }
  now(): Instant {
    return this.at;
  }
  elapsed(): number {
    return this.at - NOW;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.sleepers.push({ until: this.at + ms, resolve });
      signal?.addEventListener('abort', () => resolve());
    });
  }
  pass(ms: number): void {
    this.at += ms;
    const due = this.sleepers.filter((s) => s.until <= this.at);
    this.sleepers = this.sleepers.filter((s) => s.until > this.at);
    for (const { resolve } of due) resolve();
  }
}

interface Options {
  store?: UsageStore;
  settings?: Partial<FeedSettings>;
}

export class MeteredWorld {
  readonly clock: WorldClock;
  readonly store: UsageStore;
  readonly dir: string;
  feedMoved: (gate: Gate, used: number, now: Instant) => void = () => {};
  control!: ControlStore;
  readonly reports: string[] = [];
  engine!: Engine;
  feed!: Feed;
  ingest!: Ingest;
  usage!: Usage;
  log!: ControlLog;
  receipts!: Receipts;
  /** While set, the usage query waits for it first. */
  gate: Promise<void> | null = null;
  /** While set, the usage query has its answer and waits for it. */
  hold: Promise<void> | null = null;
  /** While set, the usage query fails. */
  isDown = false;
  queries = 0;
  answers = 0;
  private readonly controlState: ControlModelState;
  private readonly options: Options;
  private sent = 0;

  private constructor(options: Options, before?: MeteredWorld) {
    this.options = options;
    this.clock = before?.clock ?? new WorldClock(NOW);
    this.store = options.store ?? before?.store ?? new UsageModel();
    this.controlState = before?.controlState ?? controlModelState(4);
    this.dir = before?.dir ?? mkdtempSync(join(tmpdir(), 'tollgate-feed-'));
    this.sent = before?.sent ?? 0;
  }

  static async open(options: Options = {}): Promise<MeteredWorld> {
    const world = new MeteredWorld(options);
    await world.start();
    const meter = { version: 1, name: '', epochPath: '', startPath: '', filters: [], validFor: 0, rank: 0, of: [] };
    const rest = { ...meter, direction: 'max-of-percentiles' as const, billable: true, deleted: false };
    const delta = {
      ...rest,
      kind: 'delta' as const,
      eventType: 'request',
      unit: 'By',
      groupBy: { region: '$.region' },
    };
    await world.append(
      { kind: 'meter', meter: { ...delta, key: 'bytes', aggregation: 'sum', valuePath: '$.bytes' } },
      { kind: 'meter', meter: { ...delta, key: 'calls', aggregation: 'count', valuePath: '', unit: '{call}' } },
      { kind: 'meter', meter: { ...delta, key: 'peak', aggregation: 'max', valuePath: '$.bytes', groupBy: {} } },
      account('root', null),
      account('a', 'root'),
      account('b', 'root'),
      account('c', null),
    );
    for (const [i, id] of ['a', 'b', 'c'].entries())
      await world.append({ kind: 'owner', resource: `vm-${i}`, account: id, from: 0 });
    return world;
  }

  /** The process is killed, and another begins on the same disks. */
  async restart(): Promise<MeteredWorld> {
    await this.ingest.close();
    const world = new MeteredWorld(this.options, this);
    await world.start();
    return world;
  }

  private async start(): Promise<void> {
    const { clock, store: usage } = this;
    const control = openControlModel(this.controlState);
    this.control = control;
    const receipts = await Receipts.open(control, { block: 1000 });
    const registry = await SeriesRegistry.open(control);
    const log = await ControlLog.open(control, receipts, clock);
    this.log = log;
    this.receipts = receipts;
    const parts = { usage, control, receipts, registry, clock, log };
    const publish = null;
    const report = (event: string, detail: object): void =>
      void this.reports.push(`${event} ${JSON.stringify(detail)}`);
    this.usage = new Usage({ ...parts, holder: 'test', groups: 4, publish, report });
    this.engine = new Engine();
    const query: FeedDeps['usage']['query'] = async (...asked) => {
      this.queries++;
      await this.gate;
      if (this.isDown) throw new Error('the store is away');
      const answer = await this.usage.query(...asked);
      this.answers++;
      await this.hold;
      return answer;
    };
    this.feed = new Feed({
      engine: this.engine,
      usage: { query },
      control,
      book: log.book,
      watched: () => WATCHED,
      registry,
      receipts,
      clock,
      report,
      moved: (gate, used, now) => this.feedMoved(gate, used, now),
      ...(this.options.settings === undefined ? {} : { settings: this.options.settings }),
    });
    this.ingest = await Ingest.open({
      ...{ usage, control, receipts, registry, log: silent, limits: { tableBits: 14 }, background: 'in-place' },
      clock: { now: () => clock.now(), elapsed: () => clock.elapsed(), sleep: async () => {} },
      book: () => log.book,
      secret: Buffer.from('a secret of tests'),
      dir: join(this.dir, 'identity'),
      watched: () => WATCHED,
    });
    this.ingest.onCommitted(this.feed.committed);
  }

  async append(...bodies: ControlBody[]): Promise<void> {
    await this.log.append(bodies, who);
  }

  /** Events of `vm-N` with [t, bytes, region]; returns their ids. */
  async events(vm: number, ...rows: (readonly [Instant, number | string, string?])[]): Promise<string[]> {
    const ids = rows.map(() => `e${++this.sent}`);
    const body = rows.map(([t, bytes, region = 'eu'], i) => ({
      ...{ specversion: '1.0', id: ids[i], source: 'svc', type: 'request', subject: `vm-${vm}` },
      time: new Date(t).toISOString(),
      data: { bytes, region },
    }));
    await this.ingest.acceptEvents(Buffer.from(JSON.stringify(body)), 'batch', { tenant: '', mayspeak: () => true });
    return ids;
  }

  /** Readings of `vm-N`: [t, value, epoch]. */
  async readings(
    vm: number,
    rows: (readonly [Instant, number, string?])[],
    meter = 'network.bytes.sent',
  ): Promise<void> {
    const epochs = [...new Set(rows.map(([, , epoch]) => epoch ?? 'boot-1'))];
    const batch = {
      source: `host-${vm}`,
      run: `run-${++this.sent}`,
      sequence: 0,
      sentAt: this.clock.at,
      series: epochs.map((epoch) => ({ resource: `vm-${vm}`, meter, epoch })),
      readings: rows.map(([t, value, epoch = 'boot-1']) => [epochs.indexOf(epoch), t, String(value)]),
    };
    const body = Buffer.from(JSON.stringify(batch));
    await this.ingest.acceptReadings(body, { tenant: '', mayspeak: () => true });
  }

  /** As the engine has it. */
  used(gate: Gate): number {
    return this.engine.status(this.engine.prepare([gate]), this.clock.at)[0]?.used ?? -1;
  }

  /** As the usage query alone has it: asked of the one gate, added and rounded here. */
  async shown(gate: Gate): Promise<number> {
    const { account, subtree, resource, dimension } = scopeOf(gate);
    const filter: Filter = {
      meters: metersOf(gate.limit.meter),
      subtree,
      accounts: account === null ? undefined : [account],
      resources: resource === null ? undefined : [resource],
      dimensions: dimension === null ? undefined : { [dimension.name]: [dimension.value] },
    };
    const period = gate.limit.rule.kind === 'quota' ? gate.limit.rule.period : 'month';
    const { from, to } = periodAt(gate.calendar, period, this.clock.at);
    const query = { filter, from, to, windowSize: 'total' as const, zone: 'UTC', groupBy: [] };
    const { rows } = await this.usage.query(query, null);
    const sum = rows.reduce((all, row) => all + parseQuantity(row.quantity ?? '0'), 0n);
    return sum < 0n ? 0 : Number((sum + SCALE - 1n) / SCALE);
  }

  /** The job runs and the feed catches up with it. */
  async quiet(): Promise<void> {
    await this.usage.job.run();
    await this.catchUp();
  }
  async catchUp(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      this.clock.pass(1);
      await this.feed.step();
    }
    if (this.feed.stats().waiting > 0) throw new Error('the feed does not come to rest');
  }

  async close(): Promise<void> {
    await this.ingest.close();
    await this.feed.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const account = (id: string, parent: string | null): ControlBody => ({
  kind: 'account',
  id,
  parent,
  name: '',
  zone: 'UTC',
  currency: 'EUR',
  state: 'active',
});
