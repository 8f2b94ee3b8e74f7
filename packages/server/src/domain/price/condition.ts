/**
 * Conditions of prices in CEL, over `account` (id, name, zone, currency) and `dimensions`. They read no clock, and are
 * bounded in size: a condition is written by an operator, but names in it come from tenants.
 */
import { Environment } from '@marcbachmann/cel-js';
import { Misread } from '../limit/amount.ts';

export interface ConditionInput {
  account: { id: string; name: string; zone: string; currency: string };
  /** Values of the dimensions that the condition names; of one that is left away, ''. */
  dimensions: Readonly<Record<string, string>>;
}

export interface Condition {
  /** Names of dimensions it reads, sorted: usage is told apart by them before it is asked. */
  dimensions: readonly string[];
  /** Throws ConditionError: what looked sound failed on these values, such as `int(dimensions.size)` of a word. */
  holds(input: ConditionInput): boolean;
}

export class ConditionError extends Error {
  override name = 'ConditionError';
  readonly code = 'price.condition';
}

const text = 'string';
const environment = new Environment({ limits: { maxAstNodes: 500, maxDepth: 40 } })
  .registerVariable({ name: 'account', schema: { id: text, name: text, zone: text, currency: text } })
  .registerVariable('dimensions', 'map<string, string>');

/** Functions that could run for ever on a name that a tenant has chosen. */
const REFUSED = new Set(['matches']);
/** Each goes over a list, or gives a value a name: one within another multiplies, and 500 nodes are enough for days. */
const LOOPS = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);

/** What the condition is, or why it does not compile. */
export function readCondition(condition: string): Condition | Misread {
  const checked = environment.check(condition);
  if (!checked.valid) return new Misread(`does not compile: ${firstLine(checked.error)}`);
  if (checked.type !== 'bool') return new Misread(`is a condition, which is true or false; this is a ${checked.type}`);
  const evaluate = environment.parse(condition);
  const names = new Set<string>();
  const wrong = walk(evaluate.ast as unknown as Node, names, false);
  if (wrong !== null) return new Misread(wrong);
  const dimensions = [...names].sort();
  return { dimensions, holds: (input) => judge(condition, evaluate, dimensions, input) };
}

function judge(
  condition: string,
  evaluate: (context: Record<string, unknown>) => unknown,
  names: readonly string[],
  { account, dimensions }: ConditionInput,
): boolean {
  const own = (name: string): string => (Object.hasOwn(dimensions, name) ? (dimensions[name] ?? '') : '');
  const values = new Map(names.map((name) => [name, own(name)]));
  try {
    return evaluate({ account, dimensions: values }) === true;
  } catch (error) {
    throw new ConditionError(`The condition ${JSON.stringify(condition)} failed: ${firstLine(error)}`);
  }
}

interface Node {
  op: string;
  args: unknown;
}
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'op' in value;
const isDimensions = (value: unknown): boolean => isNode(value) && value.op === 'id' && value.args === 'dimensions';

/** Collects the dimensions that are read. Answers what is wrong, or null. */
function walk(node: unknown, names: Set<string>, inLoop: boolean): string | null {
  if (Array.isArray(node)) return firstOf(node, names, inLoop);
  if (!isNode(node)) return null;
  if (isDimensions(node)) return 'reads dimensions by their names only: `dimensions.region`, `dimensions["a b"]`';
  const args = Array.isArray(node.args) ? (node.args as unknown[]) : [node.args];
  const called = node.op === 'call' || node.op === 'rcall' ? String(args[0]) : '';
  if (REFUSED.has(called)) return `does not use \`${called}\`: compare, or use startsWith, endsWith, contains`;
  const loops = LOOPS.has(called);
  if (loops && inLoop) return `does not use \`${called}\` within another loop: ${[...LOOPS].join(', ')} stand alone`;
  if ((node.op === '.' || node.op === '[]') && isDimensions(args[0])) {
    const name = nameIn(args[1]);
    // The library would answer with the map's own prototype.
    if (name === '__proto__') return 'reads no dimension of this name';
    if (name !== null) {
      names.add(name);
      return null;
    }
  }
  return firstOf(args, names, inLoop || loops);
}

const firstOf = (nodes: readonly unknown[], names: Set<string>, inLoop: boolean): string | null =>
  nodes.reduce<string | null>((found, node) => found ?? walk(node, names, inLoop), null);

/** The name behind a dot, or a text in brackets. */
function nameIn(index: unknown): string | null {
  if (typeof index === 'string') return index;
  return isNode(index) && index.op === 'value' && typeof index.args === 'string' ? index.args : null;
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
