/** What the name and the comment of an nft counter say of whose traffic it counts. */
import { type Direction, trafficTypeOf } from './meters.ts';
import type { Hints } from './poller.ts';

export interface Told {
  direction?: Direction;
  tag?: string;
  hints: Hints;
}

const directionOf = (word: string): Direction | undefined =>
  ['in', 'rx', 'received'].includes(word) ? 'received' : ['out', 'tx', 'sent'].includes(word) ? 'sent' : undefined;

/**
 * `t.<tenant>.<network>.<class>.<dir>`: class is public, guest, private-gw, vpn, lb, mgmt or storage; dir is in or out as
 * the tenant sees it. The tenant may hold dots: the three parts after it may not. Null for any other name.
 */
export const parseName = (name: string): Told | null => {
  const parts = name.split('.');
  if (parts[0] !== 't' || parts.length < 5) return null;
  const [network = '', kind = '', dir = ''] = parts.slice(-3);
  const account = parts.slice(1, -3).join('.');
  const direction = directionOf(dir);
  const trafficType = trafficTypeOf(kind);
  if (direction === undefined || trafficType === undefined || account === '') return null;
  return { direction, hints: { account, trafficType, ...(network === '' ? {} : { network }) } };
};

/** Words `account=...`, `tag=...`, `class=...`, `dir=...`, `network=...` in any order; other words are for people. */
export const parseComment = (comment: string): Told => {
  const words = new Map(comment.split(/\s+/).flatMap((word) => pair(word)));
  const [account, network, tag] = [words.get('account'), words.get('network'), words.get('tag')];
  const direction = directionOf(words.get('dir') ?? '');
  const trafficType = trafficTypeOf(words.get('class') ?? '');
  return {
    ...(direction === undefined ? {} : { direction }),
    ...(tag === undefined ? {} : { tag }),
    hints: {
      ...(account === undefined ? {} : { account }),
      ...(trafficType === undefined ? {} : { trafficType }),
      ...(network === undefined ? {} : { network }),
    },
  };
};

const pair = (word: string): [string, string][] => {
  const at = word.indexOf('=');
  return at > 0 && at < word.length - 1 ? [[word.slice(0, at), word.slice(at + 1)]] : [];
};

/** The ending of a name that is not of our making: `web_in`, `eth0-tx`. */
export const directionOfEnding = (name: string): Direction | undefined => directionOf(name.split(/[._-]/).at(-1) ?? '');
