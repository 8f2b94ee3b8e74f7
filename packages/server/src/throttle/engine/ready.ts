/** Gates with their counters found. */
import { LimitError } from '../../domain/limit/limit-error.ts';
import type { Bearing } from './bearing.ts';
import type { Gate, Prepared } from './types.ts';

/** Gates whose places stand in the object itself. */
const INSIDE = 4;

/**
 * One object where it can be: with a hundred thousand of these prepared, each object that a decision reads is a cache miss,
 * and those are most of its time. An array of places was two more, and a third of a decision. So the places of the first
 * gates, a slot and a tag each, are fields, and bearings are an array that others share.
 */
export class Ready implements Prepared {
  readonly bearings: readonly Bearing[];
  /** Whether two gates have one counter. */
  repeats = false;
  private slot0 = 0;
  private tag0 = 0;
  private slot1 = 0;
  private tag1 = 0;
  private slot2 = 0;
  private tag2 = 0;
  private slot3 = 0;
  private tag3 = 0;
  readonly gates: readonly Gate[];
  /** Slot and tag of gate INSIDE + i at 2 i and 2 i + 1. */
  private readonly others: number[];

  /**
   * `places`: slot and tag of gate i at 2 i and 2 i + 1. Throws LimitError `limit.rule`: one counter cannot be counted by
   * two rules at once.
   */
  constructor(gates: readonly Gate[], bearings: readonly Bearing[], places: readonly number[]) {
    this.bearings = bearings;
    this.gates = gates;
    this.others = gates.length > INSIDE ? places.slice(2 * INSIDE) : NO_OTHERS;
    for (let i = 0; i < gates.length; i++) this.put(i, places[2 * i] as number, places[2 * i + 1] as number);
    this.repeats = this.hasRepeats();
    if (this.repeats) this.checkNames();
  }

  slot(i: number): number {
    if (i === 0) return this.slot0;
    if (i === 1) return this.slot1;
    if (i === 2) return this.slot2;
    return i === 3 ? this.slot3 : (this.others[2 * (i - INSIDE)] as number);
  }

  tag(i: number): number {
    if (i === 0) return this.tag0;
    if (i === 1) return this.tag1;
    if (i === 2) return this.tag2;
    return i === 3 ? this.tag3 : (this.others[2 * (i - INSIDE) + 1] as number);
  }

  moved(i: number, slot: number, tag: number): void {
    this.put(i, slot, tag);
    this.repeats = this.hasRepeats();
  }

  where(holds: (gate: number) => boolean): number[] {
    return this.gates.flatMap((_, i) => (holds(i) ? [i] : []));
  }

  private put(i: number, slot: number, tag: number): void {
    if (i === 0) [this.slot0, this.tag0] = [slot, tag];
    else if (i === 1) [this.slot1, this.tag1] = [slot, tag];
    else if (i === 2) [this.slot2, this.tag2] = [slot, tag];
    else if (i === 3) [this.slot3, this.tag3] = [slot, tag];
    else this.others.splice(2 * (i - INSIDE), 2, slot, tag);
  }

  private hasRepeats(): boolean {
    for (let i = 1; i < this.gates.length; i++) {
      for (let j = 0; j < i; j++) if (this.slot(i) === this.slot(j)) return true;
    }
    return false;
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

const NO_OTHERS: number[] = [];
