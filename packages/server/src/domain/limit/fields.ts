/** Reading the fields of one object of a located tree. Whatever is wrong is added to the flaws; reading goes on. */
import { Misread, quoted } from './amount.ts';
import type { Branch, Flaw, Leaf, Spot, Tree } from './located.ts';

const KEY = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;
const CONTROL = /\p{Cc}|\p{Surrogate}/u;

export class Fields {
  readonly path: string;
  readonly at: Spot;
  private readonly flaws: Flaw[];
  private readonly entries: Branch['entries'];

  /** `known`: all names the object may have. */
  constructor(tree: Tree, flaws: Flaw[], known: readonly string[], what: string) {
    this.path = tree.path;
    this.at = tree.at;
    this.flaws = flaws;
    this.entries = tree.kind === 'branch' ? tree.entries : [];
    if (tree.kind !== 'branch')
      this.wrongAt(tree.at, tree.path, `${what} is an object with the fields ${known.join(', ')}`);
    for (const { name, at, value } of this.entries)
      if (!known.includes(name)) this.wrongAt(at, value.path, `unknown field; allowed are ${known.join(', ')}`);
  }

  /** As written; undefined when left away or empty. */
  tree(name: string): Tree | undefined {
    const value = this.entries.find((e) => e.name === name)?.value;
    return value === undefined || (value.kind === 'leaf' && value.empty) ? undefined : value;
  }

  has(name: string): boolean {
    return this.tree(name) !== undefined;
  }

  leaf(name: string, wanted: string): Leaf | undefined {
    const value = this.tree(name);
    if (value === undefined || value.kind === 'leaf') return value;
    this.wrong(name, wanted);
    return undefined;
  }

  items(name: string, wanted: string, most: number): readonly Tree[] {
    const value = this.tree(name);
    if (value === undefined) return [];
    if (value.kind === 'list' && value.items.length <= most) return value.items;
    this.wrong(name, `${wanted}, at most ${most}`);
    return [];
  }

  text(name: string, absent: string, most: number): string {
    const leaf = this.leaf(name, 'a text');
    if (leaf === undefined) return absent;
    if (leaf.text.length <= most && !CONTROL.test(leaf.text)) return leaf.text;
    this.wrong(name, `a text of at most ${most} characters, without line breaks`);
    return absent;
  }

  key(): string {
    const key = this.leaf('key', 'a text')?.text ?? '';
    if (!KEY.test(key))
      this.wrong('key', `${quoted(key)}: lower case letters, digits, dots, dashes and underscores, at most 63`);
    return key;
  }

  oneOf<T extends string>(name: string, words: readonly T[], absent: T): T {
    const leaf = this.leaf(name, `one of ${words.join(', ')}`);
    if (leaf === undefined) return absent;
    const word = words.find((w) => w === leaf.text);
    if (word === undefined) this.wrong(name, `${quoted(leaf.text)} is not known; one of ${words.join(', ')}`);
    return word ?? absent;
  }

  flag(name: string, absent: boolean): boolean {
    return this.oneOf(name, ['true', 'false'], absent ? 'true' : 'false') === 'true';
  }

  texts(name: string, most: number): string[] {
    const out = this.items(name, 'a list of texts', most).map((item) => {
      const good = item.kind === 'leaf' && !item.empty && item.text.length <= 128 && !CONTROL.test(item.text);
      if (!good) this.wrongAt(item.at, item.path, 'a text of 1 to 128 characters, without line breaks');
      return item.kind === 'leaf' ? item.text : '';
    });
    const twice = out.find((text, i) => out.indexOf(text) !== i);
    if (twice !== undefined) this.wrong(name, `${quoted(twice)} stands here twice`);
    return out;
  }

  /** The value of the field read by `read`, or `absent` when it is left away or wrong. */
  read<V>(name: string, absent: V, wanted: string, read: (text: string) => V | Misread): V {
    const leaf = this.leaf(name, wanted);
    if (leaf === undefined) return absent;
    const value = read(leaf.text);
    if (!(value instanceof Misread)) return value;
    this.wrong(name, value.why);
    return absent;
  }

  /** At the field, or when it is left away at the object. */
  wrong(name: string, message: string): void {
    const entry = this.entries.find((e) => e.name === name);
    const path = [this.path, name].filter((part) => part !== '').join('.');
    this.wrongAt(entry?.value.at ?? this.at, path, message);
  }

  private wrongAt(at: Spot, path: string, message: string): void {
    this.flaws.push({ line: at.line, column: at.column, path, message });
  }
}
