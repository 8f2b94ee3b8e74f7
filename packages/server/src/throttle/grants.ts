/**
 * Durable grants ahead of what decided quotas admit, so that a strict limit is never exceeded: not after kill -9 (what was
 * granted counts as used), not by several servers on one store (a grant is atomic among them). A chunk is a hundredth
 * of the amount; a clean stop returns what is unused. While the store does not answer, the limit's fail mode decides:
 * what was admitted then is owed, and taken as soon as the store answers again.
 */

import type { Clock } from '../domain/environment.ts';
import { AMOUNT_MAX } from '../domain/limit/limit.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { ControlStore, Grant, GrantAsk } from '../store/control-store.ts';
import { sharedName } from './engine/counter-name.ts';
import type { Engine } from './engine/engine.ts';
import type { Gate, Prepared } from './engine/types.ts';
import type { Grants } from './ports.ts';
import { type Asked, type Awaited, Rounds } from './rounds.ts';

/** PostgreSQL of the control store, or a Redis that several servers share. */
export type GrantStore = Pick<ControlStore, 'takeGrants' | 'returnGrants' | 'forgetGrants'>;

export interface GrantSettings {
  /** Most a decision waits for the store, ms. */
  waitMs: number;
  /** After a failure the store is left alone for this long, and nobody waits, ms. */
  restMs: number;
  /** A limit that others seem to have used up is asked for again after this long, ms. */
  refreshMs: number;
}

export const grantDefaults: GrantSettings = { waitMs: 250, restMs: 1000, refreshMs: 1000 };

export interface GrantDeps {
  engine: Engine;
  store: GrantStore;
  clock: Clock;
  report(event: string, detail: Record<string, unknown>): void;
  settings?: Partial<GrantSettings>;
}

/** What this server holds of one counter in one period. */
interface Held extends Interval, Asked {
  gate: Gate;
  name: string;
  granted: number;
  /** Taken by other servers, and by earlier lives of this one: counts as used. */
  others: number;
  /** Admitted without a grant while the store did not answer. */
  owed: number;
  askedAt: number;
  /** Units that the next question is to ask for. */
  want: number;
}

const CHUNKS = 100;
const GONE_AFTER_MS = 86_400_000;

export class DurableGrants implements Grants {
  private readonly deps: GrantDeps;
  private readonly settings: GrantSettings;
  private readonly held = new Map<string, Held>();
  private readonly byGate = new WeakMap<Gate, Held>();
  private readonly rounds: Rounds<Held>;
  private forgotAt = Number.NEGATIVE_INFINITY;

  constructor(deps: GrantDeps) {
    this.deps = deps;
    this.settings = { ...grantDefaults, ...deps.settings };
    this.rounds = new Rounds({
      clock: deps.clock,
      restMs: this.settings.restMs,
      ask: (items) => this.ask(items),
      failed: (error) => deps.report('grants.failed', { error: String(error), owed: this.owed() }),
    });
  }

  ensure(
    prepared: Prepared,
    cost: number,
    now: Instant,
    waitMs = this.settings.waitMs,
  ): Promise<readonly Gate[]> | null {
    let lacking: Awaited<Held>[] | null = null;
    let states: ReturnType<Engine['status']> | null = null;
    for (let i = 0; i < prepared.gates.length; i++) {
      const gate = prepared.gates[i] as Gate;
      if (!isStrict(gate)) continue;
      const held = this.holding(gate, now);
      states ??= this.deps.engine.status(prepared, now);
      const { used, remaining } = states[i] as { used: number; remaining: number };
      const room = held.others + held.granted + held.owed - used;
      const chunk = Math.max(cost, Math.ceil(amountOf(gate) / CHUNKS));
      if (remaining < cost ? this.isStale(held) : room < cost) {
        lacking ??= [];
        // Whoever waits is served by one answer: each adds what it costs.
        lacking.push({ gate, item: held, question: this.want(held, Math.max(chunk, held.want + cost)) });
      } else if (room < chunk / 2 && remaining > room && !this.rounds.isAsking(held)) this.want(held, chunk);
    }
    this.rounds.go();
    return lacking === null ? null : this.wait(lacking, cost, now, Math.min(waitMs, this.settings.waitMs));
  }

  /** Returns what is unused. What the store does not take stays granted: too much is refused then, never admitted. */
  async close(): Promise<void> {
    await this.rounds.idle();
    const now = this.deps.clock.now();
    const items: { counter: string; from: Instant; units: number }[] = [];
    for (const held of this.held.values()) {
      if (now >= held.to) continue;
      const units = held.granted + held.owed - this.ownUse(held, now);
      if (units > 0) items.push({ counter: held.name, from: held.from, units: Math.min(units, held.granted) });
    }
    this.held.clear();
    await this.deps.store.returnGrants(items);
  }

  /** Units admitted without a grant, to be taken yet. */
  owed(): number {
    let sum = 0;
    for (const held of this.held.values()) sum += held.owed;
    return sum;
  }

