/** The parts of a server in the order in which they need each other: stores, facts in, usage, bills, decisions. */
import * as disk from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { newSecret } from './api/auth.ts';
import type { Context } from './api/context.ts';
import { Billing } from './billing/index.ts';
import type { Closers } from './closers.ts';
import type { Config } from './config.ts';
import { type Credentials, keptCredentials, prepareInstallation } from './first-start.ts';
import type { Ingest } from './ingest/index.ts';
import { openIngest, type Stores } from './open-ingest.ts';
import { openThrottling } from './open-throttling.ts';
import { openChdb } from './store/chdb/usage-chdb.ts';
import { ControlLog } from './store/control-log.ts';
import type { ControlStore } from './store/control-store.ts';
import type { Layout } from './store/data-dir.ts';
import { openEmbeddedPostgres, openPostgres } from './store/postgres/control-postgres.ts';
import { Receipts } from './store/receipts.ts';
import { SeriesRegistry } from './store/series-registry.ts';
import { systemClock as clock, systemRandomness as random } from './system.ts';
import type { ThrottleService } from './throttle/service.ts';
import { Usage } from './usage/index.ts';

export interface Parts extends Stores {
  ingest: Ingest | null;
  usage: Usage;
  billing: Billing;
  throttling: ThrottleService;
  spools: Context['spools'];
  credentials: Credentials;
}

interface Opening {
  config: Config;
  layout: Layout;
  logger: Logger;
  closers: Closers;
  /** Name of the local collector. */
  source: string;
}

export const openParts = async (opening: Opening): Promise<Parts> => {
  const { config, layout, logger, closers, source } = opening;
  const stores = await openStores(opening);
  const { control, store, log, receipts, registry } = stores;
  const credentials = config.readOnly
    ? keptCredentials(log, config.dataDir)
    : await prepareInstallation(log, { ...config, source, newSecret });
  const ingest = config.readOnly ? null : await openIngest(config, layout, logger, stores);
  if (ingest !== null) closers.add('ingest', () => ingest.close());
  const holder = `${hostname()}-${process.pid}-${random.hex(4)}`;
  const usage = new Usage({
    ...{ usage: store, control, log, registry, receipts, clock, holder },
    groups: config.groups,
    settings: { intervalMs: config.jobSeconds * 1000, deadlineMs: config.deadlineSeconds * 1000 },
    publish: config.readOnly ? null : { dir: layout.published, disk },
    report: (event, detail) => logger.info({ part: 'job', ...detail }, event),
  });
  const billing = new Billing({
    ...{ control, log, usage, store, registry, clock, holder },
    pause: () => setImmediate(),
    report: (event, detail) => logger.warn({ part: 'billing', ...detail }, event),
  });
  const spools: Context['spools'] = new Map();
  const spool = join(layout.root, 'decisions');
  const throttling = await openThrottling({ config, stores, usage, ingest, spools, spool, logger, closers });
  return { ...stores, ingest, usage, billing, throttling, spools, credentials };
};

const openStores = async ({ config, layout, logger, closers }: Opening): Promise<Stores> => {
  const control = await openControl(config, layout, logger);
  closers.add('control store', () => control.close(), true);
  const receipts = await Receipts.open(control);
  const log = await ControlLog.open(control, receipts, clock);
  const registry = await SeriesRegistry.open(control);
  const store = await openChdb({ directory: layout.usage });
  closers.add('usage store', () => store.close());
  return { control, store, log, receipts, registry };
};

const openControl = (config: Config, layout: Layout, log: Logger): Promise<ControlStore> => {
  const tell = (line: string): void => log.info({ part: 'control store' }, line);
  if (config.controlUrl !== '')
    return openPostgres({ connection: config.controlUrl, groups: config.groups, log: tell });
  const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  return openEmbeddedPostgres({ layout, uid, gid, temp: tmpdir(), groups: config.groups, log: tell });
};
