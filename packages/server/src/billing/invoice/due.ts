/** What is due of a period by what is known now: lines before they are held against what was billed already. */
import { State, type StateName } from '../../domain/record.ts';
import type { Instant } from '../../domain/window.ts';
import type { Line, LineKind } from './document.ts';
import type { Scope } from './frames.ts';

/** A line without its number. `amount` in minor units. */
export interface Due extends Omit<Line, 'no' | 'amount' | 'corrects' | 'kind' | 'ahead' | 'tax' | 'taxNo'> {
  kind: Exclude<LineKind, 'adjustment' | 'credit'>;
  amount: bigint;
  scope: Scope;
  /** Billed before the period rather than after it. */
  advance: boolean;
  /** Of an add-on rather than the plan. */
  addOn: boolean;
}

/**
 * The line, without its number and its tax yet. Written out field by field: copying lines by spreading took most of the
 * time of an invoice.
 */
export function lineOf(due: Due, corrects = ''): Line {
  const line: Line = {
    no: 0,
    key: due.key,
    kind: due.kind,
    account: due.account,
    plan: due.plan,
    planVersion: due.planVersion,
    price: due.price,
    name: due.name,
    from: due.from,
    to: due.to,
    quantity: due.quantity,
    unit: due.unit,
    metered: due.metered,
    meter: due.meter,
    state: due.state,
    flags: due.flags,
    steps: due.steps,
    exact: due.exact,
    amount: due.amount.toString(),
    taxCategory: due.taxCategory,
    corrects,
    series: due.series,
    digest: due.digest,
  };
  if (due.advance) line.ahead = true;
  return line;
}

/** What a line has that nothing was metered for. */
export const unmetered = {
  quantity: null,
  unit: '',
  metered: null,
  meter: '',
  state: 'known',
  flags: [],
  series: [],
  digest: '',
} as const satisfies Partial<Due>;

type Derived = Pick<Due, 'key' | 'kind' | 'name' | 'steps' | 'exact' | 'amount'>;

/** A line that comes from another one, and that nothing was metered for itself. */
export const derived = (from: Due, { key, kind, name, steps, exact, amount }: Derived): Due => ({
  key,
  kind,
  account: from.account,
  plan: from.plan,
  planVersion: from.planVersion,
  price: from.price,
  name,
  from: from.from,
  to: from.to,
  quantity: unmetered.quantity,
  unit: unmetered.unit,
  metered: unmetered.metered,
  meter: unmetered.meter,
  state: unmetered.state,
  flags: unmetered.flags,
  steps,
  exact,
  amount,
  taxCategory: from.taxCategory,
  series: unmetered.series,
  digest: unmetered.digest,
  scope: from.scope,
  advance: from.advance,
  addOn: from.addOn,
});

export const sumOf = (dues: readonly { amount: bigint }[]): bigint =>
  dues.reduce((sum, { amount }) => sum + amount, 0n);

/** Not yet known for good: it cannot be final. */
export const isOpen = ({ state }: Pick<Line, 'state'>): boolean => state === 'pending' || state === 'quarantined';

/** One part that may still change keeps all of it open. */
export const worstOf = (parts: readonly Pick<Line, 'state'>[]): StateName =>
  parts.reduce<StateName>((worst, { state }) => (State[state] > State[worst] ? state : worst), 'known');

export const trialText = (until: Instant, text: (t: Instant) => string): string =>
  `free of charge: trial until ${text(until)}`;
