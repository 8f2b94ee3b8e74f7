/** The mapping file: YAML to rules. Whatever is wrong is named with its line; a file with a fault has no rules at all. */
import { FOREVER, type Mapping, mappingOf, type Rule, type TrafficType, trafficTypes } from './mapping.ts';
import { type Field, fields, isGlob, keyOf, type Match, normal, overlap, weightOf } from './mapping-match.ts';
import { parseInstant, zoneOf } from './mapping-time.ts';
import { type Branch, type Flaw, type Leaf, readTree, type Spot, type Tree, unknownName } from './settings-tree.ts';

const fileNames = ['zone', 'objects'] as const;
const ruleNames = ['match', 'account', 'trafficType', 'tag', 'from', 'to', 'billable'] as const;

/** Rules, or what is wrong with the text, in the order of its lines. */
export const parseMapping = (text: string): { mapping: Mapping } | { flaws: Flaw[] } => {
  const { tree, flaws } = readTree(text);
  const rules = tree === null ? [] : new Reader(flaws).file(tree);
  if (flaws.length === 0) flaws.push(...clashes(rules));
  return flaws.length > 0
    ? { flaws: flaws.sort((a, b) => a.line - b.line || a.column - b.column) }
    : { mapping: mappingOf(rules) };
};

class Reader {
  readonly #flaws: Flaw[];
  #zone: Intl.DateTimeFormat | null = null;

  constructor(flaws: Flaw[]) {
    this.#flaws = flaws;
  }

  file(tree: Tree): Rule[] {
    if (tree.kind === 'leaf' && tree.empty) return [];
    if (tree.kind !== 'branch') return this.#none(tree.at, 'wants "objects:" with a list of rules');
    this.#names(tree, fileNames, 'part of the mapping');
    const zone = this.#text(tree, 'zone');
    if (zone !== null) {
      this.#zone = zoneOf(zone.text);
      if (this.#zone === null) this.#flaw(zone.at, `there is no time zone "${zone.text}" (wants an IANA name)`);
    }
    const objects = part(tree, 'objects');
    if (objects === undefined) return this.#none(tree.at, 'wants "objects:" with a list of rules');
    if (objects.kind === 'leaf' && objects.empty) return [];
    if (objects.kind !== 'list') return this.#none(objects.at, 'objects wants a list of rules ("- match: ...")');
    return objects.items.flatMap((item) => this.#rule(item) ?? []);
  }

  #rule(item: Tree): Rule | null {
    if (item.kind !== 'branch') return this.#fail(item.at, 'a rule wants "match:" and what belongs to it');
    this.#names(item, ruleNames, 'part of a rule');
    const match = this.#match(item);
    const account = this.#account(item);
    const [from, to] = [this.#instant(item, 'from') ?? 0, this.#instant(item, 'to') ?? FOREVER];
    if (to <= from) this.#flaw(part(item, 'to')?.at ?? item.at, 'to must come after from');
    const [trafficType, billable, tag] = [this.#traffic(item), this.#flag(item), this.#text(item, 'tag')];
    if (tag !== null && tag.text.length > 64) this.#flaw(tag.at, 'tag is a text of at most 64 characters');
    if (match === null || account === undefined) return null;
    return { ...item.at, match, account, trafficType, tag: tag?.text ?? null, billable, from, to };
  }

  #match(rule: Branch): Match | null {
    const tree = part(rule, 'match');
    if (tree?.kind !== 'branch' || tree.entries.length === 0)
      return this.#fail(tree?.at ?? rule.at, `match wants at least one of ${fields.join(', ')}`);
    this.#names(tree, fields, 'field to match');
    const match: Partial<Record<Field, string>> = {};
    for (const field of fields) {
      const leaf = this.#text(tree, field);
      if (leaf === null) continue;
      match[field] = normal(field, leaf.text);
      if (field === 'mac' && !isGlob(leaf.text) && !/^([\da-f]{2}:){5}[\da-f]{2}$/.test(match.mac ?? ''))
        this.#flaw(leaf.at, `"${leaf.text}" is no MAC address`);
    }
    return match;
  }

  /** undefined: refused. */
  #account(rule: Branch): string | null | undefined {
    const tree = part(rule, 'account');
    if (tree === undefined)
      return this.#miss(rule.at, 'account is missing (account: null says that it is nobody’s on purpose)');
    if (tree.kind !== 'leaf') return this.#miss(tree.at, 'account is a text');
    if (tree.empty) return null;
    if (!isAccount(tree.text))
      return this.#miss(
        tree.at,
        `"${tree.text}" is no account: 1 to 256 characters, no spaces around, no control characters`,
      );
    return tree.text;
  }

