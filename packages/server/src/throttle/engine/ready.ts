/** Gates with their counters found. */
import { LimitError } from '../../domain/limit/limit-error.ts';
import type { Bearing } from './bearing.ts';
import type { Gate, Prepared } from './types.ts';

/**
 * As few objects as can be: with a hundred thousand of these prepared, each object that a decision reads is a cache miss,
 * and those are most of its time. So slots and tags are one array, and bearings one that others share.
 */
export class Ready implements Prepared {
  readonly bearings: readonly Bearing[];
  /** Slot and tag of gate i at 2 i and 2 i + 1. */
  readonly places: number[];
  /** Whether two gates have one counter. */
  repeats: boolean;
  readonly gates: readonly Gate[];

  /** Throws LimitError `limit.rule`: one counter cannot be counted by two rules at once. */
  constructor(gates: readonly Gate[], bearings: readonly Bearing[], places: number[]) {
    this.bearings = bearings;
    this.places = places;
    this.repeats = hasRepeats(places);
    this.gates = gates;
    if (this.repeats) this.checkNames();
  }

  slot(i: number): number {
    return this.places[2 * i] as number;
  }

  tag(i: number): number {
    return this.places[2 * i + 1] as number;
  }

  moved(i: number, slot: number, tag: number): void {
    this.places[2 * i] = slot;
    this.places[2 * i + 1] = tag;
    this.repeats = hasRepeats(this.places);
  }

  where(holds: (gate: number) => boolean): number[] {
    return this.gates.flatMap((_, i) => (holds(i) ? [i] : []));
  }

  private checkNames(): void {
    for (const [i, { limit, account }] of this.gates.entries()) {
      const others = this.bearings.filter((_, j) => this.slot(j) === this.slot(i));
      if (others.every(({ shape }) => shape === this.bearings[i]?.shape)) continue;
      const of = account === '' ? 'the installation' : account;
      throw new LimitError('limit.rule', `two limits ${limit.key} of ${of}: name them apart`);
    }
  }
}

function hasRepeats(places: readonly number[]): boolean {
  for (let i = 2; i < places.length; i += 2) {
    for (let j = 0; j < i; j += 2) if (places[i] === places[j]) return true;
  }
  return false;
}
