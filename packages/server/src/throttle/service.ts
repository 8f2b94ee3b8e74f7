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
import { Engine } from './engine/engine.ts';
import { Feed } from './feed.ts';
import { Leases } from './leases.ts';
import { Loop } from './loop.ts';
import { RateLimits } from './rls/answer.ts';
import { Domains } from './rls/domains.ts';
import { Converge, type ConvergeDeps } from './shared/converge.ts';
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
  /** A Redis that servers share; left away: the control store, and no sums. */
  shared?: ConvergeDeps['grants'] & NonNullable<ConvergeDeps['sums']>;
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
  private readonly grants: Converge;
  private readonly watch: Watch;
  private readonly sweeping: Loop;

  constructor(deps: ServiceDeps) {
    const { book, clock, control, usage, registry, receipts, report, append, random, record } = deps;
    this.deps = deps;
    // Of its own for every life: which names fall to one counter nobody can work out beforehand.
    const engine = new Engine({ seed: Math.floor(random.fraction() * 2 ** 32) });
    this.engine = engine;
    const life = random.hex(4);
    const watched = watching(book);
    this.aftermath = new Aftermath({ control, engine, clock, book, append, report, life, record });
    const { shared } = deps;
    this.grants = new Converge({
      engine,
      clock,
      grants: shared ?? control,
      sums: shared ?? null,
      holder: random.hex(8),
      report,
    });
    this.feed = new Feed({
      engine,
      usage,
      control,
      book: book(),
      watched,
      registry,
      receipts,
      clock,
      report,
      moved: this.aftermath.moved,
    });
    const { decided } = this.aftermath;
    this.throttle = new Throttle({ book, clock, engine, feed: this.feed, grants: this.grants, decided });
    this.leases = new Leases({ throttle: this.throttle, engine, clock, makeId: () => random.hex(16), decided });
    this.watch = new Watch({ book, watched, feed: this.feed, clock, breathe, report });
    this.sweeping = new Loop({
      clock,
      paceMs: SWEEP_MS,
      work: () => this.sweep(),
      failed: (error) => report('limit.sweep_failed', { error: String(error) }),
    });
    const domains = new Domains(book);
    this.rateLimits = new RateLimits({
      throttle: this.throttle,
      engine,
      clock,
      decided,
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
    this.sweeping.start();
    this.grants.start();
  }

  /** Returns what was granted and not used. */
  async close(): Promise<void> {
    await Promise.all([this.feed.stop(), this.sweeping.stop(), this.aftermath.stop(), this.watch.stop()]);
    await this.grants.close();
  }

  private sweep(): void {
    const now = this.deps.clock.now();
    this.engine.sweep(now);
    this.leases.sweep(now);
  }
}

/** What is due of the event loop comes first. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
