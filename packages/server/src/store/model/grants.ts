/** Grants of strict quotas in memory. */
import type { Grant, GrantAsk } from '../control-store.ts';

export type GrantRows = Map<string, { to: number; taken: number }>;

const nameOf = ({ counter, from }: { counter: string; from: number }): string => `${from} ${counter}`;

export const grants = (rows: GrantRows) => ({
  takeGrants: (asks: readonly GrantAsk[]): Grant[] =>
    asks.map((ask) => {
      const row = rows.get(nameOf(ask)) ?? { to: ask.to, taken: 0 };
      rows.set(nameOf(ask), row);
      const granted = Math.max(0, Math.min(ask.want, ask.amount - row.taken));
      row.taken += granted;
      return { granted, taken: row.taken };
    }),
  returnGrants: (items: readonly { counter: string; from: number; units: number }[]): void => {
    for (const item of items) {
      const row = rows.get(nameOf(item));
      if (row !== undefined) row.taken = Math.max(0, row.taken - item.units);
    }
  },
  forgetGrants: (before: number): number => {
    const gone = [...rows].filter(([, { to }]) => to < before);
    for (const [name] of gone) rows.delete(name);
    return gone.length;
  },
});
