/** YAML as a tree that knows where each part stands, so that whatever is refused is refused with its line and column. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

/** Both from 1. */
export interface Spot {
  line: number;
  column: number;
}
export interface Flaw extends Spot {
  message: string;
}

/** `text`: as written, without quotes. `empty`: null or nothing was written. */
export interface Leaf {
  kind: 'leaf';
  at: Spot;
  text: string;
  empty: boolean;
}
export interface Branch {
  kind: 'branch';
  at: Spot;
  entries: { name: string; at: Spot; value: Tree }[];
}
export interface List {
  kind: 'list';
  at: Spot;
  items: Tree[];
}
export type Tree = Leaf | Branch | List;

const NOWHERE: Spot = { line: 1, column: 1 };
const NOTHING: Leaf = { kind: 'leaf', at: NOWHERE, text: '', empty: true };

/**
 * `tree` is null when the text is no YAML at all; an empty text is an empty leaf. Aliases and tags are refused: nobody
 * needs them here, and a few lines of aliases can stand for gigabytes.
 */
export const readTree = (text: string): { tree: Tree | null; flaws: Flaw[] } => {
  const counter = new LineCounter();
  const flaws: Flaw[] = [];
  const spot = (offset: number | undefined): Spot => {
    const { line, col } = counter.linePos(offset ?? 0);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, logLevel: 'silent' });
  for (const error of [...document.errors, ...document.warnings])
    flaws.push({ ...spot(error.pos[0]), message: `not YAML: ${error.message}` });
  if (flaws.length > 0) return { tree: null, flaws };

  const refuse = (node: Node, what: string): Leaf => {
    const at = spot(node.range?.[0]);
    flaws.push({ ...at, message: what });
    return { ...NOTHING, at };
  };
  const build = (node: Node | null, depth: number): Tree => {
    if (node === null) return NOTHING;
    if (depth > 8) return refuse(node, 'nested too deeply');
    const at = spot(node.range?.[0]);
    if (isScalar(node))
      return { kind: 'leaf', at, text: node.source ?? String(node.value ?? ''), empty: node.value === null };
    if (isSeq<Node>(node)) return { kind: 'list', at, items: node.items.map((item) => build(item, depth + 1)) };
    if (!isMap<Node, Node | null>(node)) return refuse(node, 'aliases are not read here: write the value out');
    const entries = node.items.map(({ key, value }) => ({
      name: isScalar(key) ? (key.source ?? String(key.value)) : '',
      at: spot(key.range?.[0]),
      value: value === null ? { ...NOTHING, at: spot(key.range?.[0]) } : build(value, depth + 1),
    }));
    return { kind: 'branch', at, entries };
  };
  const tree = build(document.contents as Node | null, 0);
  return { tree: flaws.length > 0 ? null : tree, flaws };
};

/** `file:line:column: message`, as compilers write it, so that editors jump there. */
export const flawLine = (path: string, flaw: Flaw): string => `${path}:${flaw.line}:${flaw.column}: ${flaw.message}`;

/** The name a person most likely meant, '' when nothing is near. */
export const nearest = (name: string, known: readonly string[]): string => {
  const ranked = known
    .map((other) => ({ other, far: distance(name.toLowerCase(), other.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  // "nftables" means "nft", though "iptables" takes fewer edits.
  const begins = known.find((other) => other.length > 2 && name.startsWith(other));
  if (begins !== undefined && (best?.far ?? 0) > 1) return begins;
  return best !== undefined && best.far <= Math.max(2, Math.floor(name.length / 3)) ? best.other : '';
};

/** "there is no X "nmae"; did you mean "name"?" */
export const unknownName = (what: string, name: string, known: readonly string[]): string => {
  const near = nearest(name, known);
  const help = near === '' ? `known are ${known.join(', ')}` : `did you mean "${near}"?`;
  return `there is no ${what} "${name}"; ${help}`;
};

/** Edits (insert, delete, replace one character) from a to b. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a.charAt(i - 1) === b.charAt(j - 1) ? 0 : 1),
        ),
      );
    row = next;
  }
  return row.at(-1) ?? 0;
};
