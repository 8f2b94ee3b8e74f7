/** What was charged ahead, put right afterwards. */
import type { Instant } from '../../domain/window.ts';
import { type Bearing, needOf } from './bearing.ts';
import type { Lookup } from './lookup.ts';
import { chargeHere, usedOf } from './shared-cells.ts';
import type { Prepared } from './types.ts';

/** How something was charged. */
export interface Charged {
  /** When. */
  charged: Instant;
  /** When its holds began, or were last renewed. */
  heldFrom: Instant;
  /** The decision's: gates that were not charged. */
  shadowed: readonly number[];
}

/**
 * Makes a charge of `reserved` units one of `actual`, and lets its holds go. What no longer counts is not given back; more
 * than was reserved is charged whatever the limits, because it has happened. Returns the gates above their limit now.
 */
export function settle(
  lookup: Lookup,
  prepared: Prepared,
  reserved: number,
  actual: number,
  now: Instant,
  how: Charged,
): number[] {
  const above: number[] = [];
  for (const { i, bearing } of chargedSeats(lookup, prepared, now, how)) {
    const { cell } = lookup;
    if (bearing.worth === 'call') bearing.algorithm.giveBack(cell, bearing, needOf(bearing, reserved), how.heldFrom);
    else if (actual < reserved) bearing.algorithm.giveBack(cell, bearing, reserved - actual, how.charged);
    else chargeHere(cell, bearing, actual - reserved);
    if (usedOf(cell, bearing, now) > bearing.capacity) above.push(i);
  }
  return above;
}

/** Holds of a charge of `reserved` units begin again now. */
export function renewHolds(lookup: Lookup, prepared: Prepared, reserved: number, now: Instant, how: Charged): void {
  for (const { bearing } of chargedSeats(lookup, prepared, now, how)) {
    const { cell } = lookup;
    // A charge of 0 holds nothing, and must not renew another's.
    if (bearing.worth !== 'call' || reserved === 0) continue;
    const before = bearing.algorithm.used(cell, bearing, now);
    bearing.algorithm.giveBack(cell, bearing, 1, how.heldFrom);
    if (bearing.algorithm.used(cell, bearing, now) < before) bearing.algorithm.charge(cell, bearing, 1);
  }
}

/** Shortest hold among the gates; Infinity when nothing is held. */
export const shortestHold = (lookup: Lookup, prepared: Prepared): number =>
  Math.min(...lookup.own(prepared).bearings.map((b) => (b.worth === 'call' ? b.windowMs : NEVER)), NEVER);

const NEVER = Number.POSITIVE_INFINITY;

/** Gates that were charged, each with the cursor on its counter. */
function* chargedSeats(
  lookup: Lookup,
  prepared: Prepared,
  now: Instant,
  { shadowed }: Charged,
): Generator<{ i: number; bearing: Bearing }> {
  const ready = lookup.own(prepared);
  for (const [i, bearing] of ready.bearings.entries()) {
    if (bearing.worth === 'read' || shadowed.includes(i)) continue;
    lookup.look(ready, i, now);
    yield { i, bearing };
  }
}
