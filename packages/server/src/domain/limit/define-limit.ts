/** One limit, of a plan or of the installation: everything that is wrong with it at once. */
import { Misread, quoted, readAmount } from './amount.ts';
import { readRule, ruleFields, statedRule } from './define-rule.ts';
import { Fields } from './fields.ts';
import { type FailMode, type LimitDefinition, type Sharing, sharings } from './limit.ts';
import type { Flaw, Tree } from './located.ts';
import { type Metered, type MetersByKey, readMetered } from './metered-unit.ts';
import type { Entitlement, PlanLimit } from './plan.ts';
import { checkSharing } from './sharing.ts';

export const limitFields: readonly string[] = [
  'key',
  'meter',
  ...ruleFields,
  'feed',
  'scope',
  'hard',
  'shadow',
  'thresholds',
  'actions',
  'fail',
  'sharing',
  'message',
  'upgrade',
];

export const DEFAULT_THRESHOLDS = [50, 80, 100] as const;
const THRESHOLDS_MAX = 16;
const THRESHOLD_MAX = 1000;
const ACTIONS_MAX = 64;
const scopes = ['account', 'subtree', 'resource'] as const;
const failModes = ['open', 'closed', 'last'] as const;
/** What a limit of which the meter could not be read is checked against. */
export const UNKNOWN_METERED: Metered = { meter: '', meters: [], unit: '1', dimensions: null };

/** What a limit is read against. */
export interface Around {
  meters: MetersByKey;
  /** Of the plan; null: a limit of the installation. */
  entitlements: readonly Entitlement[] | null;
}

/** A limit out of fields. Reads every field, whatever is wrong with the others. */
export function readLimit(fields: Fields, around: Around, flaws: Flaw[]): PlanLimit {
  const { entitlements } = around;
  const stated = statedRule(fields, entitlements === null ? ['quota', 'rate', 'concurrency'] : undefined);
  const key = fields.key();
  const included = stated === 'entitlement' ? entitlementOf(fields, entitlements ?? []) : undefined;
  const metered = meteredOf(fields, around.meters, included);
  const rule = readRule(fields, stated, metered.unit);
  const quota = stated === 'quota' || stated === 'entitlement';
  const feed = readFeed(fields, metered, quota);
  return {
    key,
    meter: metered.meter,
    feed,
    scope: readScope(fields, metered, flaws),
    rule,
    hard: readHard(fields, included),
    shadow: fields.flag('shadow', false),
    thresholds: readThresholds(fields),
    actions: readActions(fields),
    fail: readFail(fields, metered.unit, flaws),
    ...readSharing(fields, rule, feed),
    message: fields.text('message', '', 1000),
    upgrade: readUpgrade(fields),
  };
}

/** A limit of the installation, which reads no entitlement. */
export const readInstallationLimit = (fields: Fields, meters: MetersByKey, flaws: Flaw[]): LimitDefinition =>
  readLimit(fields, { meters, entitlements: null }, flaws) as LimitDefinition;

function entitlementOf(fields: Fields, entitlements: readonly Entitlement[]): Entitlement | undefined {
  const key = fields.text('entitlement', '', 63);
  const found = entitlements.find((e) => e.key === key);
  const known = entitlements.map((e) => e.key).join(', ') || 'none';
  if (found === undefined) fields.wrong('entitlement', `the plan has no entitlement ${quoted(key)}; it has ${known}`);
  return found;
}

function meteredOf(fields: Fields, known: MetersByKey, included: Entitlement | undefined): Metered {
  if (included === undefined && !fields.has('meter')) {
    if (!fields.has('entitlement')) fields.wrong('meter', 'names what is counted: a meter, or `requests`');
    return UNKNOWN_METERED;
  }
  const metered = fields.read('meter', UNKNOWN_METERED, 'the key of a meter', (text) => readMetered(text, known));
  if (included === undefined) return metered;
  if (metered.meter !== '' && metered.meter !== included.meter)
    fields.wrong('meter', `contradicts the entitlement ${included.key}, which is on ${included.meter}: leave it away`);
  const found = readMetered(included.meter, known);
  return found instanceof Misread ? { ...UNKNOWN_METERED, meter: included.meter } : found;
}

