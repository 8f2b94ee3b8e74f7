/** Units leased to servers, in memory. */
import { type LeaseRow, leaseUnits, type UnitLease, type UnitLeaseAsk } from '../unit-leases.ts';

/** By counter. */
export type UnitLeaseRows = Map<string, LeaseRow[]>;

export const unitLeases = (rows: UnitLeaseRows, now: () => number) => ({
  leaseUnits: (asks: readonly UnitLeaseAsk[]): UnitLease[] =>
    asks.map((ask) => {
      const before = rows.get(ask.counter) ?? [];
      const lease = leaseUnits(before, ask, now(), 0);
      const others = before.filter(({ holder, until }) => holder !== ask.holder && until > lease.at);
      rows.set(ask.counter, [...others, { holder: ask.holder, units: lease.own, until: lease.until }]);
      return lease;
    }),
});
