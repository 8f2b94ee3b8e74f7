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

/** Names may hold anything, so the length of the first tells where the second begins. */
export const place = (tenant: string, id: string): string => `${tenant.length}:${tenant}${id}`;

const NONE: readonly OwnerFact[] = [];

export class Ownerships {
  /** Ascending in `from`; of two with the same `from` the later receipt rules. */
  private readonly places = new Map<string, readonly OwnerFact[]>();
  /** Owners whom a later fact took a place from altogether. */
  private readonly replaced = new Map<string, Set<string>>();
  private readonly accounts = new Set<string>();

  put(tenant: string, fact: OwnerFact): void {
    const key = place(tenant, fact.resource);
    const before = this.places.get(key) ?? NONE;
    const owners = before.filter((o) => o.from !== fact.from);
    for (const { account, from } of before) if (from === fact.from && account !== null) this.replace(key, account);
    let at = owners.length;
    while (at > 0 && (owners[at - 1]?.from ?? 0) > fact.from) at--;
    owners.splice(at, 0, fact);
    this.places.set(key, owners);
  }

  /** What the installation's keys bring under the account's own name is the account's, unless somebody says otherwise. */
  knowAccount(id: string): void {
    this.accounts.add(id);
  }

  /** Null: nobody's. What comes by a tenant's key is the tenant's by default. */
  ownerAt(tenant: string, resource: string, t: Instant): string | null {
    const owners = this.places.get(place(tenant, resource)) ?? NONE;
    for (let i = owners.length - 1; i >= 0; i--) {
      const owner = owners[i];
      if (owner !== undefined && owner.from <= t) return owner.account;
    }
    if (tenant !== '') return tenant;
    return this.accounts.has(resource) ? resource : null;
  }

  /** Everybody whose it ever was by any fact, in force or not, in any order. */
  everOwned(tenant: string, resource: string): Set<string> {
    const key = place(tenant, resource);
    const ever = new Set(this.replaced.get(key));
    for (const { account } of this.places.get(key) ?? NONE) if (account !== null) ever.add(account);
    if (tenant !== '') ever.add(tenant);
    else if (this.accounts.has(resource)) ever.add(resource);
    return ever;
  }

  private replace(key: string, account: string): void {
    const known = this.replaced.get(key);
    if (known === undefined) this.replaced.set(key, new Set([account]));
    else known.add(account);
  }

  /** Who owned it over [from, to), in order, without holes; neighbours differ. Empty when from >= to. */
  intervals(tenant: string, resource: string, from: Instant, to: Instant): Ownership[] {
    if (from >= to) return [];
    let current: Ownership = { account: this.ownerAt(tenant, resource, from), from, to };
    const out = [current];
    for (const { account, from: since } of this.places.get(place(tenant, resource)) ?? NONE) {
      if (since <= from || since >= to || account === current.account) continue;
      current.to = since;
      current = { account, from: since, to };
      out.push(current);
    }
    return out;
  }
}
