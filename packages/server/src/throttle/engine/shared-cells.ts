/** What counters that several servers share have besides: windows that a store opens, slots, and what others are told. */
import { type Cell, EXTRA } from '../../domain/limit/cell.ts';
import { addUpTo } from '../../domain/limit/exact.ts';
import { openWindow } from '../../domain/limit/leased.ts';
import type { Instant } from '../../domain/window.ts';
import type { Bearing } from './bearing.ts';
import { type Counters, MAY, OTHERS, OURS } from './counters.ts';
import type { Lookup } from './lookup.ts';
import type { Gate } from './types.ts';

const field = (cell: Cell, which: number): number => cell.n[cell.at + which] as number;

/** Units that count, those that other servers hold among them. */
export const usedOf = (cell: Cell, bearing: Bearing, now: Instant): number =>
  bearing.slots
    ? bearing.algorithm.used(cell, bearing, now) + field(cell, OTHERS)
    : bearing.algorithm.used(cell, bearing, now);

/** Whether the others have to be told before so much more is admitted. A soft limit never waits. */
export const isUntold = (cell: Cell, bearing: Bearing, need: number): boolean =>
  bearing.told && bearing.refuses && need > 0 && field(cell, MAY) > 0 && field(cell, OURS) + need > field(cell, MAY);

/** Charges what was decided here. */
export function chargeHere(cell: Cell, bearing: Bearing, units: number): void {
  bearing.algorithm.charge(cell, bearing, units);
  if (bearing.told) cell.n[cell.at + OURS] = addUpTo(field(cell, OURS), units);
}

export class SharedCells {
  private readonly lookup: Lookup;
  private readonly counters: Counters;

  constructor(lookup: Lookup, counters: Counters) {
    this.lookup = lookup;
    this.counters = counters;
  }

  /** Begins a leased window with nothing used and nothing granted. `to`: its end in this server's time. */
  openWindow(gate: Gate, to: Instant, now: Instant): void {
    this.lookup.lookAt(gate, now);
    openWindow(this.lookup.cell, to, now);
  }

  /** Used here and by others, and how far both together may go here. */
  show(gate: Gate, others: number, ours: number, ceiling: number, now: Instant): void {
    const ready = this.lookup.lookAt(gate, now);
    const bearing = ready.bearings[0] as Bearing;
    const { cell } = this.lookup;
    // Holds are remembered one by one: what others hold stands beside them.
    if (bearing.slots) cell.n[cell.at + OTHERS] = others;
    else bearing.algorithm.set(cell, bearing, others + ours, now);
    cell.n[cell.at + EXTRA] = ceiling;
    this.counters.know(ready.slot(0));
  }

  /** Whether the counter still is counted by the gate's rule. */
  isStill(gate: Gate): boolean {
    return this.lookup.prepare([gate]).tag(0) >= 0;
  }

  /** Units that count now. */
  used(gate: Gate, now: Instant): number {
    const bearing = this.lookup.lookAt(gate, now).bearings[0] as Bearing;
    return usedOf(this.lookup.cell, bearing, now);
  }

  /** Units that decisions of this server have charged since the counter was made. */
  ours(gate: Gate, now: Instant): number {
    this.lookup.lookAt(gate, now);
    return field(this.lookup.cell, OURS);
  }

  /** How far `ours` may go; 0: as far as it likes. */
  allow(gate: Gate, ours: number, now: Instant): void {
    this.lookup.lookAt(gate, now);
    this.lookup.cell.n[this.lookup.cell.at + MAY] = ours;
  }

  /** Charges what others have admitted, at `at` of this server's time or now if that is later than the counter knows. */
  chargeOthers(gate: Gate, units: number, at: Instant): void {
    const bearing = this.lookup.lookAt(gate, at).bearings[0] as Bearing;
    bearing.algorithm.charge(this.lookup.cell, bearing, units);
  }
}
