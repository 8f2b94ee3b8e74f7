/**
 * What somebody gave back of a key by a credit note that corrects it, and what an adjustment then still gives back. Pure.
 *
 * A correction says ahead of the facts that less is due. So of what is due, the part just below what was billed then is
 * given back already: while due falls through that part nothing more is given back, and where it rises the correction
 * stays. Only the amount that is due now decides, never on which way it came there: else a late fact and its undoing
 * would leave something behind. (Tried: the smaller of both each time. Then +5 and -5 around a credit cost the customer 5.)
 */
import type { Line } from './document.ts';

type Counted = Pick<Line, 'kind' | 'amount'>;

/** A part of what may be due, [to - amount, to), that is given back. */
interface Part {
  to: bigint;
  amount: bigint;
}

/**
 * What lines of the key are to sum to, credits left out, when so much is due. Without credits: what is due.
 *
 * @param lines all of the key that were billed, with the credits that correct them, oldest first.
 */
export function staysBilled(due: bigint, lines: readonly Counted[]): bigint {
  let parts: readonly Part[] = [];
  let billed = 0n;
  for (const { kind, amount } of lines) {
    if (kind === 'credit') parts = withPart(parts, { to: dueAt(parts, billed), amount: -BigInt(amount) });
    else billed += BigInt(amount);
  }
  return parts.reduce((stays, { to, amount }) => stays + between(0n, to - due, amount), due);
}

/** Highest first, none over another: where two meet, the lower one goes on below. */
function withPart(parts: readonly Part[], part: Part): Part[] {
  const ordered = [...parts, part].sort((a, b) => (a.to > b.to ? -1 : a.to < b.to ? 1 : 0));
  const out: Part[] = [];
  for (const { to, amount } of ordered) {
    const above = out.at(-1);
    const free = above === undefined ? to : above.to - above.amount;
    out.push({ to: to < free ? to : free, amount });
  }
  return out;
}

/** The most that can have been due where so much was billed. */
function dueAt(parts: readonly Part[], billed: bigint): bigint {
  let due = billed;
  for (const { to, amount } of parts) {
    if (due >= to) break;
    due -= amount;
  }
  return due;
}

const between = (least: bigint, value: bigint, most: bigint): bigint =>
  value < least ? least : value > most ? most : value;
