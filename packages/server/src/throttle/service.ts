/** Everything that decides, put together and kept going: what a server opens and closes. */
import { randomUUID } from 'node:crypto';
import type { Book } from '../domain/book.ts';
import type { CommitListener } from '../domain/committed.ts';
import type { Clock } from '../domain/environment.ts';
import { watching } from '../domain/limit/watched.ts';
import type { Ingest } from '../ingest/index.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Receipts } from '../store/receipts.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { Usage } from '../usage/index.ts';
import { Engine } from './engine.ts';
import { Feed } from './feed.ts';
import { DurableGrants } from './grants.ts';
import { Leases } from './leases.ts';
import { RateLimits } from './rls/answer.ts';
import { Domains } from './rls/domains.ts';
import { Throttle, type ThrottleParts } from './throttle.ts';

export interface ServiceDeps {
  book: () => Book;
  control: ControlStore;
  usage: Usage;
  registry: SeriesRegistry;
  receipts: Receipts;
  clock: Clock;
  report(event: string, detail: Record<string, unknown>): void;
  /** Also X-RateLimit-*. */
  legacyHeaders: boolean;
}

/** Between two looks at counters whose time is over. */
const SWEEP_MS = 1000;

export class ThrottleService {
  readonly engine = new Engine();
  readonly throttle: Throttle;
  readonly leases: Leases;
  readonly rateLimits: RateLimits;
  private readonly deps: ServiceDeps;
  private readonly feed: Feed;
  private readonly grants: DurableGrants;
  private readonly stopping = new AbortController();
  private sweeping: Promise<void> | null = null;

  constructor(deps: ServiceDeps) {
    const { engine } = this;
    const { book, clock, control, usage, registry, receipts, report } = deps;
    this.deps = deps;
    this.grants = new DurableGrants({ engine, store: control, clock, report });
    this.feed = new Feed({
      engine,
      usage,
      control,
      book: book(),
      watched: watching(book),
      registry,
      receipts,
      clock,
      report,
    });
    const decided: ThrottleParts['decided'] = () => undefined;
    this.throttle = new Throttle({ book, clock, engine, feed: this.feed, grants: this.grants, decided });
    this.leases = new Leases({ throttle: this.throttle, engine, clock, makeId: randomUUID, decided });
    const domains = new Domains(book);
    this.rateLimits = new RateLimits({
      throttle: this.throttle,
      engine,
      clock,
      domain: (name) => domains.get(name),
      at: () => book().catalogue.at,
      legacyHeaders: deps.legacyHeaders,
    });
  }

  /** A committed group; to be called in order, before its senders are answered. */
  readonly committed: CommitListener = (batch) => this.feed.committed(batch);

  /** Follows what ingest commits, and looks after its counters in the background. */
  start(ingest: Ingest): void {
    ingest.onCommitted(this.committed);
    this.feed.start();
    this.sweeping ??= this.sweep(this.stopping.signal);
  }

  /** Returns what was granted and not used. */
  async close(): Promise<void> {
    this.stopping.abort();
    await Promise.all([this.feed.stop(), this.sweeping]);
    await this.grants.close();
  }

  private async sweep(signal: AbortSignal): Promise<void> {
    const { clock } = this.deps;
    while (!signal.aborted) {
      this.engine.sweep(clock.now());
      this.leases.sweep(clock.now());
      await clock.sleep(SWEEP_MS, signal).catch(() => undefined);
    }
  }
}
