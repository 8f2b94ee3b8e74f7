/** Accounts as a tree: domain > account > project, as deep as needed. */
import type { AccountFact } from './control-fact.ts';

export class AccountTree {
  private readonly accounts = new Map<string, AccountFact>();
  private readonly children = new Map<string, Set<string>>();

  get(id: string): AccountFact | undefined {
    return this.accounts.get(id);
  }

  all(): IterableIterator<AccountFact> {
    return this.accounts.values();
  }

  /** False, and nothing changes, when the account would stand below itself. */
  put(fact: AccountFact): boolean {
    if (fact.parent !== null && this.isWithin(fact.parent, fact.id)) return false;
    const before = this.accounts.get(fact.id)?.parent ?? null;
    if (before !== null) this.children.get(before)?.delete(fact.id);
    this.accounts.set(fact.id, fact);
    if (fact.parent !== null) {
      const siblings = this.children.get(fact.parent);
      if (siblings === undefined) this.children.set(fact.parent, new Set([fact.id]));
      else siblings.add(fact.id);
    }
    return true;
  }

  /** Whether `id` is `ancestor` or stands anywhere below it. */
  isWithin(id: string, ancestor: string): boolean {
    for (let at: string | null = id; at !== null; at = this.accounts.get(at)?.parent ?? null) {
      if (at === ancestor) return true;
    }
    return false;
  }

  /** All accounts below `id`, without itself. */
  descendants(id: string): string[] {
    const out: string[] = [];
    const open = [id];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const child of this.children.get(next) ?? []) {
        out.push(child);
        open.push(child);
      }
    }
    return out;
  }
}
