/**
 * Keeps metered quotas at what the meters show: usage as of a frontier from the usage query, and what was committed since,
 * folded in memory. Nothing is stored: after a restart the usage is asked again, because the facts are the truth. When
 * a run has closed windows, or a correction came, every counter in use is asked for again in the background and replaced.
 */
import type { CommittedBatch } from '../domain/committed.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import type { Gate } from './engine/types.ts';
import { CHANGING, type FeedDeps, type FeedSettings, feedDefaults } from './feed-settings.ts';
import { Followed } from './followed.ts';
import { FollowedIndex } from './followed-index.ts';
import { Loop } from './loop.ts';
import type { MeteredFeed } from './ports.ts';
import { RecentFacts } from './recent-facts.ts';
import { askBases } from './usage-base.ts';
import { factsOf, type UsageFact } from './usage-fact.ts';
import { addsUp, usageText, wholeUnits } from './usage-scope.ts';

export class Feed implements MeteredFeed {
  private readonly deps: FeedDeps;
  private readonly settings: FeedSettings;
  private readonly byText = new Map<string, Followed>();
  private readonly byGate = new WeakMap<Gate, Followed>();
  private readonly index: FollowedIndex;
  private readonly recent = new RecentFacts();
  /** To be asked for: at once, because something came that does not add up, and because the job went on. */
  private readonly urgent = new Set<Followed>();
  private readonly dirty = new Set<Followed>();
  private readonly stale = new Set<Followed>();
  private readonly loop: Loop;
  private pumping = false;
  private restUntil = 0;
  private progress = '';
  private controlAt: Receipt;
  private levelsAt = 0;
  /** Runs have accounted for all facts up to here. */
  private records: Receipt = 0;
  private askedRounds = 0;

  constructor(deps: FeedDeps) {
    this.deps = deps;
    this.settings = { ...feedDefaults, ...deps.settings };
    this.index = new FollowedIndex((id) => deps.book.account(id)?.parent ?? null);
    this.controlAt = deps.book.at;
    this.loop = new Loop({
      clock: deps.clock,
      paceMs: this.settings.paceMs,
      work: () => this.step(),
      failed: (error) => this.failed(error),
    });
  }

  /** Begins to look after its counters in the background. */
  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  stats(): { counters: number; waiting: number; rounds: number } {
    return {
      counters: this.byText.size,
      waiting: this.urgent.size + this.dirty.size + this.stale.size,
      rounds: this.askedRounds,
    };
  }

  ensure(
    gates: readonly Gate[],
    now: Instant,
    cost = 1,
    waitMs = this.settings.waitMs,
  ): Promise<readonly Gate[]> | null {
    let missing: Gate[] | null = null;
    for (const gate of gates) {
      if (gate.limit.feed !== 'metered' || this.isAtHand(gate, now)) continue;
      missing ??= [];
      missing.push(gate);
    }
    return missing === null ? null : this.load(missing, now, cost, waitMs);
  }

  /** A committed group; to be called in order, before its senders are answered. */
  readonly committed = (batch: CommittedBatch): void => {
    const { book, clock, receipts } = this.deps;
    const now = clock.now();
    const touched = new Set<Followed>();
    for (const fact of factsOf(batch, (id) => this.seriesOf(id), book, now)) {
      this.recent.add(fact);
      for (const counter of this.index.of(fact)) {
        touched.add(counter);
        if (fact.amount === null) this.dirty.add(counter);
        else counter.add(fact);
      }
    }
    for (const counter of touched) this.show(counter, now);
    this.recent.trim(receipts.frontier(), this.records);
  };

  /** One round of what the background does. Rejects when the stores do not answer. */
  async step(): Promise<void> {
    const { clock } = this.deps;
    const now = clock.now();
    if (clock.elapsed() < this.restUntil) return;
    await this.notice(now);
    this.forgetIdle(now);
    for (const queue of [this.urgent, this.dirty, this.stale]) {
      if ((await this.ask(queue)) > 0) return;
    }
  }

  /** Of a watched meter only. */
  private seriesOf(id: number): Series | undefined {
    const { registry, watched } = this.deps;
    const series = registry.byId(id);
    return series !== undefined && watched().has(series.meter) ? series : undefined;
  }

  private failed(error: unknown): void {
    this.deps.report('feed.failed', { error: String(error) });
  }

  private isAtHand(gate: Gate, now: Instant): boolean {
    const known = this.byGate.get(gate);
    if (known === undefined || known.isGone || now >= known.to) return this.follow(gate, now)?.isReady === true;
    known.usedAt = now;
    return known.isReady;
  }

  /** Null: no room. */
  private follow(gate: Gate, now: Instant): Followed | null {
    let counter = this.byText.get(usageText(gate));
    if (counter === undefined) {
      if (this.byText.size >= this.settings.counters) return null;
      counter = new Followed(gate, this.deps.engine.period(gate, now), now);
      this.keep(counter);
    } else if (now >= counter.to) counter = this.roll(counter, now);
    // One that says the same stays: what was told of it is known by it.
    if (counter.gate.limit.version !== gate.limit.version) counter.gate = gate;
    counter.usedAt = now;
    this.byGate.set(gate, counter);
    this.show(counter, now);
    return counter;
  }

  private roll(counter: Followed, now: Instant): Followed {
    const next = counter.next(this.deps.engine.period(counter.gate, now), now);
    this.forget(counter);
    this.keep(next);
    return next;
  }

