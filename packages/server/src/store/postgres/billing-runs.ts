/** Invoice runs: who works on one, how far it is, whom it had to pass over. */
import { checkFence, checkHold, checkRunStart, runLost } from '../billing-checks.ts';
import type { BillingRun, BillingStore, RunFailure } from '../billing-store.ts';
import { checkText, checkWhole, LEASE_MS_MAX, NAME_BYTES } from '../control-checks.ts';
import type { Database } from './database.ts';

type Runs = Pick<
  BillingStore,
  | 'startBillingRun'
  | 'holdBillingRun'
  | 'advanceBillingRun'
  | 'finishBillingRun'
  | 'billingRun'
  | 'billingRuns'
  | 'runFailures'
>;

const COLUMNS = `id, frontier, until, started_at AS "startedAt", finished_at AS "finishedAt", outcome, error, cursor,
  accounts, invoices, drafts, blocked, failed, holder, token, held_until AS "heldUntil"`;
/** The run is held by the token: no other server goes on with it. */
const HELD = "id = $1 AND token = $2 AND held_until > $3 AND outcome = 'running'";

export const billingRuns = (db: Database): Runs => ({
  startBillingRun: async (run) => {
    checkRunStart(run);
    return db.twice(() =>
      db.transaction(async (query) => {
        await query(
          `INSERT INTO billing_run (frontier, until, started_at, outcome, error, cursor, accounts, invoices, drafts,
             blocked, failed, holder, token, held_until)
           VALUES ($1, $2, $3, 'running', '', '', 0, 0, 0, 0, 0, '', 0, 0)
           ON CONFLICT (frontier, until) WHERE outcome = 'running' DO NOTHING`,
          [run.frontier, run.until, run.startedAt],
        );
        const text = `SELECT ${COLUMNS} FROM billing_run WHERE frontier = $1 AND until = $2 AND outcome = 'running'`;
        const [row] = await query<BillingRun>(text, [run.frontier, run.until]);
        return row as BillingRun;
      }),
    );
  },

  holdBillingRun: async (id, holder, now, ttlMs) => {
    checkHold(holder, now, ttlMs);
    const [row] = await db.twice(() =>
      db.query<BillingRun>(
        `UPDATE billing_run SET holder = $2, held_until = $3::bigint + $4::bigint,
           token = token + CASE WHEN holder = $2 AND held_until > $3::bigint THEN 0 ELSE 1 END
         WHERE id = $1 AND outcome = 'running'
           AND (holder = $2 OR held_until <= $3::bigint OR held_until > $3::bigint + $5::bigint)
         RETURNING ${COLUMNS}`,
        [id, holder, now, ttlMs, LEASE_MS_MAX],
      ),
    );
    return row ?? null;
  },

  // Not done twice: counts would be added again.
  advanceBillingRun: async (fence, { cursor, counts, failures }) => {
    checkFence(fence);
    checkText('cursor', cursor, NAME_BYTES);
    for (const failure of failures) {
      checkText('account', failure.account, NAME_BYTES);
      checkText('code', failure.code);
      checkText('reason', failure.reason);
    }
    return db.transaction(async (query) => {
      const [row] = await query<BillingRun>(
        `UPDATE billing_run SET cursor = $4, accounts = accounts + $5, invoices = invoices + $6, drafts = drafts + $7,
           blocked = blocked + $8, failed = failed + $9
         WHERE ${HELD} RETURNING ${COLUMNS}`,
        [
          ...[fence.run, fence.token, fence.now, cursor],
          ...[counts.accounts, counts.invoices, counts.drafts, counts.blocked, counts.failed],
        ],
      );
      if (row === undefined) throw runLost(fence.run);
      const last = [...new Map(failures.map((failure) => [failure.account, failure])).values()];
      await query(
        `INSERT INTO billing_run_failure (run, tenant, code, reason)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])
         ON CONFLICT (run, tenant) DO UPDATE SET code = excluded.code, reason = excluded.reason`,
        [fence.run, last.map((f) => f.account), last.map((f) => f.code), last.map((f) => f.reason)],
      );
      return row;
    });
  },

  finishBillingRun: async (fence, outcome, error) => {
    checkFence(fence);
    checkText('error', error);
    const [row] = await db.query<BillingRun>(
      `UPDATE billing_run SET outcome = $4, error = $5, finished_at = $3, held_until = 0
       WHERE ${HELD} RETURNING ${COLUMNS}`,
      [fence.run, fence.token, fence.now, outcome, error],
    );
    if (row === undefined) throw runLost(fence.run);
    return row;
  },

  billingRun: async (id) => {
    const text = `SELECT ${COLUMNS} FROM billing_run WHERE id = $1`;
    const [row] = await db.twice(() => db.query<BillingRun>(text, [id]));
    return row ?? null;
  },

  billingRuns: async ({ before = Number.MAX_SAFE_INTEGER, limit }) => {
    checkWhole('limit', limit, 0);
    const text = `SELECT ${COLUMNS} FROM billing_run WHERE id < $1 ORDER BY id DESC LIMIT $2`;
    return db.twice(() => db.query<BillingRun>(text, [before, limit]));
  },

  runFailures: async (run, after, limit) => {
    checkWhole('limit', limit, 0);
    return db.twice(() =>
      db.query<RunFailure>(
        `SELECT run, tenant AS account, code, reason FROM billing_run_failure
         WHERE run = $1 AND tenant COLLATE "C" > $2 ORDER BY tenant COLLATE "C" LIMIT $3`,
        [run, after, limit],
      ),
    );
  },
});
