/** The usage job's leases, progress and runs in PostgreSQL. */
import * as checks from '../control-checks.ts';
import type { ControlStore, Lease, Progress, Run } from '../control-store.ts';
import type { Database, Query } from './database.ts';

type Leases = Pick<ControlStore, 'acquireLease' | 'releaseLease' | 'leases'>;
type ProgressRows = Pick<ControlStore, 'progress' | 'createProgress' | 'advance' | 'splitProgress' | 'mergeProgress'>;
type Runs = Pick<ControlStore, 'startRun' | 'finishRun' | 'runs' | 'run' | 'runAt'>;

const LEASE = 'grp AS "group", holder, token, until';

export const leases = (db: Database): Leases => ({
  acquireLease: (group, holder, now, ttlMs) =>
    db.twice(async () => {
      checks.checkLeaseRequest(group, holder, now, ttlMs);
      const free = 'l.until <= $3 OR l.until > $3 + $5';
      const [lease] = await db.query<Lease>(
        `INSERT INTO lease AS l (grp, holder, token, until) VALUES ($1, $2, 1, $3::bigint + $4::bigint)
         ON CONFLICT (grp) DO UPDATE SET holder = excluded.holder, until = excluded.until,
           token = CASE WHEN ${free} THEN l.token + 1 ELSE l.token END
         WHERE l.holder = excluded.holder OR ${free}
         RETURNING ${LEASE}`,
        [group, holder, now, ttlMs, checks.LEASE_MS_MAX],
      );
      return lease ?? null;
    }),

  releaseLease: async (lease) => {
    const text = 'UPDATE lease SET until = 0 WHERE grp = $1 AND token = $2 AND holder = $3';
    await db.twice(() => db.query(text, [lease.group, lease.token, lease.holder]));
  },

  leases: () => db.twice(() => db.query<Lease>(`SELECT ${LEASE} FROM lease WHERE until > 0 ORDER BY grp`)),
});

const PROGRESS = 'id, stream, grp AS "group", from_t AS "from", closed_to AS "closedTo", to_t AS "to", frontier';

/** The row as the caller knows it, as parameters $1..$7 of `unchanged`. */
const rowValues = (row: Progress): unknown[] => [
  row.id,
  row.stream,
  row.group,
  row.from,
  row.closedTo,
  row.to,
  row.frontier,
];
const unchanged = `p.id = $1 AND p.stream = $2 AND p.grp = $3 AND p.from_t = $4 AND p.closed_to = $5
  AND p.to_t IS NOT DISTINCT FROM $6::bigint AND p.frontier = $7`;

/** The lock makes a takeover wait until we commit, and makes us see one that came before. */
const held = (token: string, holder: string, now: string, group: string): string =>
  `SELECT 1 FROM lease l WHERE l.grp = ${group} AND l.token = ${token} AND l.holder = ${holder} AND l.until > ${now} FOR UPDATE`;

export const progressRows = (db: Database): ProgressRows => ({
  progress: () => db.twice(() => db.query<Progress>(`SELECT ${PROGRESS} FROM progress ORDER BY id`)),

  createProgress: async (row) => {
    checks.checkProgress(row);
    return db.transaction(async (query) => {
      // Two who create at once must see each other's row; there is no row to lock yet.
      await query('LOCK TABLE progress IN SHARE ROW EXCLUSIVE MODE');
      const [other] = await query(
        `SELECT 1 FROM progress WHERE stream = $1 AND grp = $2 AND from_t < coalesce($4::bigint, from_t + 1)
         AND (to_t IS NULL OR to_t > $3) LIMIT 1`,
        [row.stream, row.group, row.from, row.to],
      );
      if (other !== undefined) throw checks.overlapping(row);
      return insertProgress(query, row);
    });
  },

  advance: async (row, closedTo, frontier, lease, now) => {
    checks.checkAdvance(row, closedTo, frontier, lease);
    const done = await db.query(
      `UPDATE progress p SET closed_to = $8, frontier = $9
       WHERE ${unchanged} AND EXISTS (${held('$10', '$11', '$12', 'p.grp')}) RETURNING 1`,
      [...rowValues(row), closedTo, frontier, lease.token, lease.holder, now],
    );
    return done.length === 1;
  },

  splitProgress: async (row, at, lease, now) => {
    checks.checkSplit(row, at, lease);
    return db.transaction(async (query) => {
      if (!(await holds(query, lease, now)) || !(await same(query, row))) return false;
      await query('UPDATE progress SET to_t = $2 WHERE id = $1', [row.id, at]);
      await insertProgress(query, { ...row, from: at, closedTo: at });
      return true;
    });
  },

  mergeProgress: async (first, second, lease, now) => {
    checks.checkMerge(first, second, lease);
    return db.transaction(async (query) => {
      const fine = (await holds(query, lease, now)) && (await same(query, first)) && (await same(query, second));
      if (!fine) return false;
      await query('DELETE FROM progress WHERE id = $1', [second.id]);
      const text = 'UPDATE progress SET closed_to = $2, to_t = $3 WHERE id = $1';
      await query(text, [first.id, second.closedTo, second.to]);
      return true;
    });
  },
});

