/** What the feed works with, and how patient it is. */
import type { ControlFact } from '../domain/control-fact.ts';
import type { Clock } from '../domain/environment.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Meter } from '../domain/meter.ts';
import type { Series } from '../domain/series.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { FactFilter } from '../store/control-store.ts';
import type { DecisionEngine, Gate } from './engine/types.ts';
import type { UsageBaseDeps } from './usage-base.ts';
import type { Owners } from './usage-fact.ts';

export interface FeedSettings {
  /** How long a decision waits for usage that is not known yet, ms. */
  waitMs: number;
  /** Between two rounds of background questions, ms. */
  paceMs: number;
  /** After a failure the stores are left alone for this long, and decisions do not wait, ms. */
  restMs: number;
  /** Levels change by time alone: asked again this often, ms. */
  levelMs: number;
  /** A counter that no decision needed for this long is followed no more, ms. */
  idleMs: number;
  /** Counters of one round. */
  roundSize: number;
  /** Counters followed at most; beyond it a new one is unknown. */
  counters: number;
}

export const feedDefaults: FeedSettings = {
  waitMs: 250,
  paceMs: 250,
  restMs: 1000,
  levelMs: 60_000,
  idleMs: 15 * 60_000,
  roundSize: 500,
  counters: 200_000,
};

export interface FeedDeps {
  engine: Pick<DecisionEngine, 'setUsed'> & { period(gate: Gate, now: Instant): Interval };
  usage: UsageBaseDeps['usage'];
  control: UsageBaseDeps['control'] & {
    facts(after: Receipt, limit: number, filter?: FactFilter): Promise<ControlFact[]>;
  };
  book: Owners & {
    readonly at: Receipt;
    meter(key: string): Meter | undefined;
    account(id: string): { parent: string | null } | undefined;
  };
  /** Meters that metered limits are on (see watchedMeters): readings of others are passed by. */
  watched: () => ReadonlySet<string>;
  registry: { byId(id: number): Series | undefined };
  receipts: { frontier(): Receipt };
  clock: Clock;
  report(event: string, detail: Record<string, unknown>): void;
  /** Told whenever a counter stands elsewhere. */
  moved?: (gate: Gate, used: number, now: Instant) => void;
  settings?: Partial<FeedSettings>;
}

/** Control facts that change what was used, whose it was, or which meters are told of from now on. */
export const CHANGING = [
  'owner',
  'void',
  'set',
  'decision',
  'quarantine',
  'unobserved',
  'meter',
  'account',
  'plan',
  'limit',
] as const;
