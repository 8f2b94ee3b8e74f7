/** Notices of limits in PostgreSQL. */
import { createHash } from 'node:crypto';
import * as checks from '../control-checks.ts';
import type { ControlStore, Notice } from '../control-store.ts';
import type { Database } from './database.ts';

const COLUMNS = `id, tenant, limit_key AS "limit", version, account, subject, from_t AS "from", to_t AS "to", percent,
  used, amount, at`;

export const notices = (db: Database): Pick<ControlStore, 'addNotices' | 'notices'> => ({
  addNotices: async (items) => {
    items.forEach(checks.checkNotice);
    if (items.length === 0) return [];
    const column = <T>(of: (item: Omit<Notice, 'id'>) => T): T[] => items.map(of);
    // Unique by the digest, because a subject may be longer than a row of an index.
    const added = await db.twice(() =>
      db.query<Notice>(
        `INSERT INTO notice (identity_digest, tenant, limit_key, version, account, subject, from_t, to_t, percent, used,
           amount, at)
         SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
           $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
         ON CONFLICT (identity_digest) DO NOTHING
         RETURNING ${COLUMNS}`,
        [
          column((item) => createHash('sha256').update(checks.noticeIdentity(item)).digest()),
          column((item) => item.tenant),
          column((item) => item.limit),
          column((item) => item.version),
          column((item) => item.account),
          column((item) => item.subject),
          column((item) => item.from),
          column((item) => item.to),
          column((item) => item.percent),
          column((item) => item.used),
          column((item) => item.amount),
          column((item) => item.at),
        ],
      ),
    );
    return added.sort((a, b) => a.id - b.id);
  },

  notices: async ({ tenants, before = Number.MAX_SAFE_INTEGER, limit }) => {
    checks.checkWhole('limit', limit, 0);
    for (const tenant of tenants ?? []) checks.checkText('tenants', tenant);
    return db.twice(() =>
      db.query<Notice>(
        `SELECT ${COLUMNS} FROM notice
         WHERE id < $1 AND ($2::text[] IS NULL OR tenant = ANY ($2))
         ORDER BY id DESC LIMIT $3`,
        [before, tenants ?? null, limit],
      ),
    );
  },
});
