/** Quotas over the past: whole periods first, and only those above the amount window by window. */
import type { Book } from '../domain/book.ts';
import { calendarOf } from '../domain/limit/calendar-of.ts';
import { metersOf, type QuotaRule } from '../domain/limit/limit.ts';
import { periodAt } from '../domain/limit/period.ts';
import { parseQuantity, type Quantity, SCALE } from '../domain/quantity.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { UsageQuery, UsageRow } from '../usage/index.ts';
import { accountsOf, type Simulated, type SimulationDeps, type SimulationStep } from './simulated.ts';
import { wholeUnits } from './usage-scope.ts';

/** Accounts of one question about totals. */
const TOGETHER = 500;
/** Days of one question about windows: an answer holds 10,000 of them. */
const SPAN_MS = 90 * 86_400_000;

interface Task {
  accounts: string[];
  period: Interval;
}

export async function* simulateQuota(
  deps: SimulationDeps,
  what: Simulated,
  rule: QuotaRule,
  span: Interval,
): AsyncIterable<SimulationStep> {
  const tasks = tasksOf(deps.book, what, rule, span);
  for (const [i, { accounts, period }] of tasks.entries()) {
    const until = Math.min(period.to, span.to);
    const totals = await sums(deps, what, { ...period, to: until }, accounts);
    for (const { account, subject, used } of totals.values()) {
      if (used <= BigInt(rule.amount) * SCALE) continue;
      const first = await firstAbove(deps, what, { ...period, to: until }, account, subject, rule.amount);
      if (first === null) continue;
      const whole = BigInt(wholeUnits(used));
      const found = {
        account,
        subject,
        ...period,
        amount: rule.amount,
        used: whole,
        over: whole - BigInt(rule.amount),
      };
      const refusal = { ...found, refusals: null, firstFrom: first.from, firstTo: first.to };
      yield { kind: 'refusal', refusal };
    }
    yield { kind: 'progress', done: i + 1, of: tasks.length };
  }
}

/** Accounts whose periods are the same are asked about together; a subtree is asked about alone. */
function tasksOf(book: Book, what: Simulated, rule: QuotaRule, span: Interval): Task[] {
  const together = what.limit.scope === 'subtree' ? 1 : TOGETHER;
  const open = new Map<string, Task>();
  const out: Task[] = [];
  for (const account of accountsOf(book, what)) {
    const calendar = calendarOf(book, account, span.from);
    for (let t = span.from; t < span.to; ) {
      const period = periodAt(calendar, rule.period, t);
      const key = `${period.from}/${period.to}`;
      let task = open.get(key);
      if (task === undefined || task.accounts.length >= together) {
        task = { accounts: [], period };
        open.set(key, task);
        out.push(task);
      }
      task.accounts.push(account);
      t = period.to;
    }
  }
  return out.sort((a, b) => a.period.from - b.period.from);
}

interface Sum {
  account: string;
  subject: string;
  used: Quantity;
}

const nameOf = ({ limit }: Simulated): string | null =>
  limit.scope === 'resource' ? 'resource' : typeof limit.scope === 'object' ? limit.scope.dimension : null;

function queryOf(what: Simulated, { from, to }: Interval, accounts: readonly string[]): UsageQuery {
  const by = nameOf(what);
  const isSubtree = what.limit.scope === 'subtree';
  const filter = { meters: metersOf(what.limit.meter), accounts, subtree: isSubtree };
  const groupBy = isSubtree ? [] : ['account', ...(by === null ? [] : [by])];
  return { filter, from, to, windowSize: 'total', zone: 'UTC', groupBy };
}

async function sums(
  { usage }: SimulationDeps,
  what: Simulated,
  period: Interval,
  accounts: readonly string[],
): Promise<Map<string, Sum>> {
  const { rows } = await usage.query(queryOf(what, period, accounts), null);
  const found = new Map<string, Sum>();
  for (const row of rows) {
    const { account, subject } = ownerOf(row, what, accounts);
    const key = JSON.stringify([account, subject]);
    const sum = found.get(key) ?? { account, subject, used: 0n };
    sum.used += parseQuantity(row.quantity ?? '0');
    found.set(key, sum);
  }
  return found;
}

function ownerOf({ group }: UsageRow, what: Simulated, accounts: readonly string[]): Omit<Sum, 'used'> {
  const by = nameOf(what);
  return { account: group.account ?? accounts[0] ?? '', subject: by === null ? '' : (group[by] ?? '') };
}

/** The first window after which more than the amount is used; null: a level that is not above it in any. */
async function firstAbove(
  deps: SimulationDeps,
  what: Simulated,
  { from, to }: Interval,
  account: string,
  subject: string,
  amount: number,
): Promise<Interval | null> {
  const by = nameOf(what);
  let used = 0n;
  for (let start: Instant = from; start < to; start += SPAN_MS) {
    const query = queryOf(what, { from: start, to: Math.min(to, start + SPAN_MS) }, [account]);
    const filter =
      by === null
        ? query.filter
        : by === 'resource'
          ? { ...query.filter, resources: [subject] }
          : { ...query.filter, dimensions: { [by]: [subject] } };
    const { rows } = await deps.usage.query({ ...query, filter, windowSize: 'window', groupBy: [] }, null);
    for (const row of rows.sort((a, b) => a.from - b.from)) {
      used += parseQuantity(row.quantity ?? '0');
      if (used > BigInt(amount) * SCALE) return { from: row.from, to: row.to };
    }
  }
  return null;
}
