/** Receipt numbers and control facts in PostgreSQL. */
import type { ControlBody, ControlFact } from '../../domain/control-fact.ts';
import * as checks from '../control-checks.ts';
import type { ControlStore } from '../control-store.ts';
import type { Database, Query } from './database.ts';

type Facts = Pick<ControlStore, 'leaseReceipts' | 'appendFacts' | 'facts'>;

/** Rows a statement: bounds the text one statement carries. */
const BATCH = 10_000;

interface FactRow {
  receipt: number;
  tenant: string;
  author: string;
  reason: string;
  recorded_at: number;
  body: ControlBody;
}

export const facts = (db: Database): Facts => ({
  // Done again after a broken connection it gives a later block; the first one is lost, and no number is given twice.
  leaseReceipts: (count) =>
    db.twice(async () => {
      checks.checkWhole('count', count, 1);
      const [row] = await db.query<{ first: number }>(
        'UPDATE receipt_counter SET next = next + $1 WHERE next + $1 <= $2 RETURNING next - $1 AS first',
        [count, '9007199254740992'],
      );
      if (row === undefined) throw checks.receiptsExhausted();
      return row.first;
    }),

  appendFacts: async (added) => {
    added.forEach(checks.checkFact);
    if (added.length === 0) return;
    await db.twice(() =>
      db.transaction(async (query) => {
        for (let i = 0; i < added.length; i += BATCH) await append(query, added.slice(i, i + BATCH));
      }),
    );
  },

  facts: async (after, limit, filter = {}) => {
    checks.checkWhole('limit', limit, 0);
    if (filter.tenant !== undefined) checks.checkText('tenant', filter.tenant);
    const rows = await db.twice(() =>
      db.query<FactRow>(
        `SELECT receipt, tenant, author, reason, recorded_at, body FROM fact
         WHERE receipt > $1 AND receipt <= $2
           AND ($3::text[] IS NULL OR kind = ANY ($3)) AND ($4::text IS NULL OR tenant = $4)
           AND ($5::bigint IS NULL OR recorded_at >= $5)
         ORDER BY receipt ${filter.newest ? 'DESC' : 'ASC'} LIMIT $6`,
        [
          after,
          filter.upTo ?? Number.MAX_SAFE_INTEGER,
          filter.kinds ?? null,
          filter.tenant ?? null,
          filter.since ?? null,
          limit,
        ],
      ),
    );
    return rows.map(toFact);
  },
});

const toFact = (row: FactRow): ControlFact => ({
  receipt: row.receipt,
  tenant: row.tenant,
  author: row.author,
  reason: row.reason,
  recordedAt: row.recorded_at,
  body: row.body,
});

/**
 * The same fact under the same receipt may come again (a commit whose answer was lost); another one may not. Compared in
 * the database, where both are what was stored.
 */
async function append(query: Query, added: readonly ControlFact[]): Promise<void> {
  const columns = [
    added.map((fact) => fact.receipt),
    added.map((fact) => fact.tenant),
    added.map((fact) => fact.body.kind),
    added.map((fact) => fact.author),
    added.map((fact) => fact.reason),
    added.map((fact) => fact.recordedAt),
    added.map((fact) => JSON.stringify(fact.body)),
  ];
  const rows = `unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
    AS n (receipt, tenant, kind, author, reason, recorded_at, body)`;
  const [inserted] = await query<{ n: number }>(
    `WITH i AS (
       INSERT INTO fact (receipt, tenant, kind, author, reason, recorded_at, body)
       SELECT receipt, tenant, kind, author, reason, recorded_at, body::json FROM ${rows}
       ON CONFLICT (receipt) DO NOTHING RETURNING 1)
     SELECT count(*) AS n FROM i`,
    columns,
  );
  if (inserted?.n === added.length) return;
  const [other] = await query<{ receipt: number }>(
    `SELECT n.receipt FROM ${rows} JOIN fact f USING (receipt)
     WHERE (f.tenant, f.kind, f.author, f.reason, f.recorded_at, f.body::text)
       IS DISTINCT FROM (n.tenant, n.kind, n.author, n.reason, n.recorded_at, n.body) LIMIT 1`,
    columns,
  );
  if (other !== undefined) throw checks.receiptTaken(other.receipt);
}
