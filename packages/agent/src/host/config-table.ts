/** A list or a map in the settings file, read by a table of options. What is wrong goes to `flaws`. */
import { type Branch, type Flaw, type Spot, type Tree, unknownName } from './settings-tree.ts';
import { boundsOf, type Kind, type Kinds, parseValue, type Row, type Setting } from './settings-values.ts';

type Value = Kinds[Kind];
export type Options = Readonly<Record<string, Setting & { required?: boolean }>>;

export class TableReader {
  readonly #flaws: Flaw[];

  constructor(flaws: Flaw[]) {
    this.#flaws = flaws;
  }

  /** Every option of the table; one that was not given has its fallback. `prefix` stands before names in complaints. */
  table(entries: Branch['entries'], known: Options, prefix: string, at: Spot): Record<string, Value> {
    const values: Record<string, Value> = {};
    for (const [name, setting] of Object.entries(known)) {
      values[name] = setting.fallback;
      if (setting.required === true && !entries.some((entry) => entry.name === name))
        this.flaw(at, `${prefix}${name} is missing, wants ${boundsOf(setting)}`);
    }
    for (const { name, at: place, value } of entries) {
      const setting = Object.hasOwn(known, name) ? known[name] : undefined;
      if (setting === undefined)
        this.flaw(
          place,
          unknownName(
            'option',
            prefix + name,
            Object.keys(known).map((k) => prefix + k),
          ),
        );
      else values[name] = this.#value(prefix + name, setting, value);
    }
    return values;
  }

  #value(name: string, setting: Setting, tree: Tree): Value {
    if (setting.kind === 'rows' && tree.kind === 'list')
      return tree.items.flatMap((item) => this.#row(name, setting, item));
    if (setting.kind === 'pairs' && tree.kind === 'branch') return this.#pairs(name, setting, tree);
    const text = textOf(tree, setting);
    const value = text === null ? undefined : parseValue(setting, text);
    if (value === undefined) {
      const shown = text === null ? 'this' : JSON.stringify(text);
      this.flaw(tree.at, `${name}: ${shown} is refused, wants ${boundsOf(setting)}`);
    }
    return value ?? setting.fallback;
  }

  #row(name: string, setting: Setting, item: Tree): Row[] {
    if (item.kind === 'branch') return [this.table(item.entries, setting.columns ?? {}, `${name}.`, item.at) as Row];
    this.flaw(item.at, `${name}: wants ${boundsOf(setting)}`);
    return [];
  }

  #pairs(name: string, setting: Setting, tree: Branch): Record<string, string> {
    const pairs: [string, string][] = [];
    for (const { name: key, value } of tree.entries) {
      const text = value.kind === 'leaf' && !value.empty ? value.text : null;
      if (text === null || (setting.oneOf.length > 0 && !setting.oneOf.includes(text)))
        this.flaw(
          value.at,
          `${name}.${key}: ${text === null ? 'this' : JSON.stringify(text)} is refused, wants ${boundsOf(setting)}`,
        );
      else pairs.push([key, text]);
    }
    return Object.fromEntries(pairs);
  }

  flaw({ line, column }: Spot, message: string): void {
    this.#flaws.push({ line, column, message });
  }

  none(at: Spot, message: string): null {
    this.flaw(at, message);
    return null;
  }
}

/** Words may also stand as a YAML list. */
const textOf = (tree: Tree, setting: Setting): string | null => {
  if (tree.kind === 'leaf') return tree.empty ? null : tree.text;
  if (tree.kind !== 'list' || setting.kind !== 'words') return null;
  const words = tree.items.map((item) => (item.kind === 'leaf' && !item.empty ? item.text : null));
  return words.includes(null) ? null : words.join(',');
};
