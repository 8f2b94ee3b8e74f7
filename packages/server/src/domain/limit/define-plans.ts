/**
 * Plans from a YAML or JSON text, or everything that is wrong with it: unknown, contradictory, ambiguous. The words are
 * documented in docs/operating/plans.md.
 */
import type { Meter } from '../meter.ts';
import { readBilling } from '../price/define-billing.ts';
import { quoted, readAllowance } from './amount.ts';
import { type Around, limitTree, readInstallationLimit, readLimit, UNKNOWN_METERED } from './define-limit.ts';
import { Fields } from './fields.ts';
import { type LimitDefinition, quotaPeriods } from './limit.ts';
import { type Flaw, inOrder, readLocated, type Tree } from './located.ts';
import { byKey, type MetersByKey, readMetered } from './metered-unit.ts';
import type { Entitlement, PlanContent, PlanLimit } from './plan.ts';

const PLANS_MAX = 1000;
const PARTS_MAX = 200;

/** Problems in the order of the text. */
export type Defined<T> = { value: T; problems: null } | { value: null; problems: Flaw[] };

export const definePlans = (text: string, meters: Iterable<Meter>): Defined<PlanContent[]> =>
  defined(text, (tree, flaws) => {
    const known = byKey(meters);
    const plans = new Fields(tree, flaws, ['plans'], 'a file of plans').items('plans', 'a list of plans', PLANS_MAX);
    if (plans.length === 0 && flaws.length === 0)
      flaws.push({ line: 1, column: 1, path: 'plans', message: 'a list of at least one plan' });
    const out = plans.map((plan) => readPlan(plan, known, flaws));
    refuseTwice(plans, out, 'plan', flaws);
    return out;
  });

export interface InstallationLimitInput {
  limit: LimitDefinition;
  /** Empty: all. */
  accounts: readonly string[];
}

/** One limit of the installation. */
export const defineLimit = (text: string, meters: Iterable<Meter>): Defined<InstallationLimitInput> =>
  defined(text, (tree, flaws) => {
    const fields = limitTree(tree, ['accounts'], flaws);
    return { limit: readInstallationLimit(fields, byKey(meters), flaws), accounts: fields.texts('accounts', 10_000) };
  });

export function defined<T>(text: string, read: (tree: Tree, flaws: Flaw[]) => T): Defined<T> {
  const { tree, flaws } = readLocated(text);
  if (tree === null) return { value: null, problems: flaws };
  const value = read(tree, flaws);
  return flaws.length > 0 ? { value: null, problems: inOrder(flaws) } : { value, problems: null };
}

function readPlan(tree: Tree, meters: MetersByKey, flaws: Flaw[]): PlanContent {
  const fields = new Fields(tree, flaws, ['key', 'name', 'entitlements', 'limits', 'billing'], 'a plan');
  const key = fields.key();
  const included = fields.items('entitlements', 'a list of entitlements', PARTS_MAX);
  const entitlements = included.map((item) => readEntitlement(item, meters, flaws));
  const given = fields.items('limits', 'a list of limits', PARTS_MAX);
  const around: Around = { meters, entitlements };
  const limits = given.map((item) => readLimit(limitTree(item, [], flaws), around, flaws));
  refuseTwice(included, entitlements, 'entitlement', flaws);
  refuseTwice(given, limits, 'limit', flaws);
  refuseAmbiguous(included, entitlements, flaws);
  refuseContradiction(given, limits, entitlements, flaws);
  refuseUnread(included, entitlements, limits, flaws);
  const priced = fields.tree('billing');
  const billing = priced === undefined ? {} : { billing: readBilling(priced, meters, entitlements, flaws) };
  return { key, name: fields.text('name', key, 200), entitlements, limits, ...billing };
}

