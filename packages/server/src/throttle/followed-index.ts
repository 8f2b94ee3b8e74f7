/** Finds the counters that a fact bears on. Maps in maps: texts made for each fact were most of what folding cost. */
import type { Followed } from './followed.ts';
import type { UsageFact } from './usage-fact.ts';
import type { Scope } from './usage-scope.ts';

type Leaf = Map<string, Set<Followed>>;

/** Counters of one meter. Everybody's stand under ''. */
interface Scopes {
  accounts: Leaf;
  subtrees: Leaf;
  /** By account. */
  resources: Map<string, Leaf>;
  /** By name, then account. */
  dimensions: Map<string, Map<string, Leaf>>;
}

const EVERYBODY = '';

export class FollowedIndex {
  private readonly byMeter = new Map<string, Scopes>();
  private readonly parentOf: (account: string) => string | null;

  constructor(parentOf: (account: string) => string | null) {
    this.parentOf = parentOf;
  }

  add(counter: Followed): void {
    for (const meter of counter.meters) {
      const [leaf, key] = placeOf(inMap(this.byMeter, meter, newScopes), counter.scope);
      inMap(leaf, key, () => new Set<Followed>()).add(counter);
    }
  }

  remove(counter: Followed): void {
    for (const meter of counter.meters) {
      const [leaf, key] = placeOf(inMap(this.byMeter, meter, newScopes), counter.scope);
      const counters = leaf.get(key);
      counters?.delete(counter);
      if (counters?.size === 0) leaf.delete(key);
    }
  }

  /** Each counter at most once. */
  of({ meter, account, resource, dimensions }: UsageFact): Followed[] {
    const scopes = this.byMeter.get(meter);
    const out: Followed[] = [];
    if (scopes === undefined) return out;
    take(out, scopes.subtrees, EVERYBODY);
    take(out, scopes.resources.get(EVERYBODY), resource);
    if (account === null) return out;
    take(out, scopes.accounts, account);
    take(out, scopes.resources.get(account), resource);
    for (const [name, byAccount] of scopes.dimensions) take(out, byAccount.get(account), dimensions[name] ?? '');
    if (scopes.subtrees.size === 0) return out;
    for (let above: string | null = account; above !== null; above = this.parentOf(above))
      take(out, scopes.subtrees, above);
    return out;
  }
}

function take(out: Followed[], leaf: Leaf | undefined, key: string): void {
  const counters = leaf?.get(key);
  if (counters !== undefined) for (const counter of counters) out.push(counter);
}

const newScopes = (): Scopes => ({
  accounts: new Map(),
  subtrees: new Map(),
  resources: new Map(),
  dimensions: new Map(),
});

function placeOf(scopes: Scopes, { account, subtree, resource, dimension }: Scope): [Leaf, string] {
  const whose = account ?? EVERYBODY;
  if (resource !== null) return [inMap(scopes.resources, whose, newLeaf), resource];
  if (dimension === null) return [subtree ? scopes.subtrees : scopes.accounts, whose];
  const byAccount = inMap(scopes.dimensions, dimension.name, () => new Map<string, Leaf>());
  return [inMap(byAccount, whose, newLeaf), dimension.value];
}

const newLeaf = (): Leaf => new Map();

function inMap<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
