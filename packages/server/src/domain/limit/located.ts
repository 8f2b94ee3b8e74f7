/** YAML (and so JSON) as a tree that knows where each part stands: what is refused is refused by line, column and path. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

/** Both from 1. */
export interface Spot {
  readonly line: number;
  readonly column: number;
}

/** What is wrong with a text. `path` as in `plans[0].limits[2].rate`; '' for the whole. */
export interface Flaw extends Spot {
  readonly path: string;
  readonly message: string;
}

interface Placed {
  readonly at: Spot;
  readonly path: string;
}
/** `text`: as written, without quotes. `empty`: null, or nothing was written. */
export interface Leaf extends Placed {
  readonly kind: 'leaf';
  readonly text: string;
  readonly empty: boolean;
}
export interface Branch extends Placed {
  readonly kind: 'branch';
  readonly entries: readonly { readonly name: string; readonly at: Spot; readonly value: Tree }[];
}
export interface List extends Placed {
  readonly kind: 'list';
  readonly items: readonly Tree[];
}
export type Tree = Leaf | Branch | List;

const DEPTH_MAX = 12;

/**
 * Null when the text is no YAML; then the flaws say where. Aliases are refused: nobody needs them here, and a few lines
 * of them can stand for gigabytes. The text is bounded by whoever took it in.
 */
export function readLocated(text: string): { tree: Tree | null; flaws: Flaw[] } {
  const lines = new LineCounter();
  const flaws: Flaw[] = [];
  const spot = (offset = 0): Spot => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
  for (const problem of [...document.errors, ...document.warnings])
    flaws.push({ ...spot(problem.pos[0]), path: '', message: `this is not YAML: ${firstLine(problem.message)}` });
  if (flaws.length > 0) return { tree: null, flaws };

  const leaf = (at: Spot, path: string, written = '', empty = true): Leaf => ({
    kind: 'leaf',
    at,
    path,
    text: written,
    empty,
  });
  const refuse = (at: Spot, path: string, message: string): Leaf => {
    flaws.push({ ...at, path, message });
    return leaf(at, path);
  };
  const build = (node: Node | null, path: string, depth: number, near: Spot): Tree => {
    if (node === null) return leaf(near, path);
    const at = spot(node.range?.[0]);
    if (depth > DEPTH_MAX) return refuse(at, path, 'nested too deeply');
    if (isScalar(node)) return leaf(at, path, node.source ?? String(node.value ?? ''), node.value === null);
    if (isSeq<Node>(node)) {
      const items = node.items.map((item, i) => build(item, `${path}[${i}]`, depth + 1, at));
      return { kind: 'list', at, path, items };
    }
    if (!isMap<Node, Node | null>(node)) return refuse(at, path, 'aliases are not read here: write the value out');
    const entries = node.items.map(({ key, value }) => {
      const name = isScalar(key) ? (key.source ?? String(key.value)) : '';
      const keyAt = spot(key.range?.[0]);
      return { name, at: keyAt, value: build(value, path === '' ? name : `${path}.${name}`, depth + 1, keyAt) };
    });
    return { kind: 'branch', at, path, entries };
  };
  const tree = build(document.contents as Node | null, '', 0, { line: 1, column: 1 });
  return { tree: flaws.length > 0 ? null : tree, flaws };
}

const firstLine = (text: string): string => text.split('\n')[0] ?? '';

/** Flaws in the order of the text. */
export const inOrder = (flaws: readonly Flaw[]): Flaw[] =>
  [...flaws].sort((a, b) => a.line - b.line || a.column - b.column);

/** `3:5 plans[0].key: ...`: what a compiler writes after the name of the file. */
export const flawText = ({ line, column, path, message }: Flaw): string =>
  `${line}:${column} ${path === '' ? '' : `${path}: `}${message}`;
