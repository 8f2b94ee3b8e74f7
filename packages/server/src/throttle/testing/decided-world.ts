/** A metered world with the whole way of a decision: facade, notices, refusals, ledger, and decisions published as usage. */
import { join } from 'node:path';
import { type HttpAnswer, openUsage, type Usage as Published } from '@tollgate/agent';
import { batchHeaders } from '@tollgate/event';
import type { LimitDefinition } from '../../domain/limit/limit.ts';
import type { Notice } from '../../store/control-store.ts';
import { Aftermath } from '../aftermath.ts';
import type { Ask } from '../ask.ts';
import { DECISIONS } from '../decided-usage.ts';
import type { Notices } from '../notices.ts';
import type { Ledger } from '../reconcile.ts';
import type { Refusals } from '../refusals.ts';
import { Throttle } from '../throttle.ts';
import { gate, quotaOf } from './gates.ts';
import type { MeteredWorld } from './metered-world.ts';

export const limit = (change: Partial<LimitDefinition> = {}): LimitDefinition => {
  const { version: _, ...definition } = gate(quotaOf(10), {
    key: 'calls',
    meter: 'units',
    thresholds: [50, 100],
  }).limit;
  return { ...definition, ...change };
};

export const ask = (change: Partial<Ask> = {}): Ask => ({
  account: 'a',
  action: '',
  meter: 'units',
  resource: '',
  dimensions: {},
  ...change,
});

export class DecidedWorld {
  readonly w: MeteredWorld;
  readonly throttle: Throttle;
  readonly aftermath: Aftermath;
  readonly sent: Notice[] = [];
  readonly published: Published;

  private constructor(w: MeteredWorld, published: Published) {
    const { engine, feed, clock, log, control } = w;
    this.w = w;
    this.published = published;
    this.aftermath = new Aftermath({
      ...{ control, engine, clock, life: 'life', append: (...what) => log.append(...what), book: () => log.book },
      report: (event) => void w.reports.push(event),
      record: (measure, units) => published.recorder.add(measure, units),
      send: async (notice) => void this.sent.push(notice),
    });
    w.feedMoved = this.aftermath.moved;
    const { decided } = this.aftermath;
    this.throttle = new Throttle({
      book: () => log.book,
      clock,
      engine,
      feed,
      grants: { ensure: () => null },
      decided,
    });
  }

  get notices(): Notices {
    return this.aftermath.notices;
  }
  get refusals(): Refusals {
    return this.aftermath.refusals;
  }
  get ledger(): Ledger {
    return this.aftermath.ledger;
  }

  static async open(w: MeteredWorld, spool = 'decisions'): Promise<DecidedWorld> {
    const meter = { version: 1, name: '', epochPath: '', startPath: '', filters: [], validFor: 0, rank: 0, of: [] };
    const rest = { ...meter, direction: 'max-of-percentiles' as const, billable: true, deleted: false };
    const units = {
      ...rest,
      kind: 'delta' as const,
      eventType: 'units',
      unit: '{unit}',
      groupBy: { region: '$.region' },
    };
    if (w.log.book.meter('units') === undefined)
      await w.append({ kind: 'meter', meter: { ...units, key: 'units', aggregation: 'sum', valuePath: '$.value' } });
    return new DecidedWorld(w, await publisherOf(w, spool));
  }

  async define(definition: LimitDefinition): Promise<void> {
    await this.w.append({ kind: 'limit', limit: definition, accounts: [], from: 0, to: null });
  }
}

/** The agent's publisher, without HTTP in between. */
function publisherOf(w: MeteredWorld, spool: string): Promise<Published> {
  const post = async (_path: string, body: string, _type: string, _signal?: AbortSignal, headers = {}) => {
    const of = (name: string): string => (headers as Record<string, string>)[name] ?? '';
    const outcome = await w.ingest.acceptEvents(Buffer.from(body), 'batch', {
      tenant: '',
      mayspeak: (source) => source === DECISIONS,
      run: of(batchHeaders.run),
      sequence: Number(of(batchHeaders.sequence)),
      source: DECISIONS,
    });
    return { status: 200, retryAfter: 0, body: JSON.stringify(outcome) } as HttpAnswer;
  };
  return openUsage({
    ...{ url: '', key: '', source: DECISIONS, spool: join(w.dir, spool) },
    network: { post },
    clock: w.clock,
  });
}
