/** What is set aside, and the store's own settings, in PostgreSQL. */
import { createHash } from 'node:crypto';
import * as checks from '../control-checks.ts';
import type { ControlStore, SetAside } from '../control-store.ts';
import type { Database } from './database.ts';

type SetAsides = Pick<ControlStore, 'addSetAside' | 'setAside' | 'setAsideById' | 'resolveSetAside'>;
type Meta = Pick<ControlStore, 'meta' | 'setMeta'>;

const COLUMNS = `id, identity, tenant, kind, code, reason, series, receipt, at, content, state,
  recorded_at AS "recordedAt"`;

export const setAsides = (db: Database): SetAsides => ({
  addSetAside: async (items) => {
    items.forEach(checks.checkSetAside);
    if (items.length === 0) return;
    const column = <T>(of: (item: Omit<SetAside, 'id'>) => T): T[] => items.map(of);
    // Unique by the digest, because an identity may be longer than a row of an index.
    await db.twice(() =>
      db.query(
        `INSERT INTO set_aside (identity_digest, identity, tenant, kind, code, reason, series, receipt, at, content, state,
           recorded_at)
         SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
           $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::bigint[])
         ON CONFLICT (identity_digest) DO NOTHING`,
        [
          column((item) => createHash('sha256').update(item.identity).digest()),
          column((item) => item.identity),
          column((item) => item.tenant),
          column((item) => item.kind),
          column((item) => item.code),
          column((item) => item.reason),
          column((item) => item.series),
          column((item) => item.receipt),
          column((item) => item.at),
          column((item) => item.content),
          column((item) => item.state),
          column((item) => item.recordedAt),
        ],
      ),
    );
  },

  setAside: async (filter) => {
    checks.checkWhole('limit', filter.limit, 0);
    if (filter.tenant !== undefined) checks.checkText('tenant', filter.tenant);
    return db.twice(() =>
      db.query<SetAside>(
        `SELECT ${COLUMNS} FROM set_aside
         WHERE id > $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR tenant = $3)
         ORDER BY id LIMIT $4`,
        [filter.after ?? 0, filter.state ?? null, filter.tenant ?? null, filter.limit],
      ),
    );
  },

  setAsideById: async (id) => {
    const text = `SELECT ${COLUMNS} FROM set_aside WHERE id = $1`;
    const [item] = await db.twice(() => db.query<SetAside>(text, [id]));
    return item ?? null;
  },

  resolveSetAside: async (id, state) => {
    const text = 'UPDATE set_aside SET state = $2 WHERE id = $1 RETURNING 1';
    const done = await db.twice(() => db.query(text, [id, state]));
    if (done.length === 0) throw checks.notFound(`set-aside item ${id}`);
  },
});

export const meta = (db: Database): Meta => ({
  meta: async (name) => {
    checks.checkMetaName(name, false);
    const [row] = await db.twice(() => db.query<{ value: string }>('SELECT value FROM meta WHERE name = $1', [name]));
    return row?.value ?? null;
  },

  setMeta: async (name, value) => {
    checks.checkMetaName(name, true);
    checks.checkText('value', value);
    await db.twice(() =>
      db.query(
        'INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
        [name, value],
      ),
    );
  },
});
