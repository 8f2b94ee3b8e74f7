/**
 * Facts that an answer asked for now may lack: committed above the frontier, or late for windows that have records. Kept
 * so that a counter that is followed from now on misses nothing that was committed before.
 */
import type { Receipt } from '../domain/fact.ts';
import type { UsageFact } from './usage-fact.ts';

/** Late facts of the last runs at most; each is some hundred bytes. */
const KEPT_MAX = 100_000;

export class RecentFacts {
  /** No fact with a receipt above this was forgotten. */
  lostTo: Receipt = 0;
  private facts: UsageFact[] = [];
  private newest: Receipt = 0;

  add(fact: UsageFact): void {
    this.facts.push(fact);
    this.newest = Math.max(this.newest, fact.receipt);
  }

  /**
   * Forgets what every answer from now on holds: facts up to the frontier, late ones when the runs have got to them
   * (`records`). Facts are looked at only when there are many of them.
   */
  trim(frontier: Receipt, records: Receipt): void {
    if (this.facts.length === 0) return;
    if (this.newest <= frontier && this.facts.every((f) => !f.isLate)) this.facts = [];
    else if (this.facts.length > KEPT_MAX / 2)
      this.facts = this.facts.filter((f) => f.receipt > frontier || (f.isLate && f.receipt > records));
    const tooMany = this.facts.length - KEPT_MAX;
    if (tooMany <= 0) return;
    for (const { receipt } of this.facts.splice(0, tooMany)) this.lostTo = Math.max(this.lostTo, receipt);
  }

  above(frontier: Receipt): Iterable<UsageFact> {
    return this.facts.filter((f) => f.receipt > frontier || f.isLate);
  }
}
