/**
 * Reads a configuration of envoyproxy/ratelimit, unchanged. What that server would refuse is refused here too, by line;
 * so are fields it does not know, because a misspelt limit would limit nothing. Its statistics settings (detailed_metric,
 * value_to_metric) change no decision and are taken without effect.
 */
import type { Receipt } from '../../domain/fact.ts';
import { checkRule } from '../../domain/limit/check-rule.ts';
import { Fields } from '../../domain/limit/fields.ts';
import type { Limit } from '../../domain/limit/limit.ts';
import { type Flaw, inOrder, readLocated, type Tree } from '../../domain/limit/located.ts';
import { type Domain, type Level, newLevel, type Rule } from './domain.ts';

const SECOND = 1000;
const DAY = 86_400 * SECOND;
/** As that server cuts them: from the Unix epoch, a month is 30 days and a year 365. */
export const windowMs: Readonly<Record<string, number>> = {
  second: SECOND,
  minute: 60 * SECOND,
  hour: 3600 * SECOND,
  day: DAY,
  week: 7 * DAY,
  month: 30 * DAY,
  year: 365 * DAY,
};

const DESCRIPTOR_FIELDS = [
  'key',
  'value',
  'rate_limit',
  'descriptors',
  'shadow_mode',
  'quota_mode',
  'detailed_metric',
  'value_to_metric',
  'share_threshold',
];
const RATE_FIELDS = ['unit', 'requests_per_unit', 'unlimited', 'name', 'replaces'];
const TEXT_MAX = 4096;
const DESCRIPTORS_MAX = 100_000;
const REQUESTS_MAX = 2 ** 32 - 1;

export type Imported = { domain: Domain; rules: number; problems: null } | { domain: null; rules: 0; problems: Flaw[] };

/** `version`: receipt of the fact that the text came with. */
export function importEnvoy(text: string, version: Receipt): Imported {
  const { tree, flaws } = readLocated(text);
  if (tree === null) return { domain: null, rules: 0, problems: flaws };
  const reader = new Reader(flaws, version);
  const domain = reader.domain(tree);
  return flaws.length > 0
    ? { domain: null, rules: 0, problems: inOrder(flaws) }
    : { domain, rules: reader.rules, problems: null };
}

class Reader {
  rules = 0;
  private readonly flaws: Flaw[];
  private readonly version: Receipt;
  private readonly named = new Set<string>();
  private readonly replaced: { name: string; tree: Tree }[] = [];

  constructor(flaws: Flaw[], version: Receipt) {
    this.flaws = flaws;
    this.version = version;
  }

  domain(tree: Tree): Domain {
    const top = newLevel();
    const fields = this.fields(tree, ['domain', 'descriptors'], 'a domain with its descriptors');
    const name = fields.text('domain', '', TEXT_MAX);
    if (name === '') this.wrong(tree, 'domain is missing: the name that requests come with');
    this.descriptors(fields, top, name);
    for (const { name: wanted, tree: at } of this.replaced)
      if (!this.named.has(wanted)) this.wrong(at, `no rate_limit is named ${JSON.stringify(wanted)}`);
    return { name, top };
  }

  private descriptors(fields: Fields, into: Level, path: string): void {
    for (const item of fields.items('descriptors', 'a list of descriptors', DESCRIPTORS_MAX))
      this.descriptor(item, into, path);
  }

  private descriptor(tree: Tree, into: Level, path: string): void {
    const fields = this.fields(tree, DESCRIPTOR_FIELDS, 'a descriptor');
    const key = fields.text('key', '', TEXT_MAX);
    const value = fields.text('value', '', TEXT_MAX);
    if (key === '') this.wrong(tree, 'key is missing: a descriptor is matched by it');
    const shares = fields.flag('share_threshold', false);
    if (shares && !value.endsWith('*'))
      fields.wrong('share_threshold', 'needs a value that ends with *: one value shares with nobody');
    const level = this.place(tree, into, key, value, shares);
    const own = `${path}.${value === '' ? key : `${key}_${value}`}`;
    const rate = fields.tree('rate_limit');
    if (rate !== undefined) {
      const modes = { shadow: fields.flag('shadow_mode', false), quotaMode: fields.flag('quota_mode', false) };
      level.rule = this.rule(rate, own, modes);
      this.rules++;
    }
    this.descriptors(fields, level, own);
  }

