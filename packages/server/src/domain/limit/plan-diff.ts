/** What applying plans would change, field by field. Parts are told apart by their keys, not by their places. */
import type { PlanBilling } from '../price/price.ts';
import type { Plan, PlanContent } from './plan.ts';

/** JSON texts; null: not there. */
export interface FieldChange {
  /** `limits.bandwidth.hard`. */
  path: string;
  before: string | null;
  after: string | null;
}
export interface PlanChange {
  plan: string;
  change: 'added' | 'changed' | 'removed';
  fields: FieldChange[];
}

/** `prune`: plans that are not among `next` are removed; otherwise they stay as they are. In the order of keys. */
export function diffPlans(now: Iterable<Plan>, next: readonly PlanContent[], prune: boolean): PlanChange[] {
  const there = new Map([...now].map((plan) => [plan.key, plan]));
  const wanted = new Map(next.map((plan) => [plan.key, plan]));
  const out: PlanChange[] = [];
  for (const plan of next) {
    const before = there.get(plan.key);
    const fields = changesOf(before === undefined ? new Map() : flat(before), flat(plan));
    if (fields.length > 0) out.push({ plan: plan.key, change: before === undefined ? 'added' : 'changed', fields });
  }
  if (prune)
    for (const plan of there.values())
      if (!wanted.has(plan.key))
        out.push({ plan: plan.key, change: 'removed', fields: changesOf(flat(plan), new Map()) });
  return out.sort((a, b) => (a.plan < b.plan ? -1 : 1));
}

function changesOf(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): FieldChange[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths]
    .map((path) => ({ path, before: before.get(path) ?? null, after: after.get(path) ?? null }))
    .filter((c) => c.before !== c.after);
}

function flat({ name, entitlements, limits, billing }: PlanContent): Map<string, string> {
  const out = new Map([['name', JSON.stringify(name)]]);
  const add = (list: string, { key, ...rest }: { key: string }): void => {
    for (const [field, value] of Object.entries(rest)) put(out, `${list}.${key}.${field}`, value);
  };
  for (const entitlement of entitlements) add('entitlements', entitlement);
  for (const limit of limits) add('limits', limit);
  if (billing) flatBilling(out, billing);
  return out;
}

/** Prices by their keys, tiers by their places. */
function flatBilling(out: Map<string, string>, { prices, ...terms }: PlanBilling): void {
  for (const [field, value] of Object.entries(terms)) putAll(out, `billing.${field}`, value);
  for (const { key, ...rest } of prices)
    for (const [field, value] of Object.entries(rest)) putAll(out, `billing.prices.${key}.${field}`, value);
}

/** As put, and into lists of objects too. */
function putAll(out: Map<string, string>, path: string, value: unknown): void {
  const isObject = typeof value === 'object' && value !== null;
  if (!isObject || (Array.isArray(value) && value.every((v) => typeof v !== 'object')))
    out.set(path, JSON.stringify(value));
  else if (Array.isArray(value)) value.forEach((item, i) => void putAll(out, `${path}[${i + 1}]`, item));
  else for (const [name, inner] of Object.entries(value)) putAll(out, `${path}.${name}`, inner);
}

/** Rules and fail modes are looked into: only what differs is told. */
function put(out: Map<string, string>, path: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) out.set(path, JSON.stringify(value));
  else for (const [name, inner] of Object.entries(value)) put(out, `${path}.${name}`, inner);
}
