/**
 * Whether what was decided is what was metered. By limit and period: what was offered, admitted and refused, counted one
 * by one; what the meter shows of it; and the difference, which should be nothing when all is published.
 */
import { parseQuantity, type Quantity, SCALE } from '../domain/quantity.ts';
import type { Instant, Interval } from '../domain/window.ts';
import type { Usage } from '../usage/index.ts';
import type { Ask } from './ask.ts';
import { DECISIONS } from './decided-usage.ts';
import type { Gate } from './engine/types.ts';
import type { Answer, Question } from './throttle.ts';
import { scopeOf } from './usage-scope.ts';

/** Units of one limit in one period, since the counting began. */
export interface LedgerRow extends Interval {
  limit: string;
  account: string;
  subject: string;
  meter: string;
  /** When the first decision was counted: a ledger begins with the process. */
  since: Instant;
  calls: number;
  offered: bigint;
  admitted: bigint;
  refused: bigint;
  /** Admitted by the other limits while this one, in shadow, would have refused. */
  shadowed: bigint;
  /** Why what is metered cannot be told apart by this limit; '' when it can. */
  incomparable: string;
}

export interface Reconciled extends LedgerRow {
  /** Null: incomparable, or nothing has been metered. */
  metered: bigint | null;
  /** Metered less admitted. */
  difference: bigint | null;
  /** admitted + refused + shadowed = offered. */
  isBalanced: boolean;
  /** The period still runs, or what was decided last may not be published yet. */
  isRunning: boolean;
}

const ROWS_MAX = 100_000;
const DAY_MS = 86_400_000;
/** Sums are published this long after they were decided, at the latest (see decided-usage). */
const PUBLISHED_MS = 30_000;

interface Counted {
  row: LedgerRow;
  gate: Gate;
}

export class Ledger {
  private readonly rows = new Map<string, Counted>();
  private readonly byGate = new WeakMap<Gate, Counted>();
  private readonly periodOf: (gate: Gate, now: Instant) => Interval;

  constructor(periodOf: (gate: Gate, now: Instant) => Interval) {
    this.periodOf = periodOf;
  }

  /** For every decision. */
  note(ask: Ask, { standing, prepared }: Question, cost: number, { allowed, decision }: Answer, now: Instant): void {
    if (cost === 0) return;
    const units = BigInt(cost);
    for (let i = 0; i < standing.gates.length; i++) {
      const gate = standing.gates[i] as Gate;
      const { limit } = gate;
      if (limit.feed !== 'decided' || limit.rule.kind === 'concurrency' || limit.meter !== ask.meter) continue;
      const { row } = this.counted(gate, now);
      row.calls++;
      row.offered += units;
      const isShadowed = decision?.shadowed.some((at) => prepared.gates[at] === gate) ?? false;
      if (!allowed) row.refused += units;
      else if (isShadowed) row.shadowed += units;
      else row.admitted += units;
    }
  }

  private counted(gate: Gate, now: Instant): Counted {
    const known = this.byGate.get(gate);
    if (known !== undefined && now < known.row.to) return known;
    const { limit, account, subject } = gate;
    const { from, to } = limit.rule.kind === 'quota' ? this.periodOf(gate, now) : dayOf(now);
    const key = JSON.stringify([limit.key, account, subject, from]);
    let counted = this.rows.get(key);
    if (counted === undefined) {
      const sums = { calls: 0, offered: 0n, admitted: 0n, refused: 0n, shadowed: 0n };
      const { key: name, meter } = limit;
      const incomparable = whyNot(gate);
      counted = { gate, row: { limit: name, account, subject, meter, from, to, since: now, ...sums, incomparable } };
      this.rows.set(key, counted);
      if (this.rows.size > ROWS_MAX) this.rows.delete(this.rows.keys().next().value ?? '');
    }
    this.byGate.set(gate, counted);
    return counted;
  }

  /** Every row with what the meter shows of it. One question a row. */
  async *reconcile(
    usage: Pick<Usage, 'query'>,
    isMeter: (key: string) => boolean,
    now: Instant,
  ): AsyncIterable<Reconciled> {
    for (const { row, gate } of [...this.rows.values()]) {
      const incomparable = row.incomparable || (isMeter(row.meter) ? '' : 'no meter has this name');
      const metered = incomparable === '' ? await meteredOf(usage, gate, row) : null;
      const { offered, admitted, refused, shadowed } = row;
      // Shadowed calls were admitted all the same, and so they were metered.
      const difference = metered === null ? null : metered - (admitted + shadowed);
      const isBalanced = admitted + refused + shadowed === offered;
      yield { ...row, incomparable, metered, difference, isBalanced, isRunning: now < row.to + PUBLISHED_MS };
    }
  }
}

async function meteredOf(
  usage: Pick<Usage, 'query'>,
  gate: Gate,
  { meter, from, to }: LedgerRow,
): Promise<bigint | null> {
  const { account, subtree, dimension } = scopeOf(gate);
  const filter = {
    meters: [meter],
    sources: [DECISIONS],
    subtree,
    ...(account === null ? {} : { accounts: [account] }),
    ...(dimension === null ? {} : { dimensions: { [dimension.name]: [dimension.value] } }),
  };
  const query = { filter, from, to, windowSize: 'total' as const, zone: 'UTC', groupBy: [] };
  const { rows } = await usage.query(query, null);
  const known = rows.flatMap(({ quantity }) => quantity ?? []);
  if (known.length === 0) return null;
  const sum = known.reduce<Quantity>((all, quantity) => all + parseQuantity(quantity), 0n);
  return sum / SCALE;
}

function whyNot({ limit }: Gate): string {
  if (limit.actions.length > 0) return 'it bears on some actions only, and usage does not tell actions apart';
  if (limit.scope === 'resource') return 'it counts by resource, and decisions are metered by account';
  return '';
}

const dayOf = (now: Instant): Interval => {
  const from = Math.floor(now / DAY_MS) * DAY_MS;
  return { from, to: from + DAY_MS };
};
