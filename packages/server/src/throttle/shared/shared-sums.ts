/**
 * Rates that servers count together, each in its own memory: what one admits it tells the others within `syncMs`, by one
 * script. No server admits more than `untold` units before they are told, so all together are at most that many above the
 * limit for each server beyond the first: whoever asked last knew everything but what the others had not told.
 */
import type { Clock } from '../../domain/environment.ts';
import { SYNC_MS } from '../../domain/limit/sharing.ts';
import type { Instant } from '../../domain/window.ts';
import { sharedName } from '../engine/counter-name.ts';
import type { Engine } from '../engine/engine.ts';
import type { Gate, Prepared } from '../engine/types.ts';
import { Loop } from '../loop.ts';
import type { Grants } from '../ports.ts';
import { Rounds } from '../rounds.ts';
import type { Sum, SumAsk, SumStore } from './sum-store.ts';
import { Told } from './told.ts';

export interface SumSettings {
  syncMs: number;
  /** Most a decision waits for the store, ms. */
  waitMs: number;
  /** After a failure the store is left alone for this long, ms. */
  restMs: number;
}

export const sumDefaults: SumSettings = { syncMs: SYNC_MS, waitMs: 250, restMs: 250 };

export interface SumDeps {
  engine: Engine;
  store: SumStore;
  clock: Clock;
  report(event: string, detail: Record<string, unknown>): void;
  settings?: Partial<SumSettings>;
}

interface Lacking {
  /** Of who asks: another may ask about the same counter by a gate of its own. */
  gate: Gate;
  told: Told;
}

export class SharedSums implements Grants {
  private readonly deps: SumDeps;
  private readonly settings: SumSettings;
  private readonly told = new Map<string, Told>();
  private readonly byGate = new WeakMap<Gate, Told>();
  private readonly rounds: Rounds<Told>;
  private readonly loop: Loop;

  constructor(deps: SumDeps) {
    this.deps = deps;
    this.settings = { ...sumDefaults, ...deps.settings };
    this.rounds = new Rounds({
      clock: deps.clock,
      restMs: this.settings.restMs,
      ask: (items) => this.ask(items),
      failed: (error, items) => deps.report('sums.failed', { error: String(error), counters: items.length }),
    });
    this.loop = new Loop({
      clock: deps.clock,
      paceMs: this.settings.syncMs,
      work: () => this.exchange(),
      failed: (error) => deps.report('sums.failed', { error: String(error) }),
    });
  }

  ensure(
    prepared: Prepared,
    cost: number,
    now: Instant,
    waitMs = this.settings.waitMs,
  ): Promise<readonly Gate[]> | null {
    let lacking: Lacking[] | null = null;
    for (let i = 0; i < prepared.gates.length; i++) {
      const gate = prepared.gates[i] as Gate;
      if (!isTold(gate)) continue;
      const told = this.current(gate);
      if (!told.hasToAsk(cost, now)) continue;
      lacking ??= [];
      lacking.push({ gate, told });
    }
    return lacking === null ? null : this.wait(lacking, cost, now, Math.min(waitMs, this.settings.waitMs));
  }

  start(): void {
    this.loop.start();
  }

  /** Tells the rest. */
  async close(): Promise<void> {
    await this.loop.stop();
    await this.rounds.idle();
    this.exchange();
    await this.rounds.idle();
  }

  /** Tells what is to be told, and forgets counters that are at rest. */
  exchange(): void {
    const [now, elapsed] = [this.deps.clock.now(), this.deps.clock.elapsed()];
    for (const [name, told] of this.told) {
      // Another rule counts it by now.
      if (!this.deps.engine.shared.isStill(told.gate)) this.told.delete(name);
      else if (told.isDue(elapsed, now)) this.rounds.add(told);
      else if (told.isAtRest(elapsed, now) && !this.rounds.isAsking(told)) this.told.delete(name);
    }
    this.rounds.go();
  }

  private current(gate: Gate): Told {
    let told = this.byGate.get(gate);
    if (told === undefined || this.told.get(told.name) !== told) {
      const name = sharedName(gate);
      told = this.told.get(name) ?? new Told(this.deps.engine, gate, name, this.settings.syncMs);
      this.told.set(name, told);
      this.byGate.set(gate, told);
    }
    told.gate = gate;
    told.usedAt = this.deps.clock.elapsed();
    return told;
  }

  private async wait(
    lacking: readonly Lacking[],
    cost: number,
    now: Instant,
    waitMs: number,
  ): Promise<readonly Gate[]> {
    const deadline = this.deps.clock.elapsed() + waitMs;
    const all = await Promise.all(lacking.map((one) => this.turn(one, cost, deadline)));
    const unseen = lacking.filter(({ told }, i) => !(all[i] as boolean) && !this.admitUnseen(told, now));
    return unseen.map(({ gate }) => gate);
  }

  /** Until the call's turn has come: each question tells what was admitted, and makes room for so much more. */
  private async turn({ gate, told }: Lacking, cost: number, deadline: number): Promise<boolean> {
    const { clock } = this.deps;
    while (told.hasToAsk(cost, clock.now())) {
      const question = this.rounds.add(told);
      this.rounds.go();
      const left = deadline - clock.elapsed();
      if (left <= 0 || this.rounds.isResting()) return false;
      const open = await this.rounds.answered([{ gate, item: told, question }], left);
      if (open.length > 0) return false;
    }
    told.promise(cost);
    return true;
  }

  /** Open, and by what was last known: counts alone as long as nobody answers. A bound is none of a rate's: it is closed. */
  private admitUnseen(told: Told, now: Instant): boolean {
    const { mode } = told.gate.limit.fail;
    if (mode !== 'open' && mode !== 'last') return false;
    told.goAlone(now);
    return true;
  }

  private async ask(items: readonly Told[]): Promise<void> {
    const { clock, store } = this.deps;
    const asks = items.map((told) => told.asking(clock.now()));
    const sums = await store.exchange(asks);
    const [now, elapsed] = [clock.now(), clock.elapsed()];
    for (const [i, told] of items.entries()) told.take(asks[i] as SumAsk, sums[i] as Sum, elapsed, now);
  }
}

const isTold = ({ limit }: Gate): boolean => limit.sharing === 'async' && limit.rule.kind === 'rate';
