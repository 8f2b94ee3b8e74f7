/** Grants of strict quotas in PostgreSQL: a row a counter and period, locked in one order, so that servers wait and never cross. */
import type { ControlStore, GrantAsk } from '../control-store.ts';
import type { Database } from './database.ts';

type Grants = Pick<ControlStore, 'takeGrants' | 'returnGrants' | 'forgetGrants'>;

const LOCK = `SELECT 1 FROM limit_grant g JOIN unnest($1::text[], $2::bigint[]) AS a (counter, from_t)
  ON g.counter = a.counter AND g.from_t = a.from_t ORDER BY g.counter, g.from_t FOR UPDATE OF g`;

/** `last` holds what this statement granted, because older servers cannot return a row as it was before. */
const TAKE = `UPDATE limit_grant g
  SET taken = g.taken + greatest(0, least(a.want, a.amount - g.taken)), last = greatest(0, least(a.want, a.amount - g.taken))
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS a (counter, from_t, want, amount)
  WHERE g.counter = a.counter AND g.from_t = a.from_t
  RETURNING g.counter, g.from_t AS "from", g.last AS granted, g.taken`;

export const grants = (db: Database): Grants => ({
  takeGrants: async (asks) => {
    if (asks.length === 0) return [];
    const column = <T>(of: (ask: GrantAsk) => T): T[] => asks.map(of);
    const [counters, from] = [column((a) => a.counter), column((a) => a.from)];
    // Not done twice: whether the first time was committed nobody knows, and a chunk too few is better than one too many.
    const rows = await db.transaction(async (query) => {
      await query(
        `INSERT INTO limit_grant (tenant, counter, from_t, to_t, taken, last)
         SELECT tenant, counter, from_t, to_t, 0, 0
         FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS a (tenant, counter, from_t, to_t)
         ORDER BY counter, from_t ON CONFLICT DO NOTHING`,
        [column((a) => a.tenant), counters, from, column((a) => a.to)],
      );
      await query(LOCK, [counters, from]);
      return query<{ counter: string; from: number; granted: number; taken: number }>(TAKE, [
        counters,
        from,
        column((a) => a.want),
        column((a) => a.amount),
      ]);
    });
    const found = new Map(rows.map((row) => [`${row.from} ${row.counter}`, row]));
    return asks.map((ask) => {
      const row = found.get(`${ask.from} ${ask.counter}`);
      return { granted: row?.granted ?? 0, taken: row?.taken ?? ask.amount };
    });
  },

  returnGrants: async (items) => {
    if (items.length === 0) return;
    const [counters, from] = [items.map((i) => i.counter), items.map((i) => i.from)];
    await db.transaction(async (query) => {
      await query(LOCK, [counters, from]);
      await query(
        `UPDATE limit_grant g SET taken = greatest(0, g.taken - a.units)
         FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (counter, from_t, units)
         WHERE g.counter = a.counter AND g.from_t = a.from_t`,
        [counters, from, items.map((i) => i.units)],
      );
    });
  },

  forgetGrants: async (before) => {
    await db.twice(() => db.query('DELETE FROM limit_lease WHERE until_t < $1', [before]));
    const gone = await db.twice(() => db.query('DELETE FROM limit_grant WHERE to_t < $1 RETURNING 1', [before]));
    return gone.length;
  },
});
