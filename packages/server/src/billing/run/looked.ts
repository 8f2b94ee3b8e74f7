/**
 * What an invoice looks at besides its own period: the time before it, of each account that is paid for now, whoever was
 * billed for it then. It is cut so that each instant is looked at once: at the oldest document that was for the account
 * and that time, and where there is none as what was never billed.
 */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { BillingPeriod } from '../../domain/price/price.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import { historyOf } from '../invoice/history.ts';
import { periodsOf } from '../invoice/period.ts';
import { billersOf } from './past.ts';

/** A final invoice that stands, as far as this asks. */
export interface Standing extends Interval {
  id: number;
  /** Who got it. */
  account: string;
  frontier: Receipt;
}

/** Periods of these accounts that ended in (from, to]. */
export interface Looked extends Interval {
  accounts: readonly string[];
  /** Null: no document was for them then. */
  document: Standing | null;
}

/** `standing`: all final invoices that stand of all who may have billed something of the accounts. */
export function lookedAt(
  book: Book,
  accounts: readonly string[],
  standing: readonly Standing[],
  before: Instant,
): Looked[] {
  const byPayer = byAccount(standing);
  const found = new Map<string, Looked & { accounts: string[] }>();
  for (const account of accounts) {
    const billed = billersOf(book, [account]).flatMap((biller) => byPayer.get(biller) ?? []);
    const oldestFirst = billed.sort((a, b) => a.id - b.id);
    for (const { from, to, document } of partsOf(book, account, oldestFirst, before)) {
      const name = `${document?.id ?? 0} ${from} ${to}`;
      const known = found.get(name);
      if (known === undefined) found.set(name, { from, to, document, accounts: [account] });
      else known.accounts.push(account);
    }
  }
  const idOf = ({ document }: Looked): number => document?.id ?? Number.MAX_SAFE_INTEGER;
  return [...found.values()].sort((a, b) => idOf(a) - idOf(b) || a.from - b.from || a.to - b.to);
}

function byAccount(standing: readonly Standing[]): Map<string, Standing[]> {
  const found = new Map<string, Standing[]>();
  for (const one of standing) {
    const known = found.get(one.account);
    if (known === undefined) found.set(one.account, [one]);
    else known.push(one);
  }
  return found;
}

type Part = Omit<Looked, 'accounts'>;

function partsOf(book: Book, account: string, oldestFirst: readonly Standing[], before: Instant): Part[] {
  const about = oldestFirst.filter((one) => book.billing.payerAt(account, one.frontier) === one.account);
  const held = historyOf(book, account).holdings[0]?.from ?? Number.MAX_SAFE_INTEGER;
  const start = about.reduce((least, { from }) => Math.min(least, from), held);
  if (start >= before) return [];
  let open: Interval[] = [{ from: start, to: before }];
  const parts: Part[] = [];
  for (const document of about) {
    const rest: Interval[] = [];
    for (const { from, to } of open) {
      const [first, last] = [Math.max(from, document.from), Math.min(to, document.to)];
      if (first >= last) {
        rest.push({ from, to });
        continue;
      }
      parts.push({ from: first, to: last, document });
      if (from < first) rest.push({ from, to: first });
      if (last < to) rest.push({ from: last, to });
    }
    open = rest;
  }
  parts.push(...open.map((one) => ({ ...one, document: null })));
  return isAlone(book, account, [account])
    ? parts
    : parts.map((part) => (part.from === start ? { ...part, from: Math.max(0, start - longestPeriod(book)) } : part));
}

/** Nobody else was ever billed for it, and it pays for nobody: all its documents are of its own periods. */
export const isAlone = (book: Book, payer: string, accounts: readonly string[]): boolean =>
  accounts.length === 1 && accounts[0] === payer && book.everAbove(payer).length === 0;

/** From where on the usage and the fees of these periods are: of those that ended in (from, to] the first may begin before. */
export function beginOf(book: Book, { accounts, from, to }: Looked): Instant {
  return accounts.reduce((least, account) => {
    const period = periodsOf(historyOf(book, account).calendars, from).next().value;
    return period === undefined || period.from >= to ? least : Math.min(least, period.from);
  }, from);
}

const DAY = 86_400_000;
const days: Readonly<Record<BillingPeriod['unit'], number>> = { day: 1, week: 7, month: 31, year: 366 };
/** Clocks are changed, zones too. */
const SLACK = 3 * DAY;
const kept = new WeakMap<Book, { at: Receipt; longest: number }>();

/** No payer's period is longer, so no document bills further ahead than this, in milliseconds. */
export function longestPeriod(book: Book): number {
  const known = kept.get(book);
  if (known?.at === book.at) return known.longest;
  let longest = days.month;
  for (const { billing } of book.catalogue.allVersions()) {
    if (billing !== null) longest = Math.max(longest, days[billing.period.unit] * billing.period.count);
  }
  const found = { at: book.at, longest: longest * DAY + SLACK };
  kept.set(book, found);
  return found.longest;
}