  private keep(counter: Followed): void {
    this.byText.set(counter.text, counter);
    this.index.add(counter);
    (counter.isReady ? this.dirty : this.urgent).add(counter);
  }

  private forget(counter: Followed): void {
    counter.isGone = true;
    this.byText.delete(counter.text);
    this.index.remove(counter);
    this.unqueue(counter);
  }

  private unqueue(counter: Followed): void {
    for (const queue of [this.urgent, this.dirty, this.stale]) queue.delete(counter);
  }

  private forgetIdle(now: Instant): void {
    for (const counter of this.byText.values())
      if (now - counter.usedAt > this.settings.idleMs && !counter.isAsked) this.forget(counter);
  }

  private async load(missing: readonly Gate[], now: Instant, cost: number, waitMs: number): Promise<readonly Gate[]> {
    const { clock } = this.deps;
    const counters = missing.flatMap((gate) => this.byGate.get(gate) ?? []);
    if (counters.length > 0 && clock.elapsed() >= this.restUntil) {
      const over = new AbortController();
      const all = Promise.all(counters.map((c) => (c.isReady ? null : new Promise<void>((r) => c.waiting.push(r)))));
      void this.pump();
      const late = clock.sleep(Math.min(waitMs, this.settings.waitMs), over.signal).catch(() => undefined);
      const isLate = await Promise.race([all.then(() => false), late.then(() => true)]);
      // That it is late for who is in a hurry says nothing about the stores.
      if (isLate && waitMs >= this.settings.waitMs) this.rest();
      over.abort();
    }
    return missing.filter((gate) => !this.isAtHand(gate, now) && !this.isWithinBound(gate, cost));
  }

  /** Nobody waits for a while: the answer that is under way still counts when it comes. */
  private rest(): void {
    if (this.pumping) this.restUntil = this.deps.clock.elapsed() + this.settings.restMs;
  }

  private isWithinBound(gate: Gate, cost: number): boolean {
    const { fail } = gate.limit;
    const counter = this.byGate.get(gate);
    if (fail.mode !== 'bounded' || counter === undefined || counter.unseen + cost > fail.amount) return false;
    counter.unseen += cost;
    return true;
  }

  private async pump(): Promise<void> {
    if (this.pumping) return;
    this.pumping = true;
    try {
      // What else this turn of the loop wants is asked for together.
      await Promise.resolve();
      while (!this.loop.signal.aborted && (await this.ask(this.urgent)) > 0);
    } catch (error) {
      this.failed(error);
    } finally {
      this.pumping = false;
    }
  }

  /** Counters asked for. Those an answer is under way for stay in the queue: something came after it was asked. */
  private async ask(queue: Set<Followed>): Promise<number> {
    const { usage, control, book, clock, receipts } = this.deps;
    const round: Followed[] = [];
    for (const counter of queue) {
      if (round.length >= this.settings.roundSize) break;
      if (!counter.isAsked) round.push(counter);
    }
    for (const counter of round) this.unqueue(counter);
    if (round.length === 0) return 0;
    this.begin(round, this.recent.above(receipts.frontier()));
    try {
      const bases = await askBases({ usage, control, meter: (key) => book.meter(key) }, round);
      this.askedRounds++;
      bases.forEach((base, i) => {
        const counter = round[i] as Followed;
        // What was committed above the frontier of the answer is no longer at hand.
        if (this.recent.lostTo > base.reach.frontier) throw new Error('too many facts at once');
        counter.answered(base);
        this.show(counter, clock.now());
      });
    } catch (error) {
      this.restUntil = clock.elapsed() + this.settings.restMs;
      for (const counter of round) {
        if (counter.isAsked) counter.failed();
        if (!counter.isGone) (counter.isReady ? this.dirty : this.urgent).add(counter);
      }
      throw error;
    }
    return round.length;
  }

  private begin(round: readonly Followed[], recent: Iterable<UsageFact>): void {
    const facts = new Map<Followed, UsageFact[]>(round.map((counter) => [counter, []]));
    for (const fact of recent) for (const counter of this.index.of(fact)) facts.get(counter)?.push(fact);
    for (const [counter, own] of facts) counter.ask(own);
  }

  /** Hands what is known to the engine. */
  private show(counter: Followed, now: Instant): void {
    if (!counter.isReady || counter.isGone) return;
    if (now >= counter.to) {
      this.show(this.roll(counter, now), now);
      return;
    }
    const used = wholeUnits(counter.used);
    this.deps.engine.setUsed(counter.gate, used, now);
    this.deps.moved?.(counter.gate, used, now);
  }

  /** Looks whether runs, corrections or time alone have changed what was used. */
  private async notice(now: Instant): Promise<void> {
    const { control, book } = this.deps;
    const rows = await control.progress();
    const progress = JSON.stringify(rows);
    const at = book.at;
    const changes = at === this.controlAt ? [] : await control.facts(this.controlAt, 1, { kinds: CHANGING, upTo: at });
    if (progress !== this.progress || changes.length > 0)
      for (const counter of this.byText.values()) {
        this.stale.add(counter);
        counter.isCorrected ||= changes.length > 0;
      }
    this.progress = progress;
    this.controlAt = at;
    this.records = rows.length === 0 ? 0 : Math.min(...rows.map((r) => r.frontier));
    if (now - this.levelsAt < this.settings.levelMs && now >= this.levelsAt) return;
    this.levelsAt = now;
    for (const counter of this.byText.values())
      if (!counter.meters.every((key) => addsUp(book.meter(key)))) this.stale.add(counter);
  }
}
