/** `iptables-save -c`: chains and rules with their counters, as text. */
import { createHash } from 'node:crypto';
import { digits } from './exact.ts';

export interface IptablesRule {
  table: string;
  chain: string;
  /** The rule after `-A CHAIN `, in one way of writing it. */
  spec: string;
  words: readonly string[];
  packets: bigint;
  bytes: bigint;
}

export interface Saved {
  rules: IptablesRule[];
  /** Lines that are none of the format's, by number from 1. */
  malformed: number[];
}

/** Words of a rule; a text in quotes is one word, with `\"` and `\\` undone. */
export const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map((m) => (m[1] === undefined ? m[0] : m[1].replace(/\\(.)/g, '$1')));

/** Versions write a full mask or leave it away; the rule is the same. */
const normal = (spec: string): string => spec.trim().replace(/(0x[\da-f]+)\/0xffffffff\b/g, '$1');

const RULE = /^\[(\d+):(\d+)\] -A (\S+)(?: (.*))?$/;

/** Throws when a table is not closed: the listing was cut off, and what is missing has not ended. */
export const parseSaved = (text: string): Saved => {
  const rules: IptablesRule[] = [];
  const malformed: number[] = [];
  let table = '';
  for (const [at, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#') || line.startsWith(':')) continue;
    if (line.startsWith('*')) table = line.slice(1);
    else if (line === 'COMMIT') table = '';
    else {
      const rule = table === '' ? null : parseRule(table, line);
      if (rule === null) malformed.push(at + 1);
      else rules.push(rule);
    }
  }
  if (table !== '') throw new Error(`iptables-save: the table ${table} is cut off`);
  return { rules, malformed };
};

const parseRule = (table: string, line: string): IptablesRule | null => {
  const [, first = '', second = '', chain = '', rest = ''] = RULE.exec(line) ?? [];
  const [packets, bytes] = [digits(first), digits(second)];
  if (packets === null || bytes === null || chain === '') return null;
  const spec = normal(rest);
  return { table, chain, spec, words: wordsOf(spec), packets, bytes };
};

/** What a rule is known by: its place in the listing changes when another is inserted. */
export const idOf = ({ spec }: Pick<IptablesRule, 'spec'>): string =>
  createHash('sha256').update(spec).digest('hex').slice(0, 16);

/** The word after an option that is not negated (`! -o eth0`); undefined: the rule does not say. */
export const valueAfter = (words: readonly string[], option: string): string | undefined => {
  const at = words.indexOf(option);
  return at < 0 || words[at - 1] === '!' ? undefined : words[at + 1];
};
