/** One server's worth of ingest on model stores, a clock that stands still and a disk that fails on demand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BatchOutcome } from '@tollgate/event';
import type { Clock } from '../../domain/environment.ts';
import type { StoredEvent } from '../../domain/fact.ts';
import { ControlLog } from '../../store/control-log.ts';
import { type ControlModelState, controlModelState, openControlModel } from '../../store/model/control-model.ts';
import { UsageModel, type UsageModelState, usageModelState } from '../../store/model/usage-model.ts';
import { Receipts } from '../../store/receipts.ts';
import { SeriesRegistry } from '../../store/series-registry.ts';
import type { UsageStore } from '../../store/usage-store.ts';
import type { AcceptContext, IngestLimits } from '../index.ts';
import { Ingest } from '../index.ts';

export const NOW = 1_795_253_400_000;

export const silent = { info: () => {}, warn: () => {}, error: () => {} };

export class World {
  now = NOW;
  /** How many rows of the next commits reach the disk before they fail; none: they succeed. */
  readonly failures: number[] = [];
  /** While set, a commit waits for it before it begins. */
  gate: Promise<void> | null = null;
  readonly usageState: UsageModelState;
  readonly controlState: ControlModelState;
  readonly dir: string;
  readonly store: UsageModel;
  ingest!: Ingest;
  log!: ControlLog;
  registry!: SeriesRegistry;
  receipts!: Receipts;
  private readonly limits: Partial<IngestLimits>;
  private readonly watched: () => ReadonlySet<string>;

  private constructor(limits: Partial<IngestLimits>, watched: () => ReadonlySet<string>, before?: World) {
    this.limits = limits;
    this.watched = watched;
    this.dir = before?.dir ?? mkdtempSync(join(tmpdir(), 'tollgate-ingest-'));
    this.usageState = before?.usageState ?? usageModelState();
    this.controlState = before?.controlState ?? controlModelState();
    this.now = before?.now ?? NOW;
    this.store = new UsageModel(this.usageState, { commit: () => this.failures.shift() ?? null });
  }

  readonly clock: Clock = { now: () => this.now, elapsed: () => this.now, sleep: async () => {} };

  static async open(
    limits: Partial<IngestLimits> = {},
    watched: () => ReadonlySet<string> = () => new Set(),
  ): Promise<World> {
    const world = new World(limits, watched);
    await world.start();
    return world;
  }

  /** Another process on the same disks: the one before is left as a kill leaves it. */
  async restart(): Promise<World> {
    const world = new World(this.limits, this.watched, this);
    await world.start();
    return world;
  }

  private async start(): Promise<void> {
    const control = openControlModel(this.controlState);
    this.receipts = await Receipts.open(control, { block: 1000 });
    this.registry = await SeriesRegistry.open(control);
    this.log = await ControlLog.open(control, this.receipts, this.clock);
    this.ingest = await Ingest.open({
      usage: this.gated(),
      control,
      receipts: this.receipts,
      registry: this.registry,
      clock: this.clock,
      book: () => this.log.book,
      secret: Buffer.from('a secret of tests'),
      dir: join(this.dir, 'identity'),
      log: silent,
      limits: { tableBits: 14, ...this.limits },
      watched: this.watched,
      background: 'in-place',
    });
  }

  private gated(): UsageStore {
    const { store } = this;
    return new Proxy(store, {
      get: (target, name) => {
        if (name !== 'writer') return Reflect.get(target, name, target) as unknown;
        return () => {
          const writer = store.writer();
          const commit = async (): Promise<void> => {
            await this.gate;
            await writer.commit();
          };
          return {
            event: writer.event,
            reading: writer.reading,
            declaration: writer.declaration,
            commit,
            get size() {
              return writer.size;
            },
          };
        };
      },
    });
  }

  send(events: unknown, ctx: Partial<AcceptContext> = {}): Promise<BatchOutcome> {
    return this.sendText(typeof events === 'string' ? events : JSON.stringify(events), ctx);
  }
  sendText(text: string, ctx: Partial<AcceptContext> = {}): Promise<BatchOutcome> {
    return this.ingest.acceptEvents(Buffer.from(text), 'batch', { tenant: '', mayspeak: () => true, ...ctx });
  }
  report(batch: object, tenant = ''): Promise<BatchOutcome> {
    const body = Buffer.from(JSON.stringify(batch));
    return this.ingest.acceptReadings(body, { tenant, mayspeak: (source) => !source.startsWith('foreign') });
  }

  get events(): StoredEvent[] {
    return [...this.usageState.events.values()].sort((a, b) => a.receipt - b.receipt);
  }
  get readings() {
    return [...this.usageState.readings.values()]
      .flatMap((of) => [...of.values()])
      .sort((a, b) => a.receipt - b.receipt);
  }
  get setAside() {
    return [...this.controlState.setAside.values()];
  }

  async close(): Promise<void> {
    await this.ingest.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

let serial = 0;
export const event = (change: object = {}): Record<string, unknown> => ({
  specversion: '1.0',
  id: `id-${++serial}`,
  source: 'svc',
  type: 'request',
  subject: 'customer-1',
  time: '2026-11-21T09:00:00Z',
  data: { bytes: 10, region: 'eu' },
  ...change,
});
