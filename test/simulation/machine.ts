/**
 * One server in this process, on the model stores: ingest, control log, job, queries, explain, invoice runs. It can die between any
 * two steps and come back on what was durable. Its clock may step; its disk and its pauses are the caller's faults.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BatchOutcome } from '@tollgate/event';
import { InvoiceRuns } from 'tollgate/billing/run/runs.js';
import { Problem } from 'tollgate/errors.js';
import { Ingest } from 'tollgate/ingest/index.js';
import { ControlLog } from 'tollgate/store/control-log.js';
import type { ControlStore } from 'tollgate/store/control-store.js';
import { controlModelState, openControlModel } from 'tollgate/store/model/control-model.js';
import { UsageModel, usageModelState } from 'tollgate/store/model/usage-model.js';
import { Receipts } from 'tollgate/store/receipts.js';
import { SeriesRegistry } from 'tollgate/store/series-registry.js';
import type { UsageStore } from 'tollgate/store/usage-store.js';
import { type JobSettings, Usage } from 'tollgate/usage/index.js';
import { type Faults, Life, noFate, withFaults } from './faulty.ts';
import type { MachineClock } from './time.ts';

export const GROUPS = 2;
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** What is durable: it outlives every incarnation. */
export interface Disk {
  readonly usage: UsageStore;
  readonly control: ControlStore;
  /** Folder of the identity index; derived, but on a real disk. */
  readonly dir: string;
}

export const makeDisk = (): Disk => ({
  usage: new UsageModel(usageModelState()),
  control: openControlModel(controlModelState(GROUPS)),
  dir: mkdtempSync(join(tmpdir(), 'tollgate-sim-')),
});

export const removeDisk = (disk: Disk): void => rmSync(disk.dir, { recursive: true, force: true });

export interface MachineOptions {
  readonly clock: MachineClock;
  readonly holder?: string;
  readonly faults?: (life: Life) => Omit<Faults, 'life'>;
  readonly job?: Partial<JobSettings>;
}

/** As an HTTP answer: the status, and the outcome or the problem's code. */
export interface Reply {
  readonly status: number;
  readonly code: string;
  readonly outcome?: BatchOutcome;
}

export class Machine {
  readonly life: Life;
  readonly ingest: Ingest;
  readonly usage: Usage;
  readonly log: ControlLog;
  readonly registry: SeriesRegistry;
  readonly receipts: Receipts;
  readonly runs: InvoiceRuns;
  readonly reports: string[];

  private constructor(
    parts: Pick<Machine, 'life' | 'ingest' | 'usage' | 'log' | 'registry' | 'receipts' | 'runs' | 'reports'>,
  ) {
    this.life = parts.life;
    this.runs = parts.runs;
    this.ingest = parts.ingest;
    this.usage = parts.usage;
    this.log = parts.log;
    this.registry = parts.registry;
    this.receipts = parts.receipts;
    this.reports = parts.reports;
  }

  /** Starts on what is durable. Faults begin once it is up: a start that fails is only a later start. */
  static async boot(disk: Disk, options: MachineOptions): Promise<Machine> {
    const { clock, holder = 'machine' } = options;
    const life = new Life();
    const chosen = options.faults?.(life) ?? { pause: async () => undefined, fate: noFate };
    let up = false;
    const faults: Faults = {
      life,
      pause: (call) => (up ? chosen.pause(call) : Promise.resolve()),
      fate: (call) => (up ? chosen.fate(call) : 'written'),
    };
    const control = withFaults(disk.control, faults);
    const store = withFaults(disk.usage, faults);
    const receipts = await Receipts.open(control, { block: 10_000 });
    const log = await ControlLog.open(control, receipts, clock);
    const registry = await SeriesRegistry.open(control);
    const ingest = await Ingest.open({
      usage: store,
      control,
      receipts,
      registry,
      clock,
      book: () => log.book,
      secret: Buffer.from('a secret of the simulation'),
      dir: disk.dir,
      log: silent,
      background: 'in-place',
      limits: { tableBits: 12 },
    });
    const reports: string[] = [];
    const report = (event: string, detail: Record<string, unknown>): void =>
      void reports.push(`${event} ${JSON.stringify(detail)}`);
    const usage = new Usage({
      usage: store,
      control,
      log,
      registry,
      receipts,
      clock,
      holder,
      groups: GROUPS,
      publish: null,
      ...(options.job ? { settings: options.job } : {}),
      report,
    });
    const runs = new InvoiceRuns({
      billing: control.billing,
      meteredAt: (asOf) => usage.meteredAt(asOf),
      store,
      registry,
      clock,
      holder,
      pause: async () => undefined,
      report,
      batch: 2,
    });
    up = true;
    return new Machine({ life, ingest, usage, log, registry, receipts, runs, reports });
  }

  /** As POST /api/v1/events in batch mode. */
  events(events: readonly unknown[], tenant = ''): Promise<Reply> {
    return this.#reply(
      this.ingest.acceptEvents(Buffer.from(JSON.stringify(events)), 'batch', { tenant, mayspeak: () => true }),
    );
  }

  /** As POST /api/v1/readings. */
  readings(batch: unknown, tenant = ''): Promise<Reply> {
    return this.#reply(
      this.ingest.acceptReadings(Buffer.from(JSON.stringify(batch)), { tenant, mayspeak: () => true }),
    );
  }

  async #reply(answer: Promise<BatchOutcome>): Promise<Reply> {
    try {
      return { status: 200, code: '', outcome: await answer };
    } catch (error) {
      if (error instanceof Problem)
        return {
          status:
            error.code.startsWith('store.') || error.code.startsWith('ingest.') || error.code.startsWith('server.')
              ? 503
              : 400,
          code: error.code,
        };
      throw error;
    }
  }
}
