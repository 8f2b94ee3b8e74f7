/** Everything that decides, put together and kept going: what a server opens and closes. */
import type { Book } from '../domain/book.ts';
import type { CommitListener } from '../domain/committed.ts';
import type { Clock, Randomness } from '../domain/environment.ts';
import { watching } from '../domain/limit/watched.ts';
import type { Ingest } from '../ingest/index.ts';
import type { ControlLog } from '../store/control-log.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Receipts } from '../store/receipts.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { Usage } from '../usage/index.ts';
import { Aftermath } from './aftermath.ts';
import type { Measured } from './decided-usage.ts';
import { Engine } from './engine.ts';
import { Feed } from './feed.ts';
import { DurableGrants, type GrantStore } from './grants.ts';
import { Leases } from './leases.ts';
import { RateLimits } from './rls/answer.ts';
import { Domains } from './rls/domains.ts';
import { Throttle } from './throttle.ts';
import { Watch } from './watch.ts';

export interface ServiceDeps {
  book: () => Book;
  control: ControlStore;
  usage: Usage;
  registry: SeriesRegistry;
  receipts: Receipts;
  clock: Clock;
  report(event: string, detail: Record<string, unknown>): void;
  /** The control store when left away. */
  grantStore?: GrantStore;
  /** Also X-RateLimit-*. */
  legacyHeaders: boolean;
  append: ControlLog['append'];
  random: Randomness;
  /** Where usage of decisions goes: the recorder of an agent that reports as DECISIONS. */
  record(measure: Measured, units: number): void;
}

/** Between two looks at counters whose time is over. */
const SWEEP_MS = 1000;

export class ThrottleService {
  readonly engine: Engine;
  readonly throttle: Throttle;
  readonly leases: Leases;
  readonly rateLimits: RateLimits;
  readonly aftermath: Aftermath;
  private readonly deps: ServiceDeps;
  private readonly feed: Feed;
  private readonly grants: DurableGrants;
  private readonly watch: Watch;
  private readonly stopping = new AbortController();
  private sweeping: Promise<void> | null = null;

  constructor(deps: ServiceDeps) {
    const {
      grantStore = deps.control,
      book,
      clock,
      control,
      usage,
      registry,
      receipts,
      report,
      append,
      random,
      record,
    } = deps;
    this.deps = deps;
    // Of its own for every life: which names fall to one counter nobody can work out beforehand.
    const engine = new Engine({ seed: Math.floor(random.fraction() * 2 ** 32) });
    this.engine = engine;
    const life = random.hex(4);
    this.aftermath = new Aftermath({ control, engine, clock, book, append, report, life, record });
    this.grants = new DurableGrants({ engine, store: grantStore, clock, report });
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
      moved: this.aftermath.moved,
    });
    const { decided } = this.aftermath;
    this.throttle = new Throttle({ book, clock, engine, feed: this.feed, grants: this.grants, decided });
    this.leases = new Leases({ throttle: this.throttle, engine, clock, makeId: () => random.hex(16), decided });
    this.watch = new Watch({ book, feed: this.feed, clock, report });
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
    this.aftermath.start();
    this.watch.start();
    this.sweeping ??= this.sweep(this.stopping.signal);
  }

  /** Returns what was granted and not used. */
  async close(): Promise<void> {
    this.stopping.abort();
    await Promise.all([this.feed.stop(), this.sweeping, this.aftermath.stop(), this.watch.stop()]);
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
