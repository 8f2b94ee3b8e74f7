/** A process that makes the invoices of a store in PostgreSQL. Killed by whoever started it. Arguments: JSON of RunningWork. */
import { setImmediate } from 'node:timers/promises';
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
}

export async function makeInvoices({ postgres, holder, now, batch }: RunningWork): Promise<RunView> {
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
    const common = { billing: control.billing, store, registry, clock, holder, batch, report };
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
