/** Decisions: what they are made of, where their usage goes, and whom they share limits with. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Context } from './api/context.ts';
import type { Closers } from './closers.ts';
import type { Config } from './config.ts';
import { openDecisionPublisher } from './decision-publisher.ts';
import type { Ingest } from './ingest/index.ts';
import type { Stores } from './open-ingest.ts';
import type { ControlStore } from './store/control-store.ts';
import { systemClock as clock, systemRandomness as random } from './system.ts';
import { ThrottleService } from './throttle/service.ts';
import { openRedisGrants, type RedisGrants } from './throttle/shared/redis-grants.ts';
import type { Usage } from './usage/index.ts';

type Tell = (event: string, detail: Record<string, unknown>) => void;

export interface ThrottlingDeps {
  config: Config;
  /** Where usage of decisions waits to be counted. */
  spool: string;
  stores: Stores;
  usage: Usage;
  /** Null: the server only reads. */
  ingest: Ingest | null;
  spools: Context['spools'];
  logger: Logger;
  closers: Closers;
}

/** Where it does not decide (`throttle` off, read only), it is there to be asked and nothing of it runs. */
export const openThrottling = async (deps: ThrottlingDeps): Promise<ThrottleService> => {
  const { config, stores, usage, logger, closers } = deps;
  const { control, log, registry, receipts } = stores;
  const ingest = config.throttle ? deps.ingest : null;
  const report: Tell = (event, detail) => logger.warn({ part: 'throttle', ...detail }, event);
  const decisions = ingest === null ? null : await publishDecisions(deps, ingest);
  const shared = ingest === null || config.limitsRedis === '' ? null : await openSharedLimits(config, control, report);
  if (shared !== null) closers.add('grants in Redis', () => shared.close());
  const service = new ThrottleService({
    ...{ control, usage, registry, receipts, clock, random, report },
    book: () => log.book,
    ...(shared === null ? {} : { shared }),
    legacyHeaders: config.legacyHeaders,
    append: (...what) => log.append(...what),
    record: (measure, units) => decisions?.recorder.add(measure, units),
  });
  if (ingest === null) return service;
  closers.add('throttle', () => service.close());
  service.start(ingest);
  return service;
};

const publishDecisions = async ({ stores, spools, spool, logger, closers }: ThrottlingDeps, ingest: Ingest) => {
  const tell = (message: string): void => logger.info({ part: 'throttle' }, message);
  const decisions = await openDecisionPublisher({ ingest, log: stores.log, clock, spools }, spool, random, tell);
  closers.add('usage of decisions', () => decisions.stop());
  decisions.start();
  return decisions;
};

/** Remembers that it was used: found empty later, it has lost what was leased. */
const openSharedLimits = async (config: Config, control: ControlStore, report: Tell): Promise<RedisGrants> => {
  const isNew = (await control.meta(REDIS_META)) === null;
  const ca = config.limitsRedisCa === '' ? {} : { ca: readFileSync(config.limitsRedisCa, 'utf8') };
  const redis = await openRedisGrants({ url: config.limitsRedis, clock, report, isNew, ...ca });
  if (isNew) await control.setMeta(REDIS_META, String(clock.now()));
  return redis;
};
const REDIS_META = 'limits.redis';
