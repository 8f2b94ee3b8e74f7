/**
 * Keys of lines: what a line is for. What is billed of one key on all documents is summed, and held against what is
 * expected of it now. So a key names the whole period and not the part: however the period is cut by then, the sums
 * compare.
 */
import type { Instant } from '../../domain/window.ts';

export interface KeyParts {
  account: string;
  plan: string;
  /** '' for what is of the plan. */
  price: string;
  /** Start of the account's billing period. */
  period: Instant;
  /** Tells apart what else one price has: `minimum`, `once`, `discount SPRING`. */
  group: string;
}

/** `|` stands between the parts, so it is `%7C` in them. */
const escaped = (text: string): string =>
  text.includes('%') || text.includes('|') ? text.replaceAll('%', '%25').replaceAll('|', '%7C') : text;
const unescaped = (text: string): string =>
  text.includes('%') ? text.replaceAll('%7C', '|').replaceAll('%25', '%') : text;

export const lineKey = ({ account, plan, price, period, group }: KeyParts): string =>
  `${escaped(account)}|${escaped(plan)}|${escaped(price)}|${period}|${escaped(group)}`;

/** The same line's key for another group: its discount, its minimum. */
export const keyFor = (key: string, group: string): string => {
  const parts = readKey(key);
  return lineKey({ ...parts, group: parts.group === '' ? group : `${parts.group} ${group}` });
};

export function readKey(key: string): KeyParts {
  const [account = '', plan = '', price = '', period = '', group = ''] = key.split('|').map(unescaped);
  return { account, plan, price, period: Number(period), group };
}
