/** Facts in: what ingest needs of the settings and of the other parts. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { declareResources } from './declare-resources.ts';
import { watching } from './domain/limit/watched.ts';
import { Ingest } from './ingest/index.ts';
import type { ControlLog } from './store/control-log.ts';
import type { ControlStore } from './store/control-store.ts';
import type { Layout } from './store/data-dir.ts';
import type { Receipts } from './store/receipts.ts';
import type { SeriesRegistry } from './store/series-registry.ts';
import type { UsageStore } from './store/usage-store.ts';
import { systemClock as clock, systemRandomness as random } from './system.ts';

/** What every part stands on. */
export interface Stores {
  control: ControlStore;
  store: UsageStore;
  log: ControlLog;
  receipts: Receipts;
  registry: SeriesRegistry;
}

export const openIngest = async (
  config: Config,
  layout: Layout,
  logger: Logger,
  { control, receipts, log, registry, store }: Stores,
): Promise<Ingest> =>
  Ingest.open({
    usage: store,
    control,
    receipts,
    registry,
    clock,
    book: () => log.book,
    secret: await installationSecret(control),
    dir: join(layout.root, 'identities'),
    log: logger.child({ part: 'ingest' }),
    limits: {
      bodyBytes: config.bodyBytesMax,
      itemsPerRequest: config.batchEventsMax,
      queueEvents: config.queueEventsMax,
      skewMs: config.skewSeconds * 1000,
      windowMs: config.identityDays * 86_400_000,
      maxIds: Math.floor((config.identityMemoryMb * 1_000_000) / IDENTITY_BYTES),
    },
    watched: config.throttle ? watching(() => log.book) : () => new Set(),
    declareResources: (tenant, from, hints) => declareResources(log, tenant, from, hints),
  });

/** Memory of one remembered event id (see ingest/identity). */
const IDENTITY_BYTES = 2.02;

/** Random bytes of the installation, made once: event ids are hashed with them, so nobody can aim at a collision. */
const installationSecret = async (control: ControlStore): Promise<Uint8Array> => {
  const name = 'identity.secret';
  const kept = await control.meta(name);
  if (kept !== null) return Buffer.from(kept, 'hex');
  const made = random.hex(16);
  await control.setMeta(name, made);
  return Buffer.from(made, 'hex');
};
