/**
 * Units leased to servers, in PostgreSQL: a row a counter and holder. Its clock decides, read once the counters are
 * locked, because the clocks of servers that share a limit differ.
 */

import type { ControlStore } from '../control-store.ts';
import { type LeaseRow, leaseUnits, type UnitLeaseAsk } from '../unit-leases.ts';
import { STORE_CLOCK } from './clock.ts';
import type { Database } from './database.ts';

/** In one order, so that servers wait and never cross; there may be no row to lock yet. */
const LOCK = `SELECT pg_advisory_xact_lock(h) FROM (
  SELECT DISTINCT hashtextextended('lease ' || c, 0) AS h FROM unnest($1::text[]) AS c ORDER BY 1) AS locks`;

const PUT = `INSERT INTO limit_lease (tenant, counter, holder, units, until_t)
  SELECT tenant, counter, holder, units, until_t
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS a (tenant, counter, holder, units, until_t)
  ON CONFLICT (counter, holder) DO UPDATE SET units = excluded.units, until_t = excluded.until_t`;

export const unitLeases = (db: Database): Pick<ControlStore, 'leaseUnits'> => ({
  leaseUnits: (asks) => {
    if (asks.length === 0) return Promise.resolve([]);
    const counters = asks.map(({ counter }) => counter);
    // Not done twice: what was leased and not heard of is nobody's, and too few is better than too many.
    return db.transaction(async (query) => {
      await query(LOCK, [counters]);
      const [clock] = await query<{ at: number }>(`SELECT ${STORE_CLOCK} AS at`);
      const at = clock?.at ?? 0;
      await query('DELETE FROM limit_lease WHERE counter = ANY($1) AND until_t <= $2', [counters, at]);
      const rows = await query<LeaseRow & { counter: string }>(
        'SELECT counter, holder, units, until_t AS until FROM limit_lease WHERE counter = ANY($1)',
        [counters],
      );
      const leases = asks.map((ask) =>
        leaseUnits(
          rows.filter(({ counter }) => counter === ask.counter),
          ask,
          at,
          0,
        ),
      );
      const column = <T>(of: (ask: UnitLeaseAsk, i: number) => T): T[] => asks.map(of);
      await query(PUT, [
        column((ask) => ask.tenant),
        counters,
        column((ask) => ask.holder),
        column((_, i) => leases[i]?.own ?? 0),
        column((_, i) => leases[i]?.until ?? 0),
      ]);
      return leases;
    });
  },
});
