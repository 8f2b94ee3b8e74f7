/** Putting the answer to one request together. */
import { type BatchOutcome, type ItemOutcome, type OutcomeCode, outcomeCodes } from '@tollgate/event';

export class Tally {
  readonly items: ItemOutcome[];
  private readonly count: number;

  /** `faults`: the rejected ones; they are copied. */
  constructor(count: number, faults: readonly ItemOutcome[]) {
    this.count = count;
    this.items = [...faults];
  }

  add(position: number, outcome: 'duplicate' | 'conflict', code: OutcomeCode, pointer: string): void {
    this.items.push({ position, outcome, code, pointer, message: outcomeCodes[code] });
  }
  reject(position: number, code: OutcomeCode, pointer: string, message: string = outcomeCodes[code]): void {
    this.items.push({ position, outcome: 'rejected', code, pointer, message });
  }

  result(firstReceipt: number): BatchOutcome {
    const counts = { duplicate: 0, conflict: 0, rejected: 0 };
    for (const { outcome } of this.items) counts[outcome]++;
    return {
      accepted: this.count - this.items.length,
      duplicates: counts.duplicate,
      conflicts: counts.conflict,
      rejected: counts.rejected,
      items: this.items.sort((a, b) => a.position - b.position),
      receipts: firstReceipt === 0 ? null : { first: firstReceipt, last: firstReceipt + this.count - 1 },
    };
  }
}
