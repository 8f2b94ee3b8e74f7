/** Putting the answer to one request together. */
import { type BatchOutcome, type ItemOutcome, type OutcomeCode, outcomeCodes } from '@tollgate/event';

export class Tally {
  private readonly items: ItemOutcome[] = [];

  add(position: number, outcome: 'duplicate' | 'conflict', code: OutcomeCode, pointer: string): void {
    this.items.push({ position, outcome, code, pointer, message: outcomeCodes[code] });
  }

  /** `firstReceipt` 0: none was taken. */
  result(count: number, faults: readonly ItemOutcome[], firstReceipt: number): BatchOutcome {
    const items = [...faults, ...this.items].sort((a, b) => a.position - b.position);
    const counts = { duplicate: 0, conflict: 0, rejected: 0 };
    for (const { outcome } of items) counts[outcome]++;
    return {
      accepted: count - items.length,
      duplicates: counts.duplicate,
      conflicts: counts.conflict,
      rejected: counts.rejected,
      items,
      receipts: firstReceipt === 0 ? null : { first: firstReceipt, last: firstReceipt + count - 1 },
    };
  }
}
