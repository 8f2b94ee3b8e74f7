/** Lines in the order of their numbers, under headings: whose they are, where one pays for several; of which plan; corrections last. */
import type { InvoiceDocument, Line } from '../invoice/document.ts';
import { type Row, rowOf } from './rows.ts';
import { amountText, clean } from './texts.ts';

/** Lines of one account and plan that follow each other. */
export interface Group {
  /** `Account acme`; '' where it is the same as above, or all lines are of one. */
  account: string;
  /** `Plan pro`, `Corrections of earlier invoices`. */
  title: string;
  rows: readonly Row[];
  /** `Account acme: sum`, behind its last group; null else. */
  sum: { text: string; amount: string } | null;
}

export function groupsOf(document: InvoiceDocument): Group[] {
  const isSeveral = new Set(document.lines.map(({ account }) => account)).size > 1;
  const groups: { account: string; title: string; lines: Line[] }[] = [];
  for (const line of ordered(document.lines)) {
    const title = titleOf(line);
    const last = groups.at(-1);
    if (last !== undefined && last.account === line.account && last.title === title) last.lines.push(line);
    else groups.push({ account: line.account, title, lines: [line] });
  }
  return groups.map(({ account, title, lines }, i) => ({
    account: isSeveral && groups[i - 1]?.account !== account ? `Account ${clean(account)}` : '',
    title,
    rows: lines.map((line) => rowOf(line, document)),
    sum: isSeveral && groups[i + 1]?.account !== account ? sumOf(account, document) : null,
  }));
}

/** Accounts in the order in which they first come; within one, lines as they are numbered. */
function ordered(lines: readonly Line[]): Line[] {
  const byAccount = new Map<string, Line[]>();
  for (const line of lines) {
    const known = byAccount.get(line.account);
    if (known === undefined) byAccount.set(line.account, [line]);
    else known.push(line);
  }
  return [...byAccount.values()].flat();
}

const titleOf = ({ kind, corrects, plan }: Line): string =>
  kind === 'adjustment' || corrects !== ''
    ? 'Corrections of earlier invoices'
    : plan === ''
      ? ''
      : `Plan ${clean(plan)}`;

function sumOf(account: string, document: InvoiceDocument): { text: string; amount: string } {
  const sum = document.lines
    .filter((line) => line.account === account)
    .reduce((all, line) => all + BigInt(line.amount), 0n);
  return { text: `Lines of account ${clean(account)}`, amount: amountText(sum, document) };
}
