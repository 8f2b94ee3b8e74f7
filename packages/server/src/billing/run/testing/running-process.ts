/**
 * A process that makes the invoices of a store in PostgreSQL, and ends by SIGKILL where it is told to, so that it does not
 * depend on the machine's load whether it is killed at work. Arguments: JSON of RunningWork.
 */
import { setImmediate, setTimeout as wait } from 'node:timers/promises';
import type { BillingStore } from '../../../store/billing-store.ts';
import { ControlLog } from '../../../store/control-log.ts';
import { UsageModel } from '../../../store/model/usage-model.ts';
import { openPostgres } from '../../../store/postgres/control-postgres.ts';
import type { PostgresConnection } from '../../../store/postgres/database.ts';
import { Receipts } from '../../../store/receipts.ts';
import { SeriesRegistry } from '../../../store/series-registry.ts';
import { systemClock } from '../../../system.ts';
import { Usage } from '../../../usage/index.ts';
import { InvoiceRuns } from '../runs.ts';
import type { RunView } from '../view.ts';

export interface RunningWork {
  postgres: PostgresConnection;
  holder: string;
  /** The present, as the runs see it. */
  now: number;
  batch: number;
  /** Null: it lives to the end. */
  death: Death | null;
}

/** At which of its writings it is killed, counted from 1; so many milliseconds after that was sent, null: before it is. */
export interface Death {
  write: number;
  afterMs: number | null;
}

/** What is killed gets no answer, also where the store was quicker. */
function dying(billing: BillingStore, { write, afterMs }: Death): BillingStore {
  let writes = 0;
  const counted =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      writes++;
      if (writes < write) return call(...args);
      if (afterMs !== null) {
        call(...args).catch(() => undefined);
        await wait(afterMs);
      }
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => undefined);
    };
  const { startBillingRun, holdBillingRun, finalise, advanceBillingRun, finishBillingRun } = billing;
  return {
    ...billing,
    startBillingRun: counted(startBillingRun),
    holdBillingRun: counted(holdBillingRun),
    finalise: counted(finalise),
    advanceBillingRun: counted(advanceBillingRun),
    finishBillingRun: counted(finishBillingRun),
  };
}

export async function makeInvoices({ postgres, holder, now, batch, death }: RunningWork): Promise<RunView> {
  const control = await openPostgres({ connection: postgres, connections: 3 });
  try {
    const clock = { ...systemClock, now: () => now, elapsed: () => systemClock.elapsed() };
    const receipts = await Receipts.open(control, { block: 10 });
    const log = await ControlLog.open(control, receipts, clock);
    const registry = await SeriesRegistry.open(control);
    // No plan here has a price for usage.
    const store = new UsageModel();
    const report = (): void => undefined;
    const meters = { usage: store, control, log, registry, receipts, clock, holder, groups: 4, publish: null, report };
    const usage = new Usage(meters);
    const billing = death === null ? control.billing : dying(control.billing, death);
    const common = { billing, store, registry, clock, holder, batch, report };
    const runs = new InvoiceRuns({
      ...common,
      meteredAt: (asOf) => usage.meteredAt(asOf),
      pause: () => setImmediate(),
    });
    return await runs.run();
  } finally {
    await control.close();
  }
}

const [, program, text] = process.argv;
if (program === import.meta.filename && text !== undefined) await makeInvoices(JSON.parse(text) as RunningWork);