function readEntitlement(tree: Tree, meters: MetersByKey, flaws: Flaw[]): Entitlement {
  const fields = new Fields(tree, flaws, ['key', 'meter', 'amount', 'per', 'overage'], 'an entitlement');
  for (const name of ['meter', 'amount', 'per'])
    if (!fields.has(name))
      fields.wrong(name, `is missing${name === 'per' ? `: one of ${quotaPeriods.join(', ')}` : ''}`);
  const metered = fields.read('meter', UNKNOWN_METERED, 'the key of a meter', (text) => readMetered(text, meters));
  // Without its meter an amount cannot be read, and the missing meter is already told.
  const amount =
    metered.meter === ''
      ? null
      : fields.read('amount', null, 'an amount such as 50 MB, or unlimited', (text) =>
          readAllowance(text, metered.unit),
        );
  return {
    key: fields.key(),
    meter: metered.meter,
    amount,
    per: fields.oneOf('per', quotaPeriods, 'month'),
    overage: fields.oneOf('overage', ['block', 'allow'], 'block'),
  };
}

function tell(flaws: Flaw[], tree: Tree, message: string): void {
  flaws.push({ ...tree.at, path: tree.path, message });
}

const lineOf = (trees: readonly Tree[], i: number): string => `line ${trees[i]?.at.line ?? 0}`;

function refuseTwice(trees: readonly Tree[], parts: readonly { key: string }[], what: string, flaws: Flaw[]): void {
  parts.forEach(({ key }, i) => {
    const first = parts.findIndex((p) => p.key === key);
    if (first < i && key !== '')
      tell(flaws, trees[i] as Tree, `ambiguous: there is a ${what} ${quoted(key)} already, in ${lineOf(trees, first)}`);
  });
}

/** One place says what is included: of two, nobody could tell which. */
function refuseAmbiguous(trees: readonly Tree[], entitlements: readonly Entitlement[], flaws: Flaw[]): void {
  entitlements.forEach(({ meter, per }, i) => {
    const first = entitlements.findIndex((e) => e.meter === meter && e.per === per);
    if (first < i && meter !== '')
      tell(
        flaws,
        trees[i] as Tree,
        `ambiguous: ${entitlements[first]?.key} in ${lineOf(trees, first)} already says what is included of ${meter} per ${per}`,
      );
  });
}

/** Of two quotas that differ in nothing but the amount, the larger would never be reached. */
function refuseContradiction(
  trees: readonly Tree[],
  limits: readonly PlanLimit[],
  entitlements: readonly Entitlement[],
  flaws: Flaw[],
): void {
  const quotas = limits.map((limit) => {
    const { rule } = limit;
    const from = rule.kind === 'entitlement' ? entitlements.find((e) => e.key === rule.entitlement) : undefined;
    const period = from?.per ?? (rule.kind === 'quota' ? rule.period : null);
    const amount = from === undefined ? (rule.kind === 'quota' ? rule.amount : null) : from.amount;
    const { meter, feed, scope, hard, shadow, actions } = limit;
    return { amount, same: JSON.stringify([meter, feed, scope, hard, shadow, [...actions].sort(), period]), period };
  });
  quotas.forEach(({ amount, same, period }, i) => {
    const first = quotas.findIndex((q) => q.same === same && period !== null);
    if (first < 0 || first >= i) return;
    const before = quotas[first]?.amount;
    const [kind, rest] = before === amount ? ['ambiguous', 'the same'] : ['contradictory', `${before ?? 'unlimited'}`];
    tell(
      flaws,
      trees[i] as Tree,
      `${kind}: ${limits[first]?.key} in ${lineOf(trees, first)} is a quota on the same, of ${rest}; this one says ${amount ?? 'unlimited'}`,
    );
  });
}

/** `overage: block` that nothing reads blocks nothing. */
function refuseUnread(
  trees: readonly Tree[],
  entitlements: readonly Entitlement[],
  limits: readonly PlanLimit[],
  flaws: Flaw[],
): void {
  entitlements.forEach(({ key, overage, amount }, i) => {
    const read = limits.some(({ rule }) => rule.kind === 'entitlement' && rule.entitlement === key);
    if (!read && overage === 'block' && amount !== null)
      tell(
        flaws,
        trees[i] as Tree,
        `nothing blocks beyond it: add a limit with \`entitlement: ${key}\`, or say \`overage: allow\``,
      );
  });
}
