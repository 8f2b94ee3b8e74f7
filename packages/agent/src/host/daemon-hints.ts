/**
 * What the server is told of resources: name, kind of traffic, tag, whose it is from when. Told once after a start,
 * again when something of it has changed since, and all of it every hour: the server leaves out an
 * account that nobody has made yet.
 *
 * Owner facts on the server stay until another one of the same instant takes their place. So an instant that was once
 * told and is no longer in the mapping is told again, with who owns the object then: otherwise a `from` that was
 * corrected by a day would leave the first one standing. Told is what was handed on, not what was acknowledged: what is
 * still on its way will stand there too, and one that never arrives is taken back for nothing.
 */
import type { ResourceHint } from '@tollgate/event';
import { type Assignment, assign, assignedAt, type Mapping } from './mapping.ts';
import type { HostObject } from './mapping-match.ts';

export type Owner = NonNullable<ResourceHint['owners']>[number];

/** An object of one pass, with what its source says of it. */
export interface Found extends HostObject {
  resource: string;
  account?: string;
  trafficType?: string;
  /** Where the mapping says nothing; left away: the server's rule. */
  billable?: boolean;
}

interface Known {
  /** What the object and the mapping were when this was worked out. */
  basis: string;
  history: Assignment[];
  /** When something of it changes by itself. */
  until: number;
  hint: ResourceHint;
  text: string;
}

export interface Told {
  /** Resource -> owners the server may have. */
  owners: Record<string, Owner[]>;
}

/** Resources whose told owners are remembered, those that are gone included. */
const OWNERS_MAX = 20_000;

const REPEAT_MS = 3_600_000;

export class Hints {
  /** Resources of the last pass, by poller: what is gone need not be kept. */
  readonly #present = new Map<string, ReadonlySet<string>>();
  /** When all of a poller was told last. */
  readonly #whole = new Map<string, number>();
  /** By resource: what was told and need not be told again. */
  readonly #told = new Map<string, string>();
  readonly #known = new Map<string, Known>();
  readonly #owners: Map<string, Owner[]>;

  constructor(before: Told = { owners: {} }) {
    this.#owners = new Map(Object.entries(before.owners));
  }

  /**
   * All objects of a pass of one poller. `version` 0: no mapping was ever in force, so nobody's owners are known and none
   * are told. Where a hint has owners, `told` is to be kept before it is sent.
   */
  of(
    poller: string,
    objects: readonly Found[],
    mapping: Mapping,
    version: number,
    at: number,
  ): { hints: ResourceHint[]; unmatched: string[] } {
    const hints: ResourceHint[] = [];
    const unmatched: string[] = [];
    const again = this.#isDue(poller, at);
    for (const object of objects) {
      const known = this.#look(object, mapping, version, at);
      if (assignedAt(known.history, at).rule === null && object.account === undefined) unmatched.push(object.object);
      if (known.text === '' || (!again && this.#told.get(object.resource) === known.text)) continue;
      this.#told.set(object.resource, known.text);
      hints.push(known.hint);
      this.#note(known.hint);
    }
    this.#forget(poller, new Set(objects.map(({ resource }) => resource)));
    return { hints, unmatched };
  }

  /** Something was given up on the way: tell everything again. */
  repeat(): void {
    this.#told.clear();
  }

  get told(): Told {
    return { owners: Object.fromEntries(this.#owners) };
  }

  #note({ id, owners }: ResourceHint): void {
    if (owners === undefined) return;
    // The latest at the end, so that those not heard of for longest go first.
    this.#owners.delete(id);
    this.#owners.set(id, [...owners]);
    for (const oldest of this.#owners.keys()) {
      if (this.#owners.size <= OWNERS_MAX) break;
      this.#owners.delete(oldest);
    }
  }

  #isDue(poller: string, at: number): boolean {
    const last = this.#whole.get(poller);
    // Also when the clock was set back beyond the last time.
    const due = last === undefined || at - last >= REPEAT_MS || at < last;
    if (due) this.#whole.set(poller, at);
    return due;
  }

  #forget(poller: string, present: ReadonlySet<string>): void {
    for (const resource of this.#present.get(poller) ?? []) {
      if (present.has(resource)) continue;
      this.#told.delete(resource);
      this.#known.delete(resource);
    }
    this.#present.set(poller, present);
  }

  #look(object: Found, mapping: Mapping, version: number, at: number): Known {
    const { poller, name, mac, alias, tag, account, trafficType } = object;
    const basis = [version, poller, name, mac, alias, tag, account, trafficType].join('\n');
    const before = this.#known.get(object.resource);
    if (before !== undefined && before.basis === basis && at < before.until) return before;
    const history = assign(object, mapping);
    const now = assignedAt(history, at);
    const hint = this.#hint(object, history, now, version);
    const text = Object.keys(hint).length > 1 ? JSON.stringify(hint) : '';
    const known = { basis, history, until: now.to, hint, text };
    this.#known.set(object.resource, known);
    return known;
  }

  #hint(object: Found, history: readonly Assignment[], now: Assignment, version: number): ResourceHint {
    const trafficType = now.trafficType ?? object.trafficType;
    const tag = now.tag ?? object.tag;
    const billable = now.billable ?? object.billable ?? null;
    const owners = version > 0 || object.account !== undefined ? this.#timeline(object, history) : [];
    return {
      id: object.resource,
      ...(object.name === undefined || object.name === object.object ? {} : { name: object.name }),
      ...(trafficType === undefined ? {} : { trafficType }),
      ...(tag === undefined ? {} : { tag }),
      ...(billable === null ? {} : { billable }),
      ...(owners.length === 0 ? {} : { owners }),
    };
  }

  #timeline(object: Found, history: readonly Assignment[]): Owner[] {
    const owners = ownersOf(object, history);
    const ownerAt = (t: number): string | null => owners.findLast((o) => o.from <= t)?.account ?? null;
    const stale = (this.#owners.get(object.resource) ?? []).filter((o) => !owners.some((n) => n.from === o.from));
    const again = stale.map(({ from }) => ({ account: ownerAt(from), from }));
    return [...owners, ...again].sort((a, b) => a.from - b.from);
  }
}

/** A name that carries an account speaks where no rule does. Null: nobody's. */
export const ownerOf = (object: Found, { rule, account }: Assignment): string | null =>
  rule === null ? (object.account ?? null) : account;

/** Changes of owner. Nothing is said before the first, where neither a name nor a rule says anything. */
const ownersOf = (object: Found, history: readonly Assignment[]): Owner[] => {
  const first = object.account === undefined ? history.findIndex(({ rule }) => rule !== null) : 0;
  if (first < 0) return [];
  const owners: Owner[] = [];
  for (const stretch of history.slice(first)) {
    const account = ownerOf(object, stretch);
    if (owners.length === 0 || owners.at(-1)?.account !== account) owners.push({ account, from: stretch.from });
  }
  return owners;
};

/** Nothing for what is no such record: then everything is told anew, and only instants withdrawn meanwhile stay. */
export const parseTold = (text: string): Told => {
  try {
    const { owners } = JSON.parse(text) as Partial<Told>;
    const sound = Object.entries(owners ?? {}).filter(
      ([, list]) => Array.isArray(list) && list.every((o) => typeof o?.from === 'number'),
    );
    return { owners: Object.fromEntries(sound) };
  } catch {
    return { owners: {} };
  }
};
