/** What this server knows of one rate that servers count together, each by itself, telling each other sums. */

import type { RateRule } from '../../domain/limit/limit.ts';
import { memoryMs, SYNC_MS, untold } from '../../domain/limit/sharing.ts';
import type { Instant } from '../../domain/window.ts';
import type { Engine } from '../engine/engine.ts';
import type { Gate } from '../engine/types.ts';
import type { Asked } from '../rounds.ts';
import type { Sum, SumAsk } from './sum-store.ts';

/** Slices that the past of a counter is kept in. */
const SLICES = 64;

export class Told implements Asked {
  sent = 0;
  answered = 0;
  gate: Gate;
  readonly name: string;
  private readonly engine: Engine;
  private readonly syncMs: number;
  /** Of what this server has admitted, ever: as much as the others were told. */
  private told = 0;
  /** Null: nothing was asked yet. */
  private known: { total: bigint; memory: string } | null = null;
  /** Told within the memory of the counter, for a store that forgets. */
  private recent: { at: number; units: number }[] = [];
  private again = 0;
  /** Promised to calls that have waited, since the last answer. */
  private promised = 0;
  private askedAt = Number.NEGATIVE_INFINITY;
  usedAt = Number.NEGATIVE_INFINITY;

  constructor(engine: Engine, gate: Gate, name: string, syncMs = SYNC_MS) {
    this.engine = engine;
    this.gate = gate;
    this.name = name;
    this.syncMs = syncMs;
  }

  /** Whether the others have to be told before a call of this cost is decided. One that is heavier than all that may be untold goes alone. */
  hasToAsk(cost: number, now: Instant): boolean {
    const { limit } = this.gate;
    const ours = this.ours(now);
    if (this.known === null) return true;
    if (!limit.hard || limit.shadow || cost === 0) return false;
    // Refused by what is known already: nothing is gained by asking.
    if (this.engine.shared.used(this.gate, now) + cost > this.capacity) return false;
    if (ours + this.promised === this.told && cost > this.most)
      this.engine.shared.allow(this.gate, this.told + cost, now);
    else if (ours + this.promised + cost > this.told + this.most) return true;
    return false;
  }

  promise(cost: number): void {
    this.promised += cost;
  }

  asking(now: Instant): SumAsk {
    const delta = this.ours(now) - this.told;
    return {
      counter: this.name,
      delta,
      again: this.again,
      keepMs: this.keepMs,
      sliceMs: this.sliceMs,
      isJoining: this.known === null,
    };
  }

  take({ delta, again }: SumAsk, { total, memory, past }: Sum, elapsed: number, now: Instant): void {
    const { shared } = this.engine;
    const { known } = this;
    if (known === null) for (const { ageMs, units } of past) shared.chargeOthers(this.gate, units, now - ageMs);
    else {
      const before = known.memory === memory ? known.total : 0n;
      const foreign = total - before - BigInt(delta);
      if (foreign > 0n) shared.chargeOthers(this.gate, Number(foreign), now);
    }
    this.again -= again;
    if (known !== null && known.memory !== memory) this.again = this.remembered(elapsed);
    if (delta > 0) this.remember(elapsed, delta);
    this.known = { total, memory };
    this.told += delta;
    this.promised = 0;
    this.askedAt = elapsed;
    shared.allow(this.gate, this.told + this.most, now);
  }

  /** Nobody answers: counts alone, by what was last known. */
  goAlone(now: Instant): void {
    this.engine.shared.allow(this.gate, 0, now);
  }

  /** Something is to be told, or the store may have forgotten what it was told. */
  isDue(elapsed: number, now: Instant): boolean {
    return (
      this.ours(now) > this.told || this.again > 0 || (this.recent.length > 0 && elapsed - this.askedAt > ASSURE_MS)
    );
  }

  isAtRest(elapsed: number, now: Instant): boolean {
    return this.ours(now) === this.told && elapsed - this.usedAt > this.keepMs;
  }

  private ours(now: Instant): number {
    const ours = this.engine.shared.ours(this.gate, now);
    if (ours >= this.told) return ours;
    // The counter was freed and made anew.
    this.told = 0;
    this.known = null;
    return ours;
  }

  private remember(elapsed: number, units: number): void {
    const last = this.recent.at(-1);
    if (last !== undefined && elapsed - last.at < this.sliceMs) last.units += units;
    else this.recent.push({ at: elapsed, units });
    this.recent = this.recent.filter(({ at }) => elapsed - at < this.keepMs + this.sliceMs);
  }

  private remembered(elapsed: number): number {
    return this.recent.reduce(
      (sum, { at, units }) => (elapsed - at < this.keepMs + this.sliceMs ? sum + units : sum),
      0,
    );
  }

  private get rule(): RateRule {
    return this.gate.limit.rule as RateRule;
  }
  private get capacity(): number {
    return this.rule.algorithm === 'bucket' ? this.rule.burst : this.rule.amount;
  }
  private get most(): number {
    return untold(this.rule, this.syncMs);
  }
  private get keepMs(): number {
    return memoryMs(this.rule);
  }
  private get sliceMs(): number {
    return Math.max(1, Math.ceil(this.keepMs / SLICES));
  }
}

const ASSURE_MS = 1000;
