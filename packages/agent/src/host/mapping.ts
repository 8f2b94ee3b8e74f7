/**
 * Which object of this host belongs to which account, and what kind of traffic it carries, at what time. Pure: a mapping
 * is a value, `assign` a function of it.
 */
import { type Field, type HostObject, keyOf, type Match, matches, normal, weightOf } from './mapping-match.ts';

export const trafficTypes = ['public', 'guest', 'private-gateway', 'vpn', 'management', 'storage'] as const;
export type TrafficType = (typeof trafficTypes)[number];

/** What a rule says. null: it does not say. */
export interface Belonging {
  /** null: nobody's, on purpose. */
  account: string | null;
  trafficType: TrafficType | null;
  tag: string | null;
  billable: boolean | null;
}

export interface Rule extends Belonging {
  /** Where it stands in the file. */
  line: number;
  column: number;
  match: Match;
  /** In force over [from, to), ms since 1970. */
  from: number;
  to: number;
}

/** As far as instants go. */
export const FOREVER = 8_640_000_000_000_000;

/** One stretch of an object's history. `rule` null: nothing matches, it is unattributed. */
export interface Assignment extends Belonging {
  from: number;
  to: number;
  rule: Rule | null;
}

export interface Mapping {
  rules: readonly Rule[];
  /** Rules that name a field exactly, by `field:text`. */
  readonly exact: ReadonlyMap<string, readonly Rule[]>;
  /** The others: they are tried on every object. */
  readonly patterns: readonly Rule[];
}

const keyText = (field: Field, text: string): string => `${field}:${text}`;

export const mappingOf = (rules: readonly Rule[]): Mapping => {
  const exact = new Map<string, Rule[]>();
  const patterns: Rule[] = [];
  for (const rule of rules) {
    const key = keyOf(rule.match);
    if (key === null) {
      patterns.push(rule);
      continue;
    }
    const place = keyText(key.field, key.text);
    const there = exact.get(place);
    if (there === undefined) exact.set(place, [rule]);
    else there.push(rule);
  }
  return { rules, exact, patterns };
};

export const noMapping = mappingOf([]);

const candidates = (object: HostObject, mapping: Mapping): Rule[] => {
  const found: Rule[] = [...mapping.patterns];
  for (const field of ['object', 'mac', 'alias', 'name', 'tag'] as const) {
    const text = object[field];
    if (text !== undefined) found.push(...(mapping.exact.get(keyText(field, normal(field, text))) ?? []));
  }
  return found
    .filter((rule) => matches(rule.match, object))
    .sort((a, b) => weightOf(b.match) - weightOf(a.match) || a.line - b.line);
};

const nobody: Belonging = { account: null, trafficType: null, tag: null, billable: null };

/**
 * The whole history of an object: stretches in order that cover [0, FOREVER) without holes or overlaps. Of the rules in
 * force at an instant the heaviest speaks alone: what it leaves out is not taken from a lighter one.
 */
export const assign = (object: HostObject, mapping: Mapping): Assignment[] => {
  const rules = candidates(object, mapping);
  const cuts = [...new Set([0, ...rules.flatMap((rule) => [rule.from, rule.to])])]
    .filter((at) => at < FOREVER)
    .sort((a, b) => a - b);
  const out: Assignment[] = [];
  for (const [i, from] of cuts.entries()) {
    const to = cuts[i + 1] ?? FOREVER;
    const rule = rules.find((r) => r.from <= from && from < r.to) ?? null;
    const last = out.at(-1);
    if (last !== undefined && last.rule === rule) last.to = to;
    else {
      const { account, trafficType, tag, billable } = rule ?? nobody;
      out.push({ from, to, account, trafficType, tag, billable, rule });
    }
  }
  return out;
};

/** What holds at an instant. */
export const assignedAt = (history: readonly Assignment[], at: number): Assignment =>
  history.find((a) => a.from <= at && at < a.to) ?? { from: 0, to: FOREVER, rule: null, ...nobody };
