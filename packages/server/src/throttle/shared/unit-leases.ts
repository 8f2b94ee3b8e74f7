/**
 * Units of rates and of what is held at once, leased from the store that servers share, so that together they never
 * exceed a strict limit: not after kill -9 (what was leased counts as used), not with clocks that differ (the store's
 * decides, see `ends`). A chunk grows while it is used up quickly and comes back when it is not.
 */
import type { Clock } from '../../domain/environment.ts';
import type { Instant } from '../../domain/window.ts';
import type { ControlStore } from '../../store/control-store.ts';
import type { UnitLease, UnitLeaseAsk } from '../../store/unit-leases.ts';
import { sharedName } from '../engine/counter-name.ts';
import type { Engine } from '../engine/engine.ts';
import type { Gate, Prepared } from '../engine/types.ts';
import { Loop } from '../loop.ts';
import type { Grants } from '../ports.ts';
import { type Awaited, Rounds } from '../rounds.ts';
import { Held } from './held.ts';

export interface LeaseSettings {
  /** Most a decision waits for the store, ms. */
  waitMs: number;
  /** After a failure the store is left alone for this long, ms. */
  restMs: number;
  /** How often chunks that are not used up are looked at, ms. */
  tickMs: number;
}

export const leaseDefaults: LeaseSettings = { waitMs: 250, restMs: 250, tickMs: 50 };

export type LeaseStore = Pick<ControlStore, 'leaseUnits'>;

export interface UnitLeaseDeps {
  engine: Engine;
  store: LeaseStore;
  clock: Clock;
  /** This life of this server: no two have the same. */
  holder: string;
  report(event: string, detail: Record<string, unknown>): void;
  settings?: Partial<LeaseSettings>;
}

export class UnitLeases implements Grants {
  private readonly deps: UnitLeaseDeps;
  private readonly settings: LeaseSettings;
  private readonly held = new Map<string, Held>();
  private readonly byGate = new WeakMap<Gate, Held>();
  private readonly rounds: Rounds<Held>;
  private readonly loop: Loop;

  constructor(deps: UnitLeaseDeps) {
    this.deps = deps;
    this.settings = { ...leaseDefaults, ...deps.settings };
    const { clock, report } = deps;
    this.rounds = new Rounds({
      clock,
      restMs: this.settings.restMs,
      ask: (items) => this.ask(items),
      failed: (error, items) => report('leases.failed', { error: String(error), counters: items.length }),
    });
    this.loop = new Loop({
      clock,
      paceMs: this.settings.tickMs,
      work: () => this.review(),
      failed: (error) => report('leases.failed', { error: String(error) }),
    });
  }

  ensure(
    prepared: Prepared,
    cost: number,
    now: Instant,
    waitMs = this.settings.waitMs,
  ): Promise<readonly Gate[]> | null {
    let lacking: Awaited<Held>[] | null = null;
    for (let i = 0; i < prepared.gates.length; i++) {
      const gate = prepared.gates[i] as Gate;
      if (!isLeased(gate)) continue;
      const held = this.current(gate, now);
      const question = held.lacks(cost, now, this.rounds.isAsking(held));
      if (question === 'nothing') continue;
      const number = this.rounds.add(held);
      if (question === 'now') {
        lacking ??= [];
        lacking.push({ gate, item: held, question: number });
      }
    }
    this.rounds.go();
    return lacking === null ? null : this.wait(lacking, cost, now, Math.min(waitMs, this.settings.waitMs));
  }

  keepTime(prepared: Prepared, now: Instant): void {
    for (const gate of prepared.gates) if (isLeased(gate)) this.current(gate, now);
  }

  start(): void {
    this.loop.start();
  }

  /** Gives back what is not in use. What the store does not take ends by itself. */
  async close(): Promise<void> {
    await this.loop.stop();
    await this.rounds.idle();
    const now = this.deps.clock.now();
    for (const held of this.held.values()) if (held.giveBackAll(now)) this.rounds.add(held);
    this.rounds.go();
    await this.rounds.idle();
  }

  private current(gate: Gate, now: Instant): Held {
    let held = this.byGate.get(gate);
    if (held === undefined || this.held.get(held.name) !== held) {
      const name = sharedName(gate);
      held = this.held.get(name);
      if (held === undefined) {
        held = new Held(this.deps.engine, this.deps.clock, gate, name);
        this.held.set(name, held);
      }
      this.byGate.set(gate, held);
    }
    held.gate = gate;
    held.keepTime(now);
    return held;
  }

  private async wait(
    lacking: readonly Awaited<Held>[],
    cost: number,
    now: Instant,
    waitMs: number,
  ): Promise<readonly Gate[]> {
    const open = await this.rounds.answered(lacking, waitMs);
    for (const one of open) if (this.rounds.isUnsent(one)) one.item.wantsLess(cost);
    return open.filter(({ item }) => !item.admitUnseen(cost, now)).map(({ gate }) => gate);
  }

  private async ask(items: readonly Held[]): Promise<void> {
    const { clock, store, holder } = this.deps;
    const asks = items.map((held): UnitLeaseAsk => ({ ...held.asking(clock.now()), holder }));
    const before = clock.elapsed();
    const leases = await store.leaseUnits(asks);
    const now = clock.now();
    for (const [i, held] of items.entries()) held.take(asks[i] as UnitLeaseAsk, leases[i] as UnitLease, before, now);
  }

  /** Gives back what nobody needs soon, and forgets counters that are at rest. */
  review(): void {
    const now = this.deps.clock.now();
    for (const [name, held] of this.held) {
      // Another rule counts it by now, and with that another Held, if any.
      if (!this.deps.engine.shared.isStill(held.gate)) {
        this.held.delete(name);
        continue;
      }
      held.keepTime(now);
      if (held.giveBackUnused(now)) this.rounds.add(held);
      else if (held.isAtRest(now) && !this.rounds.isAsking(held)) {
        held.clear(now);
        this.held.delete(name);
      }
    }
    this.rounds.go();
  }
}

const isLeased = ({ limit }: Gate): boolean =>
  limit.sharing === 'strict' && limit.rule.kind !== 'quota' && limit.hard && !limit.shadow;
