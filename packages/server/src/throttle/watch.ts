/**
 * Follows the metered quotas of accounts that decide nothing at the moment, so that they are told of thresholds too:
 * usage moves without anybody asking, and a level by time alone.
 */
import type { Clock } from '../domain/environment.ts';
import type { LimitBook } from '../domain/limit/catalogue.ts';
import type { Instant } from '../domain/window.ts';
import { standingOf } from './ask.ts';
import type { Gate, MeteredFeed } from './types.ts';

export interface WatchDeps {
  book: () => LimitBook & { allAccounts(): Iterable<{ id: string }> };
  feed: Pick<MeteredFeed, 'ensure'>;
  clock: Clock;
  report(event: string, detail: Record<string, unknown>): void;
}

/** Shorter than the time after which the feed lets a counter go. */
const ROUND_MS = 10 * 60_000;
/** Counters that are asked for together. */
const TOGETHER = 500;

export class Watch {
  private readonly deps: WatchDeps;
  private readonly stopping = new AbortController();
  private loop: Promise<void> | null = null;

  constructor(deps: WatchDeps) {
    this.deps = deps;
  }

  start(): void {
    this.loop ??= this.repeat(this.stopping.signal);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  /** One round over all accounts. Limits that bear on some actions only are followed when one of those is asked for. */
  async round(): Promise<void> {
    const { feed, clock } = this.deps;
    const now = clock.now();
    let gates: Gate[] = [];
    for (const gate of this.gates(now)) {
      gates.push(gate);
      if (gates.length < TOGETHER) continue;
      await feed.ensure(gates, now);
      gates = [];
      if (this.stopping.signal.aborted) return;
    }
    await feed.ensure(gates, now);
  }

  private *gates(now: Instant): Iterable<Gate> {
    const book = this.deps.book();
    for (const { id: account } of book.allAccounts()) {
      const ask = { account, action: '', meter: '', resource: '', dimensions: {} };
      for (const gate of standingOf(book, ask, now).gates)
        if (gate.limit.feed === 'metered' && gate.limit.thresholds.length > 0) yield gate;
    }
  }

  private async repeat(signal: AbortSignal): Promise<void> {
    const { clock, report } = this.deps;
    while (!signal.aborted) {
      await this.round().catch((error: unknown) => report('limit.watch_failed', { error: String(error) }));
      await clock.sleep(ROUND_MS, signal).catch(() => undefined);
    }
  }
}
