/** What the lines of all invoices together must say. */
import assert from 'node:assert/strict';
import { readDocument } from 'tollgate/billing/invoice/canonical.js';
import type { Invoice } from 'tollgate/store/billing-store.js';

export const linesOf = (all: readonly Invoice[]) => all.flatMap(({ document }) => readDocument(document).lines);

/** Whoever paid when: each day that is on an invoice at all costs one euro, those before `whole` at most. */
export function checkFees(all: readonly Invoice[], whole: number): void {
  const days = new Map<string, bigint>();
  for (const { key, amount } of linesOf(all)) {
    const [account, , price, from] = key.split('|');
    const day = `${account} ${from}`;
    if (price === 'base') days.set(day, (days.get(day) ?? 0n) + BigInt(amount));
  }
  for (const [day, cents] of days) {
    if (Number(day.split(' ')[1]) >= whole) assert.equal(cents, 100n, day);
    else assert.ok(cents > 0n && cents <= 100n, day);
  }
}