  private holding(gate: Gate, now: Instant): Held {
    const known = this.byGate.get(gate);
    if (known !== undefined && now < known.to && this.held.get(known.name) === known) return known;
    const { from, to } = this.deps.engine.period(gate, now);
    const name = sharedName(gate);
    let held = this.held.get(name);
    if (held === undefined || held.from !== from) {
      held = {
        gate,
        name,
        from,
        to,
        granted: 0,
        others: 0,
        owed: 0,
        askedAt: Number.NEGATIVE_INFINITY,
        want: 0,
        sent: 0,
        answered: 0,
      };
      this.held.set(name, held);
    }
    held.gate = gate;
    this.byGate.set(gate, held);
    return held;
  }

  private isStale(held: Held): boolean {
    return this.deps.clock.elapsed() - held.askedAt >= this.settings.refreshMs;
  }

  /** The number of the question that will ask for it. */
  private want(held: Held, units: number): number {
    held.want = Math.max(held.want, units);
    return this.rounds.add(held);
  }

  /** Those whose grant does not cover the cost in time, after their fail modes have had their say. */
  private async wait(
    lacking: readonly Awaited<Held>[],
    cost: number,
    now: Instant,
    waitMs: number,
  ): Promise<readonly Gate[]> {
    const open = await this.rounds.answered(lacking, waitMs);
    // Who goes away unanswered wants nothing any more: a server would hold all that was refused while the store was away.
    for (const one of open) if (this.rounds.isUnsent(one)) one.item.want = Math.max(0, one.item.want - cost);
    return open.filter(({ item }) => !this.admitUnseen(item, cost, now)).map(({ gate }) => gate);
  }

  /** Open, and bounded up to its bound: what is admitted is owed. */
  private admitUnseen(held: Held, cost: number, now: Instant): boolean {
    const { fail } = held.gate.limit;
    const bound = fail.mode === 'open' ? AMOUNT_MAX : fail.mode === 'bounded' ? fail.amount : 0;
    const lacks = this.ownUse(held, now) + cost - held.granted - held.owed;
    if (lacks <= 0) return true;
    if (held.owed + lacks > bound) return false;
    held.owed += lacks;
    this.show(held, now, this.ownUse(held, now));
    return true;
  }

  private async ask(items: readonly Held[]): Promise<void> {
    const { store, clock, report } = this.deps;
    const asks = items.map((held) => askFor(held, held.want, amountOf(held.gate)));
    for (const held of items) held.want = 0;
    try {
      await this.payDebts(items.filter(({ owed }) => owed > 0));
      const grants = await store.takeGrants(asks);
      for (const [i, held] of items.entries()) this.take(held, grants[i] as Grant);
    } catch (error) {
      // Those that were admitted unseen are owed; the others ask again, if they come again.
      for (const held of items) this.rounds.add(held);
      throw error;
    }
    await this.forget(clock.now()).catch((error: unknown) => report('grants.not_forgotten', { error: String(error) }));
  }

  /** What is owed was admitted: it is taken whatever the amount says, before anything new is asked for. */
  private async payDebts(owing: readonly Held[]): Promise<void> {
    if (owing.length === 0) return;
    const asks = owing.map((held) => askFor(held, held.owed, AMOUNT_MAX));
    const grants = await this.deps.store.takeGrants(asks);
    for (const [i, held] of owing.entries()) {
      const grant = grants[i] as Grant;
      held.owed -= Math.min(held.owed, grant.granted);
      this.take(held, grant);
    }
  }

  private take(held: Held, { granted, taken }: Grant): void {
    const { clock } = this.deps;
    const now = clock.now();
    const use = this.ownUse(held, now);
    held.askedAt = clock.elapsed();
    held.granted += granted;
    held.others = taken - held.granted;
    if (now < held.to && this.held.get(held.name) === held) this.show(held, now, use);
  }

  private show(held: Held, now: Instant, use: number): void {
    const { engine } = this.deps;
    engine.setUsed(held.gate, Math.min(AMOUNT_MAX, held.others + use), now);
    engine.setCeiling(held.gate, Math.min(AMOUNT_MAX, held.others + held.granted + held.owed), now);
  }

  private ownUse(held: Held, now: Instant): number {
    const { engine } = this.deps;
    const used = engine.status(engine.prepare([held.gate]), now)[0]?.used ?? 0;
    return Math.max(0, used - held.others);
  }

  private async forget(now: Instant): Promise<void> {
    const { clock, store } = this.deps;
    if (clock.elapsed() - this.forgotAt < GONE_AFTER_MS / 24) return;
    this.forgotAt = clock.elapsed();
    for (const [name, held] of this.held) if (now >= held.to) this.held.delete(name);
    await store.forgetGrants(now - GONE_AFTER_MS);
  }
}

const isStrict = ({ limit }: Gate): boolean =>
  limit.rule.kind === 'quota' && limit.feed === 'decided' && limit.hard && !limit.shadow;

const amountOf = ({ limit }: Gate): number => limit.rule.amount;

const askFor = ({ gate, name, from, to }: Held, want: number, amount: number): GrantAsk => ({
  ...{ tenant: gate.account, counter: name, from, to },
  want,
  amount,
});
