/** Drafts: what can be said of periods that are not final. */
import { checkDraft } from '../billing-checks.ts';
import type { BillingStore, StoredDraft } from '../billing-store.ts';
import { checkWhole } from '../control-checks.ts';
import { type DraftRow, toDraft } from './billing-rows.ts';
import type { Database } from './database.ts';

type Drafts = Pick<BillingStore, 'saveDrafts' | 'removeDrafts' | 'draft' | 'drafts'>;

const COLUMNS = `tenant AS account, from_t AS "from", to_t AS "to", entity, currency, total, frontier, at, digest, blocked`;

export const drafts = (db: Database): Drafts => ({
  saveDrafts: async (rows) => {
    rows.forEach(checkDraft);
    // A statement touches a row once: of two drafts of one period the later one counts.
    const last = [...new Map(rows.map((row) => [JSON.stringify([row.account, row.from, row.to]), row])).values()];
    if (last.length === 0) return;
    const column = <T>(of: (draft: StoredDraft) => T): T[] => last.map(of);
    await db.twice(() =>
      db.query(
        `INSERT INTO invoice_draft
           (tenant, from_t, to_t, entity, currency, total, frontier, at, document, digest, blocked)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::numeric[], $7::bigint[],
           $8::bigint[], $9::text[], $10::text[], $11::text[]) AS d (tenant, from_t, to_t)
         ORDER BY tenant COLLATE "C", from_t, to_t
         ON CONFLICT (tenant, from_t, to_t) DO UPDATE SET entity = excluded.entity, currency = excluded.currency,
           total = excluded.total, frontier = excluded.frontier, at = excluded.at, document = excluded.document,
           digest = excluded.digest, blocked = excluded.blocked`,
        [
          column((d) => d.account),
          column((d) => d.from),
          column((d) => d.to),
          column((d) => d.entity),
          column((d) => d.currency),
          column((d) => d.total.toString()),
          column((d) => d.frontier),
          column((d) => d.at),
          column((d) => d.document),
          column((d) => d.digest),
          column((d) => d.blocked),
        ],
      ),
    );
  },

  removeDrafts: async (spans) => {
    await db.twice(() =>
      db.query(
        `DELETE FROM invoice_draft d USING unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (tenant, from_t, to_t)
         WHERE d.tenant = a.tenant AND d.from_t = a.from_t AND d.to_t = a.to_t`,
        [spans.map((s) => s.account), spans.map((s) => s.from), spans.map((s) => s.to)],
      ),
    );
  },

  draft: async (account, from, to) => {
    const text = `SELECT ${COLUMNS}, document FROM invoice_draft WHERE tenant = $1 AND from_t = $2 AND to_t = $3`;
    const [row] = await db.twice(() => db.query<DraftRow & { document: string }>(text, [account, from, to]));
    return row === undefined ? null : toDraft(row);
  },

  drafts: async ({ accounts, blocked, after, limit }) => {
    checkWhole('limit', limit, 0);
    const rows = await db.twice(() =>
      db.query<DraftRow>(
        `SELECT ${COLUMNS} FROM invoice_draft
         WHERE ($1::text[] IS NULL OR tenant = ANY ($1)) AND ($2::boolean IS NULL OR (blocked <> '') = $2)
           AND ($3::bigint IS NULL OR (-to_t, tenant COLLATE "C", -from_t) > (-$3::bigint, $4::text, -$5::bigint))
         ORDER BY to_t DESC, tenant COLLATE "C", from_t DESC LIMIT $6`,
        [accounts ?? null, blocked ?? null, after?.to ?? null, after?.account ?? null, after?.from ?? null, limit],
      ),
    );
    return rows.map(toDraft);
  },
});
