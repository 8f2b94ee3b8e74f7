/**
 * Whose a resource was, when. Owners are effective-dated and an owner fact can reach into the past, so past usage stays
 * with the owner of that time until somebody says otherwise for that very time (law 11).
 */
import type { OwnerFact } from './control-fact.ts';
import type { Instant } from './window.ts';

/** `account` null: nobody's. */
export interface Ownership {
  account: string | null;
  from: Instant;
  to: Instant;
}

export interface ResourceRef {
  readonly tenant: string;
  readonly resource: string;
}

interface Owned extends ResourceRef {
  /** Ascending in `from`; of two with the same `from` the later receipt rules. */
  owners: readonly OwnerFact[];
}

/** Names may hold anything, so the length of the first tells where the second begins. */
export const place = (tenant: string, id: string): string => `${tenant.length}:${tenant}${id}`;

const NONE: readonly OwnerFact[] = [];

export class Ownerships {
  private readonly places = new Map<string, Owned>();
  private readonly accounts = new Set<string>();
  /** What an account may have owned at some time: to be looked at, not the answer. */
  private readonly byAccount = new Map<string, Set<Owned>>();

  /** A resource that is known: without owner facts it is its tenant's. */
  know(tenant: string, resource: string): void {
    this.ownedOf(tenant, resource);
  }

  put(tenant: string, fact: OwnerFact): void {
    const owned = this.ownedOf(tenant, fact.resource);
    const owners = owned.owners.filter((o) => o.from !== fact.from);
    let at = owners.length;
    while (at > 0 && (owners[at - 1]?.from ?? 0) > fact.from) at--;
    owners.splice(at, 0, fact);
    owned.owners = owners;
    if (fact.account !== null) this.index(fact.account, owned);
  }

  /** What the installation's keys bring under the account's own name is the account's, unless somebody says otherwise. */
  knowAccount(id: string): void {
    this.accounts.add(id);
    this.index(id, this.ownedOf('', id));
  }

  /** Null: nobody's. What comes by a tenant's key is the tenant's by default. */
  ownerAt(tenant: string, resource: string, t: Instant): string | null {
    const owners = this.places.get(place(tenant, resource))?.owners ?? NONE;
    for (let i = owners.length - 1; i >= 0; i--) {
      const owner = owners[i];
      if (owner !== undefined && owner.from <= t) return owner.account;
    }
    if (tenant !== '') return tenant;
    return this.accounts.has(resource) ? resource : null;
  }

  /** Who owned it over [from, to), in order, without holes; neighbours differ. Empty when from >= to. */
  intervals(tenant: string, resource: string, from: Instant, to: Instant): Ownership[] {
    if (from >= to) return [];
    let current: Ownership = { account: this.ownerAt(tenant, resource, from), from, to };
    const out = [current];
    for (const { account, from: since } of this.places.get(place(tenant, resource))?.owners ?? NONE) {
      if (since <= from || since >= to || account === current.account) continue;
      current.to = since;
      current = { account, from: since, to };
      out.push(current);
    }
    return out;
  }

  /** Known resources that were one of the accounts' at any time in [from, to). */
  of(accounts: Iterable<string>, from: Instant, to: Instant): ResourceRef[] {
    const wanted = new Set(accounts);
    const seen = new Set<Owned>();
    const out: ResourceRef[] = [];
    for (const account of wanted) {
      for (const owned of this.byAccount.get(account) ?? []) {
        if (seen.has(owned)) continue;
        seen.add(owned);
        const { tenant, resource } = owned;
        const whose = this.intervals(tenant, resource, from, to);
        if (whose.some((o) => o.account !== null && wanted.has(o.account))) out.push({ tenant, resource });
      }
    }
    return out;
  }

  private ownedOf(tenant: string, resource: string): Owned {
    const key = place(tenant, resource);
    let owned = this.places.get(key);
    if (owned === undefined) {
      owned = { tenant, resource, owners: NONE };
      this.places.set(key, owned);
      if (tenant !== '') this.index(tenant, owned);
    }
    return owned;
  }

  private index(account: string, owned: Owned): void {
    const set = this.byAccount.get(account);
    if (set === undefined) this.byAccount.set(account, new Set([owned]));
    else set.add(owned);
  }
}