/** The decision is the usage where nothing else reports it; a meter is fed by events, and then decisions only read it. */
function readFeed(fields: Fields, { meter, meters }: Metered, quota: boolean): LimitDefinition['feed'] {
  const own = meters.length === 0;
  const feed = fields.oneOf('feed', ['decided', 'metered'], own || !quota ? 'decided' : 'metered');
  if (meter === '') return feed;
  if (feed === 'metered') {
    if (!quota) fields.wrong('feed', 'a rate or a concurrency counts what it admits: decided');
    else if (own) fields.wrong('feed', 'requests are counted by deciding on them: decided, or name a meter');
  } else if (quota && meters.length > 1) {
    fields.wrong('feed', 'a decision is the usage of one meter: name one, or metered');
  } else {
    const level = meters.find((m) => m.kind !== 'delta');
    if (level !== undefined && quota)
      fields.wrong('feed', `a decision cannot be the usage of ${level.key}, a ${level.kind} meter: metered`);
  }
  return feed;
}

function readScope(fields: Fields, { dimensions }: Metered, flaws: Flaw[]): LimitDefinition['scope'] {
  const tree = fields.tree('scope');
  if (tree?.kind !== 'branch') return fields.oneOf('scope', scopes, 'account');
  const dimension = new Fields(tree, flaws, ['dimension'], 'a scope').text('dimension', '', 63);
  if (dimension === '') fields.wrong('scope', `${scopes.join(', ')}, or a dimension: {dimension: NAME}`);
  else if (dimensions !== null && !dimensions.has(dimension))
    fields.wrong(
      'scope',
      `the meter has no dimension ${quoted(dimension)}; it has ${[...dimensions].join(', ') || 'none'}`,
    );
  return { dimension };
}

function readHard(fields: Fields, included: Entitlement | undefined): boolean {
  const blocks = included === undefined ? true : included.overage === 'block';
  const hard = fields.flag('hard', blocks);
  if (included !== undefined && hard !== blocks)
    fields.wrong(
      'hard',
      `contradicts \`overage: ${included.overage}\` of the entitlement ${included.key}: leave it away, or change the one there`,
    );
  return hard;
}

function readThresholds(fields: Fields): readonly number[] {
  if (!fields.has('thresholds')) return [...DEFAULT_THRESHOLDS];
  const wanted = `whole percents from 1 to ${THRESHOLD_MAX}, ascending, as in [50, 80, 100]`;
  const items = fields.items('thresholds', `a list of ${wanted}`, THRESHOLDS_MAX);
  const percents = items.map((item) =>
    item.kind === 'leaf' && /^\d{1,4}%?$/.test(item.text) ? Number(item.text.replace('%', '')) : 0,
  );
  const good = percents.every((p, i) => p >= 1 && p <= THRESHOLD_MAX && p > (percents[i - 1] ?? 0));
  if (!good) fields.wrong('thresholds', wanted);
  return percents;
}

function readActions(fields: Fields): readonly string[] {
  const actions = fields.texts('actions', ACTIONS_MAX);
  if (actions.includes('*')) fields.wrong('actions', 'leave it away for all actions');
  return actions;
}

function readFail(fields: Fields, unit: string, flaws: Flaw[]): FailMode {
  const tree = fields.tree('fail');
  if (tree?.kind !== 'branch') return { mode: fields.oneOf('fail', failModes, 'last') };
  const bounded = new Fields(tree, flaws, ['bounded'], 'a fail mode');
  if (!bounded.has('bounded')) bounded.wrong('bounded', `${failModes.join(', ')}, or an amount: {bounded: 1000}`);
  return { mode: 'bounded', amount: bounded.read('bounded', 1, 'an amount', (text) => readAmount(text, unit)) };
}

function readSharing(fields: Fields, rule: PlanLimit['rule'], feed: LimitDefinition['feed']): { sharing?: Sharing } {
  if (!fields.has('sharing')) return {};
  const sharing = fields.oneOf('sharing', sharings, 'none');
  const wrong = checkSharing(sharing, rule, feed);
  if (wrong !== null) fields.wrong('sharing', wrong);
  return { sharing };
}

/** Shown as a link: nothing but the web, and no script. */
function readUpgrade(fields: Fields): string {
  const upgrade = fields.text('upgrade', '', 2000);
  if (upgrade !== '' && !/^https?:\/\/[^\s"'<>]+$/.test(upgrade))
    fields.wrong('upgrade', 'an address that begins with https:// or http://');
  return upgrade;
}

/** A tree of one limit alone. */
export function limitTree(tree: Tree, more: readonly string[], flaws: Flaw[]): Fields {
  return new Fields(tree, flaws, [...limitFields, ...more], 'a limit');
}