const holds = async (query: Query, lease: Lease, now: number): Promise<boolean> => {
  const values = [lease.token, lease.holder, now, lease.group];
  return (await query(held('$1', '$2', '$3', '$4'), values)).length === 1;
};

const same = async (query: Query, row: Progress): Promise<boolean> =>
  (await query(`SELECT 1 FROM progress p WHERE ${unchanged} FOR UPDATE`, rowValues(row))).length === 1;

async function insertProgress(query: Query, row: Omit<Progress, 'id'>): Promise<Progress> {
  const [created] = await query<Progress>(
    `INSERT INTO progress (stream, grp, from_t, closed_to, to_t, frontier) VALUES ($1, $2, $3, $4, $5, $6)
     RETURNING ${PROGRESS}`,
    [row.stream, row.group, row.from, row.closedTo, row.to, row.frontier],
  );
  if (created === undefined) throw checks.notFound('row of progress that was just made');
  return created;
}

const RUN = `id, stream, grp AS "group", frontier, from_t AS "from", to_t AS "to", started_at AS "startedAt",
  finished_at AS "finishedAt", windows, records, rewritten, odd, set_aside AS "setAside", outcome, error`;
const RUN_COLUMNS = `stream, grp, frontier, from_t, to_t, started_at, finished_at, windows, records, rewritten, odd,
  set_aside, outcome, error`;
const runValues = (run: Omit<Run, 'id'>): unknown[] => [
  run.stream,
  run.group,
  run.frontier,
  run.from,
  run.to,
  run.startedAt,
  run.finishedAt,
  run.windows,
  run.records,
  run.rewritten,
  run.odd,
  run.setAside,
  run.outcome,
  run.error,
];
const RUN_PARAMETERS = '$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14';

export const runs = (db: Database): Runs => ({
  startRun: async (run) => {
    checks.checkRun(run);
    const [row] = await db.query<{ id: number }>(
      `INSERT INTO run (${RUN_COLUMNS}) VALUES (${RUN_PARAMETERS}) RETURNING id`,
      runValues(run),
    );
    if (row === undefined) throw checks.notFound('run that was just started');
    return row.id;
  },

  finishRun: async (run) => {
    checks.checkRun(run);
    const done = await db.twice(() =>
      db.query(`UPDATE run SET (${RUN_COLUMNS}) = (${RUN_PARAMETERS}) WHERE id = $15 RETURNING 1`, [
        ...runValues(run),
        run.id,
      ]),
    );
    if (done.length === 0) throw checks.notFound(`run ${run.id}`);
  },

  runs: async (limit) => {
    checks.checkWhole('limit', limit, 0);
    return db.twice(() => db.query<Run>(`SELECT ${RUN} FROM run ORDER BY id DESC LIMIT $1`, [limit]));
  },

  run: async (id) => {
    const [run] = await db.twice(() => db.query<Run>(`SELECT ${RUN} FROM run WHERE id = $1`, [id]));
    return run ?? null;
  },

  runAt: async (frontier, window) => {
    const [run] = await db.twice(() =>
      db.query<Run>(
        `SELECT ${RUN} FROM run WHERE frontier = $1 ORDER BY (from_t <= $2 AND $2 < to_t) DESC, id DESC LIMIT 1`,
        [frontier, window],
      ),
    );
    return run ?? null;
  },
});
