/**
 * Follows the metered quotas of accounts that decide nothing at the moment, so that they are told of thresholds too:
 * usage moves without anybody asking, and a level by time alone.
 */
import type { Clock } from '../domain/environment.ts';
import type { LimitBook } from '../domain/limit/catalogue.ts';
import type { Instant } from '../domain/window.ts';
import { standingOf } from './ask.ts';
import type { Gate } from './engine/types.ts';
import { Loop } from './loop.ts';
import type { MeteredFeed } from './ports.ts';

export interface WatchDeps {
  book: () => LimitBook & { allAccounts(): Iterable<{ id: string }> };
  /** Meters that metered limits are on (see watchedMeters): where there is none, nothing is looked for. */
  watched: () => ReadonlySet<string>;
  feed: Pick<MeteredFeed, 'ensure'>;
  clock: Clock;
  /** Lets others in: accounts are many, and what holds for each is worked out in one go. */
  breathe: () => Promise<void>;
  report(event: string, detail: Record<string, unknown>): void;
}

/** Shorter than the time after which the feed lets a counter go. */
const ROUND_MS = 10 * 60_000;
/** Counters that are asked for together. */
const TOGETHER = 500;
/** Accounts in one go: 31 us each, so 8 ms. 100,000 at once held the loop for 3 s. */
const ACCOUNTS_A_BREATH = 250;

export class Watch {
  private readonly deps: WatchDeps;
  private readonly loop: Loop;

  constructor(deps: WatchDeps) {
    const { clock, report } = deps;
    this.deps = deps;
    this.loop = new Loop({
      clock,
      paceMs: ROUND_MS,
      work: () => this.round(),
      failed: (error) => report('limit.watch_failed', { error: String(error) }),
    });
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** One round over all accounts. Limits that bear on some actions only are followed when one of those is asked for. */
  async round(): Promise<void> {
    const { feed, clock, breathe, book, watched } = this.deps;
    if (watched().size === 0) return;
    let gates: Gate[] = [];
    let looked = 0;
    for (const { id } of book().allAccounts()) {
      gates.push(...this.gatesOf(id, clock.now()));
      if (gates.length >= TOGETHER) {
        await feed.ensure(gates, clock.now());
        gates = [];
      }
      if (++looked % ACCOUNTS_A_BREATH !== 0) continue;
      await breathe();
      if (this.loop.signal.aborted) return;
    }
    await feed.ensure(gates, clock.now());
  }

  /** By the book as it is now: a round over many accounts lasts, and definitions change meanwhile. */
  private gatesOf(account: string, now: Instant): Gate[] {
    const ask = { account, action: '', meter: '', resource: '', dimensions: {} };
    const { gates } = standingOf(this.deps.book(), ask, now);
    return gates.filter(({ limit }) => limit.feed === 'metered' && limit.thresholds.length > 0);
  }
}
