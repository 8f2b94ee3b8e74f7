/** Whose usage a metered counter shows, and in which whole units a limit counts it. */
import { AMOUNT_MAX, metersOf } from '../domain/limit/limit.ts';
import { isCounter, type Meter } from '../domain/meter.ts';
import { divide, type Quantity, SCALE } from '../domain/quantity.ts';
import { dimensionText } from '../domain/series.ts';
import type { Gate } from './engine/types.ts';

export interface Scope {
  /** Null: everybody's. */
  account: string | null;
  /** With all accounts below it. */
  subtree: boolean;
  /** Null: of all resources. */
  resource: string | null;
  dimension: { name: string; value: string } | null;
}

export function scopeOf({ limit, account, subject }: Gate): Scope {
  const whole: Scope = { account: subject, subtree: false, resource: null, dimension: null };
  if (limit.scope === 'account') return whole;
  if (limit.scope === 'subtree') return { ...whole, account: subject === '' ? null : subject, subtree: true };
  if (limit.scope === 'resource') return { ...whole, account: account === '' ? null : account, resource: subject };
  // In the installation's limits who asks stands before the value (see ask.ts).
  const asker = `${account}\n`;
  const value = dimensionText(subject.startsWith(asker) ? subject.slice(asker.length) : subject);
  const { dimension: name } = limit.scope;
  return { ...whole, account, dimension: { name, value } };
}

/** Gates with one text show the same usage in every period. */
export const usageText = (gate: Gate): string =>
  JSON.stringify([gate.limit.key, gate.account, gate.subject, gate.limit.meter, gate.limit.scope]);

export const metersOfGate = ({ limit }: Gate): string[] => metersOf(limit.meter);

/** Limits count whole units: what has begun is used, so it is rounded up, here and nowhere else. 0 .. AMOUNT_MAX. */
export function wholeUnits(used: Quantity): number {
  const units = divide(used, SCALE, 'ceiling');
  if (units <= 0n) return 0;
  return units >= BigInt(AMOUNT_MAX) ? AMOUNT_MAX : Number(units);
}

/** Folding what comes is enough; levels, maxima and distinct values have to be asked for. An unknown meter has nothing to ask. */
export const addsUp = (meter: Meter | undefined): boolean =>
  meter === undefined || isCounter(meter) || (meter.kind === 'delta' && ['sum', 'count'].includes(meter.aggregation));
