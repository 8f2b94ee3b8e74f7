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
import type { Engine } from './engine/engine.ts';
import type { Gate, Prepared } from './engine/types.ts';
import type { Grants } from './ports.ts';

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
interface Held extends Interval {
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
  /** Questions sent and answered: who waits knows by them whether his was among them. */
  sent: number;
  answered: number;
}

interface Lacking {
  /** Of who asks: another may ask about the same counter meanwhile. */
  gate: Gate;
  held: Held;
  /** The question that asks for it. */
  question: number;
}

interface Asked {
  held: Held;
  ask: GrantAsk;
  /** It takes what was admitted unseen, and nothing of what is wanted. */
  paysDebt: boolean;
}

const CHUNKS = 100;
const ASKS_AT_ONCE = 1000;
const GONE_AFTER_MS = 86_400_000;

export class DurableGrants implements Grants {
  private readonly deps: GrantDeps;
  private readonly settings: GrantSettings;
  private readonly held = new Map<string, Held>();
  private readonly byGate = new WeakMap<Gate, Held>();
  private readonly waiting = new Set<Held>();
  private flight: Promise<void> | null = null;
  private restUntil = 0;
  private forgotAt = Number.NEGATIVE_INFINITY;

  constructor(deps: GrantDeps) {
    this.deps = deps;
    this.settings = { ...grantDefaults, ...deps.settings };
  }

  ensure(
    prepared: Prepared,
    cost: number,
    now: Instant,
    waitMs = this.settings.waitMs,
  ): Promise<readonly Gate[]> | null {
    let lacking: Lacking[] | null = null;
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
        lacking.push({ gate, held, question: held.sent + 1 });
        // Whoever waits is served by one answer: each adds what it costs.
        this.want(held, Math.max(chunk, held.want + cost));
      } else if (room < chunk / 2 && remaining > room && held.sent === held.answered) this.want(held, chunk);
    }
    if (this.waiting.size > 0) this.ask();
    return lacking === null ? null : this.wait(lacking, cost, now, Math.min(waitMs, this.settings.waitMs));
  }

  /** Returns what is unused. What the store does not take stays granted: too much is refused then, never admitted. */
  async close(): Promise<void> {
    await this.flight;
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
    const name = nameOf(gate);
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

  private want(held: Held, units: number): void {
    held.want = Math.max(held.want, units);
    this.waiting.add(held);
  }

  /** Those whose grant does not cover the cost in time, after their fail modes have had their say. */
  private async wait(
    lacking: readonly Lacking[],
    cost: number,
    now: Instant,
    waitMs: number,
  ): Promise<readonly Gate[]> {
    const { clock } = this.deps;
    const over = new AbortController();
    const deadline = clock.sleep(waitMs, over.signal).catch(() => undefined);
    const isOpen = ({ held, question }: Lacking): boolean => held.answered < question;
    let inTime = true;
    while (inTime && this.flight !== null && lacking.some(isOpen))
      inTime = await Promise.race([this.flight.then(() => true), deadline.then(() => false)]);
    over.abort();
    const unseen = lacking.filter((one) => isOpen(one) && !this.admitUnseen(one.held, cost, now));
    return unseen.map(({ gate }) => gate);
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

  /** One question at a time, for all that waits: while it is on its way the next ones gather. */
  private ask(): void {
    if (this.flight !== null || this.deps.clock.elapsed() < this.restUntil) return;
    this.flight = this.askAll()
      .catch((error: unknown) => this.failed(error))
      .finally(() => {
        this.flight = null;
        if (this.waiting.size > 0) this.ask();
      });
  }

  private async askAll(): Promise<void> {
    const { store, clock, report } = this.deps;
    const asked = [...this.waiting].slice(0, ASKS_AT_ONCE).map(askOf);
    for (const one of asked) this.sending(one);
    const grants = await store.takeGrants(asked.map(({ ask }) => ask)).catch((error: unknown) => {
      for (const one of asked) this.unsent(one);
      throw error;
    });
    const now = clock.now();
    for (const [i, one] of asked.entries()) this.take(one, grants[i] as Grant, now);
    await this.forget(now).catch((error: unknown) => report('grants.not_forgotten', { error: String(error) }));
  }

  private failed(error: unknown): void {
    const { clock, report } = this.deps;
    this.restUntil = clock.elapsed() + this.settings.restMs;
    report('grants.failed', { error: String(error), owed: this.owed() });
  }

  /** What is owed is asked for alone, and what is wanted in the next question. */
  private sending({ held, paysDebt }: Asked): void {
    if (paysDebt) return;
    this.waiting.delete(held);
    held.want = 0;
    held.sent++;
  }

  private unsent({ held, ask, paysDebt }: Asked): void {
    if (paysDebt) return;
    held.sent--;
    this.want(held, held.want + ask.want);
  }

  private take({ held, paysDebt }: Asked, { granted, taken }: Grant, now: Instant): void {
    const use = this.ownUse(held, now);
    held.askedAt = this.deps.clock.elapsed();
    if (paysDebt) held.owed -= Math.min(held.owed, granted);
    else held.answered = held.sent;
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

const nameOf = ({ limit, account, subject }: Gate): string => JSON.stringify([limit.key, account, subject]);

/** What is owed was admitted: it is taken whatever the amount says, before anything new is asked for. */
function askOf(held: Held): Asked {
  const { gate, name, from, to, want, owed } = held;
  const counter = { tenant: gate.account, counter: name, from, to };
  return owed > 0
    ? { held, paysDebt: true, ask: { ...counter, want: owed, amount: AMOUNT_MAX } }
    : { held, paysDebt: false, ask: { ...counter, want, amount: amountOf(gate) } };
}
