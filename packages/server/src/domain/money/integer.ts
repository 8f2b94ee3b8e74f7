/**
 * The one door from exact integers to numbers, for what is counted or is an instant; never for money or quantities. A
 * house rule bans `Number(...)` everywhere else in the folders of money, prices and billing.
 */

/** The number itself; throws RangeError beyond 2^53 - 1. */
export function safeInteger(n: bigint): number {
  const number = Number(n);
  if (!Number.isSafeInteger(number)) throw new RangeError(`not a safe integer: ${n.toString().slice(0, 40)}`);
  return number;
}
