/** Accounts as a tree: domain > account > project, as deep as needed. */
import type { AccountFact } from './control-fact.ts';
import type { Receipt } from './fact.ts';
import type { Instant } from './window.ts';

/** From `from` on the account's clock is that of `zone`. */
export interface ZoneSpan {
  from: Instant;
  zone: string;
}

/** From the fact `receipt` on the account stands below `parent`. */
interface ParentSpan {
  receipt: Receipt;
  parent: string | null;
}

export class AccountTree {
  private readonly accounts = new Map<string, AccountFact>();
  private readonly children = new Map<string, Set<string>>();
  /** Of accounts that have moved to another zone. */
  private readonly moved = new Map<string, ZoneSpan[]>();
  /** Where each has stood, in order. */
  private readonly places = new Map<string, ParentSpan[]>();

  get(id: string): AccountFact | undefined {
    return this.accounts.get(id);
  }

  all(): IterableIterator<AccountFact> {
    return this.accounts.values();
  }

  /** Its zones in order: the first one also holds before it was said, later ones from when they were recorded. */
  zonesOf(id: string): readonly ZoneSpan[] {
    return this.moved.get(id) ?? [{ from: 0, zone: this.accounts.get(id)?.zone ?? 'UTC' }];
  }

  /** Its parent by what was known at `at`; undefined: the account was not there yet. */
  parentAt(id: string, at: Receipt): string | null | undefined {
    return this.places.get(id)?.findLast(({ receipt }) => receipt <= at)?.parent;
  }

  /** All that it has ever stood below, at whatever distance, without itself. */
  everAbove(id: string): string[] {
    const found = new Set([id]);
    // A set goes on with what is added to it meanwhile.
    for (const at of found) for (const { parent } of this.places.get(at) ?? []) if (parent !== null) found.add(parent);
    found.delete(id);
    return [...found];
  }

  /** False, and nothing changes, when the account would stand below itself. */
  put(fact: AccountFact, recordedAt: Instant, receipt: Receipt): boolean {
    if (fact.parent !== null && this.isWithin(fact.parent, fact.id)) return false;
    this.noteZone(fact, recordedAt);
    this.notePlace(fact, receipt);
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

  private notePlace({ id, parent }: AccountFact, receipt: Receipt): void {
    const places = this.places.get(id);
    if (places === undefined) this.places.set(id, [{ receipt, parent }]);
    else if (places.at(-1)?.parent !== parent) places.push({ receipt, parent });
  }

  private noteZone({ id, zone }: AccountFact, recordedAt: Instant): void {
    if (this.accounts.get(id) === undefined) return;
    const zones = this.zonesOf(id);
    const last = zones.at(-1) as ZoneSpan;
    // A wall clock that was set back does not reorder what came later.
    if (last.zone !== zone) this.moved.set(id, [...zones, { from: Math.max(recordedAt, last.from), zone }]);
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