  #traffic(rule: Branch): TrafficType | null {
    const leaf = this.#text(rule, 'trafficType');
    const type = trafficTypes.find((t) => t === leaf?.text);
    if (leaf !== null && type === undefined) this.#flaw(leaf.at, unknownName('traffic type', leaf.text, trafficTypes));
    return type ?? null;
  }

  #flag(rule: Branch): boolean | null {
    const leaf = this.#text(rule, 'billable');
    if (leaf !== null && !['true', 'false'].includes(leaf.text)) this.#flaw(leaf.at, 'billable is true or false');
    return leaf === null ? null : leaf.text === 'true';
  }

  #instant(rule: Branch, name: string): number | null {
    const leaf = this.#text(rule, name);
    if (leaf === null) return null;
    const at = parseInstant(leaf.text, this.#zone);
    if (typeof at === 'number') return at;
    this.#flaw(leaf.at, `${name}: ${at}`);
    return null;
  }

  /** A text that must not be empty when it is there. */
  #text(branch: Branch, name: string): Leaf | null {
    const tree = part(branch, name);
    if (tree === undefined) return null;
    if (tree.kind === 'leaf' && !tree.empty && tree.text !== '') return tree;
    this.#flaw(tree.at, `${name} wants a text`);
    return null;
  }

  #names(branch: Branch, known: readonly string[], what: string): void {
    for (const { name, at } of branch.entries)
      if (!known.includes(name)) this.#flaw(at, unknownName(what, name, known));
  }

  #flaw({ line, column }: Spot, message: string): void {
    this.#flaws.push({ line, column, message });
  }
  #none(at: Spot, message: string): [] {
    this.#flaw(at, message);
    return [];
  }
  #fail(at: Spot, message: string): null {
    this.#flaw(at, message);
    return null;
  }
  #miss(at: Spot, message: string): undefined {
    this.#flaw(at, message);
  }
}

const part = (branch: Branch, name: string): Tree | undefined => branch.entries.find((e) => e.name === name)?.value;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const isAccount = (text: string): boolean => /^(?!\s)[^\u0000-\u001f\u007f-\u009f]{1,256}(?<!\s)$/u.test(text);

/** Two rules of one weight that can mean one object at one time: which of them holds would be luck. */
const clashes = (rules: readonly Rule[]): Flaw[] => {
  const alike = new Map<string, Rule[]>();
  for (const rule of rules) {
    const key = keyOf(rule.match);
    const bucket = `${weightOf(rule.match)} ${key === null ? '' : `${key.field}:${key.text}`}`;
    const others = alike.get(bucket);
    if (others === undefined) alike.set(bucket, [rule]);
    else others.push(rule);
  }
  return [...alike.values()].flatMap((group) =>
    group.flatMap((rule, i) => {
      const other = group.slice(0, i).find((o) => o.from < rule.to && rule.from < o.to && overlap(o.match, rule.match));
      if (other === undefined) return [];
      const { line, column } = rule;
      const message = `the rules of lines ${other.line} and ${line} weigh the same, can match one object, and are in force at the same time`;
      return [{ line, column, message }];
    }),
  );
};
