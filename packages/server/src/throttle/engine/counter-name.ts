/**
 * Names of counters as one string. Limit keys and accounts follow a character that is their length, so that no subject,
 * which may be anything that somebody sends, can read as part of them.
 */
import type { Gate } from './types.ts';

export interface CounterName {
  limit: string;
  account: string;
  /** null: the overflow counter of the limit and account. */
  subject: string | null;
}

/** Of a gate's counter, in stores that servers share. What is stored goes by it: it stays as it is. */
export const sharedName = ({ limit, account, subject }: Gate): string => JSON.stringify([limit.key, account, subject]);

/** A text after its length; up to 65,535. */
export const counted = (text: string): string => String.fromCharCode(text.length) + text;

/** All but the subject. `prefix` is the limit's key, counted. */
export const namePrefix = (prefix: string, account: string): string => prefix + counted(account);

/** Whether `name` is namePrefix(prefix, account) and the subject, without making it. */
export function isName(name: string, prefix: string, account: string, subject: string): boolean {
  const at = prefix.length + 1;
  return (
    name.length === at + account.length + subject.length &&
    name.charCodeAt(at - 1) === account.length &&
    name.startsWith(subject, at + account.length) &&
    name.startsWith(account, at) &&
    name.startsWith(prefix)
  );
}

export function parseName(name: string): CounterName & { subject: string } {
  const account = 1 + name.charCodeAt(0);
  const subject = account + 1 + name.charCodeAt(account);
  return { limit: name.slice(1, account), account: name.slice(account + 1, subject), subject: name.slice(subject) };
}

/** The name without its subject. */
export function groupName(name: string): string {
  const account = 1 + name.charCodeAt(0);
  return name.slice(0, account + 1 + name.charCodeAt(account));
}