  /** Two of one key and value: nobody could tell which counts. */
  private place(tree: Tree, into: Level, key: string, value: string, shares: boolean): Level {
    const level = newLevel(shares);
    if (value.endsWith('*')) {
      const prefix = value.slice(0, -1);
      const list = into.prefixes.get(key) ?? [];
      if (list.some((p) => p.prefix === prefix)) this.wrong(tree, twice(key, value));
      list.push({ prefix, level });
      list.sort((a, b) => b.prefix.length - a.prefix.length);
      into.prefixes.set(key, list);
      return level;
    }
    const values = into.exact.get(key) ?? new Map<string, Level>();
    if (values.has(value)) this.wrong(tree, twice(key, value));
    values.set(value, level);
    into.exact.set(key, values);
    return level;
  }

  private rule(tree: Tree, path: string, { shadow, quotaMode }: { shadow: boolean; quotaMode: boolean }): Rule {
    const fields = this.fields(tree, RATE_FIELDS, 'a rate_limit');
    const unlimited = fields.flag('unlimited', false);
    const given = fields.text('name', '', TEXT_MAX);
    if (given !== '') this.named.add(given);
    const replaces = this.replaces(fields, given);
    const limit = unlimited ? null : this.limit(fields, path, shadow, quotaMode);
    const both = unlimited ? ['unit', 'requests_per_unit'].find((name) => fields.has(name)) : undefined;
    if (both !== undefined) fields.wrong(both, 'contradicts unlimited: keep one of them');
    return { limit, name: given === '' ? path : given, replaces, quotaMode };
  }

  private limit(fields: Fields, path: string, shadow: boolean, quotaMode: boolean): Limit {
    const unit = fields.text('unit', '', TEXT_MAX).toLowerCase();
    const length = windowMs[unit];
    if (length === undefined) fields.wrong('unit', `must be one of ${Object.keys(windowMs).join(', ')}`);
    const amount = this.amount(fields);
    const rule = { kind: 'rate', amount, windowMs: length ?? SECOND, algorithm: 'fixed', burst: amount } as const;
    for (const { message } of checkRule(rule)) fields.wrong('requests_per_unit', message);
    return {
      key: path,
      meter: 'requests',
      feed: 'decided',
      scope: { dimension: 'descriptor' },
      rule,
      hard: !quotaMode,
      shadow,
      thresholds: [],
      actions: [],
      // Whether a request passes when this server cannot say is the proxy's own setting.
      fail: { mode: 'open' },
      message: '',
      upgrade: '',
      version: this.version,
    };
  }

  private amount(fields: Fields): number {
    const text = fields.text('requests_per_unit', '', TEXT_MAX);
    const amount = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (amount <= REQUESTS_MAX) return amount;
    fields.wrong('requests_per_unit', `must be a whole number from 0 to ${REQUESTS_MAX}`);
    return 0;
  }

  private replaces(fields: Fields, own: string): string[] {
    const items = fields.items('replaces', 'a list of names, each as `name: ...`', DESCRIPTORS_MAX);
    return items.map((item) => {
      const name = this.fields(item, ['name'], 'a replaced limit').text('name', '', TEXT_MAX);
      if (name === '') this.wrong(item, 'needs the name of a rate_limit');
      else if (name === own) this.wrong(item, 'a rate_limit cannot replace itself');
      else this.replaced.push({ name, tree: item });
      return name;
    });
  }

  private fields(tree: Tree, known: readonly string[], what: string): Fields {
    return new Fields(tree, this.flaws, known, what);
  }

  private wrong(tree: Tree, message: string): void {
    this.flaws.push({ ...tree.at, path: tree.path, message });
  }
}

const twice = (key: string, value: string): string =>
  `there is a descriptor with key ${JSON.stringify(key)}${value === '' ? '' : ` and value ${JSON.stringify(value)}`} here already`;
