/** The server: opens everything in order, runs until told to stop, and lets go in the opposite order. */
import { readFileSync, rmSync } from 'node:fs';
import * as disk from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Collector, httpNetwork, type Network, type Report, realDisk } from '@tollgate/agent';
import { destination, type Logger, pino } from 'pino';
import { buildApp } from './api/app.ts';
import { newSecret } from './api/auth.ts';
import type { Context, Phase } from './api/context.ts';
import type { App } from './api/provider.ts';
import { Billing } from './billing/index.ts';
import { type Config, ConfigError, checkListen, settings } from './config.ts';
import { openDecisionPublisher } from './decision-publisher.ts';
import { declareResources } from './declare-resources.ts';
import { watching } from './domain/limit/watched.ts';
import { adoptInterfaces, type Credentials, keptCredentials, prepareInstallation } from './first-start.ts';
import { Ingest } from './ingest/index.ts';
import { openChdb } from './store/chdb/usage-chdb.ts';
import { ControlLog } from './store/control-log.ts';
import type { ControlStore } from './store/control-store.ts';
import { type Layout, openDataDir, requireStored, writeDurably } from './store/data-dir.ts';
import { codeOf, explainError } from './store/errors.ts';
import { openEmbeddedPostgres, openPostgres } from './store/postgres/control-postgres.ts';
import { Receipts } from './store/receipts.ts';
import { SeriesRegistry } from './store/series-registry.ts';
import type { UsageStore } from './store/usage-store.ts';
import { systemClock as clock, systemRandomness as random } from './system.ts';
import { startedText } from './terminal.ts';
import { openRls } from './throttle/rls/service.ts';
import { ThrottleService } from './throttle/service.ts';
import { openRedisGrants, type RedisGrants } from './throttle/shared/redis-grants.ts';
import { Usage } from './usage/index.ts';
import { version } from './version.ts';

/** What was opened, to be closed in the opposite order; a failure to close one does not keep the others open. */
class Closers {
  readonly #steps: { name: string; close: () => Promise<void> | void; outlives: boolean }[] = [];

  /** `outlives`: it would go on running without this process, so it is closed also when time has run out. */
  add(name: string, close: () => Promise<void> | void, outlives = false): void {
    this.#steps.push({ name, close, outlives });
  }
  /** Time has run out: only what would outlive us is closed, as far as `ms` reach. */
  async abandon(ms: number): Promise<void> {
    const steps = this.#steps.splice(0).filter((step) => step.outlives);
    await Promise.race([Promise.allSettled(steps.map(async (step) => step.close())), clock.sleep(ms)]);
  }
  async closeAll(log: Logger): Promise<boolean> {
    let clean = true;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const begun = clock.elapsed();
      try {
        await step.close();
        log.info({ part: step.name, ms: Math.round(clock.elapsed() - begun) }, 'closed');
      } catch (error) {
        clean = false;
        log.error({ part: step.name, err: error }, 'did not close cleanly');
      }
    }
    return clean;
  }
}

const say = (text: string): void => {
  process.stderr.write(text);
};

const openLog = (config: Config): { log: Logger; file: string } => {
  const options = {
    level: config.logLevel,
    base: null,
    redact: ['headers.authorization', 'req.headers.authorization'],
  };
  if (config.logFile === '-')
    return { log: pino(options, destination({ dest: 2, sync: true })), file: 'standard error' };
  const file = config.logFile || join(config.dataDir, 'tollgate.log');
  return { log: pino(options, destination({ dest: file, mode: 0o600, mkdir: false, sync: true })), file };
};

const openControl = (config: Config, layout: Layout, log: Logger): Promise<ControlStore> => {
  const tell = (line: string): void => log.info({ part: 'control store' }, line);
  if (config.controlUrl !== '')
    return openPostgres({ connection: config.controlUrl, groups: config.groups, log: tell });
  const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  return openEmbeddedPostgres({ layout, uid, gid, temp: tmpdir(), groups: config.groups, log: tell });
};

/** Random bytes of the installation, made once: event ids are hashed with them, so nobody can aim at a collision. */
const installationSecret = async (control: ControlStore): Promise<Uint8Array> => {
  const name = 'identity.secret';
  const kept = await control.meta(name);
  if (kept !== null) return Buffer.from(kept, 'hex');
  const made = random.hex(16);
  await control.setMeta(name, made);
  return Buffer.from(made, 'hex');
};

interface Parts {
  control: ControlStore;
  store: UsageStore;
  log: ControlLog;
  receipts: Receipts;
  registry: SeriesRegistry;
  ingest: Ingest | null;
  usage: Usage;
  billing: Billing;
  throttling: ThrottleService;
  spools: Context['spools'];
  credentials: Credentials;
}

const openParts = async (
  config: Config,
  layout: Layout,
  logger: Logger,
  closers: Closers,
  source: string,
): Promise<Parts> => {
  const control = await openControl(config, layout, logger);
  closers.add('control store', () => control.close(), true);
  const receipts = await Receipts.open(control);
  const log = await ControlLog.open(control, receipts, clock);
  const registry = await SeriesRegistry.open(control);
  const store = await openChdb({ directory: layout.usage });
  closers.add('usage store', () => store.close());
  const credentials = config.readOnly
    ? keptCredentials(log, config.dataDir)
    : await prepareInstallation(log, { ...config, source, newSecret });
  const ingest = config.readOnly
    ? null
    : await openIngest(config, layout, logger, { control, receipts, log, registry, store });
  if (ingest !== null) closers.add('ingest', () => ingest.close());
  const holder = `${hostname()}-${process.pid}-${random.hex(4)}`;
  const usage = new Usage({
    usage: store,
    control,
    log,
    registry,
    receipts,
    clock,
    holder,
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
  const decisions =
    ingest === null || !config.throttle
      ? null
      : await openDecisionPublisher({ ingest, log, clock, spools }, join(layout.root, 'decisions'), random, (message) =>
          logger.info({ part: 'throttle' }, message),
        );
  if (decisions !== null) {
    closers.add('usage of decisions', () => decisions.stop());
    decisions.start();
  }
  const reportLimits = (event: string, detail: Record<string, unknown>): void =>
    logger.warn({ part: 'throttle', ...detail }, event);
  const redis =
    config.limitsRedis === '' || ingest === null || !config.throttle
      ? null
      : await openSharedLimits(config, control, reportLimits);
  if (redis !== null) closers.add('grants in Redis', () => redis.close());
  const throttling = new ThrottleService({
    book: () => log.book,
    control,
    usage,
    registry,
    receipts,
    clock,
    report: reportLimits,
    ...(redis === null ? {} : { shared: redis }),
    legacyHeaders: config.legacyHeaders,
    append: (...what) => log.append(...what),
    random,
    record: (measure, units) => decisions?.recorder.add(measure, units),
  });
  if (ingest !== null && config.throttle) {
    closers.add('throttle', () => throttling.close());
    throttling.start(ingest);
  }
  return { control, store, log, receipts, registry, ingest, usage, billing, throttling, spools, credentials };
};

const startBilling = (config: Config, billing: Billing, closers: Closers): void => {
  if (!config.billing || config.billingRunSeconds === 0) return;
  closers.add('billing', () => billing.stop());
  billing.start(config.billingRunSeconds * 1000);
};

/** Remembers that it was used: found empty later, it has lost what was leased. */
const openSharedLimits = async (
  config: Config,
  control: ControlStore,
  report: (event: string, detail: Record<string, unknown>) => void,
): Promise<RedisGrants> => {
  const isNew = (await control.meta(REDIS_META)) === null;
  const ca = config.limitsRedisCa === '' ? {} : { ca: readFileSync(config.limitsRedisCa, 'utf8') };
  const redis = await openRedisGrants({ url: config.limitsRedis, clock, report, isNew, ...ca });
  if (isNew) await control.setMeta(REDIS_META, String(clock.now()));
  return redis;
};
const REDIS_META = 'limits.redis';

const openIngest = async (
  config: Config,
  layout: Layout,
  logger: Logger,
  { control, receipts, log, registry, store }: Pick<Parts, 'control' | 'receipts' | 'log' | 'registry' | 'store'>,
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

const listen = async (config: Config, context: Context, closers: Closers): Promise<{ url: string; app: App }> => {
  const tls =
    config.tlsCert === ''
      ? null
      : { cert: readFileSync(config.tlsCert, 'utf8'), key: readFileSync(config.tlsKey, 'utf8') };
  const app = await buildApp(context, tls);
  closers.add('http and job', () => stopWork(app, context));
  await app.listen({ host: config.httpHost, port: config.httpPort });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.httpPort;
  const host = config.httpHost.includes(':') ? `[${config.httpHost}]` : config.httpHost;
  // A wildcard is no address to call: the local command line goes through loopback.
  const callable = host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
  return { url: `${tls === null ? 'http' : 'https'}://${callable}:${port}`, app };
};

/** Where Envoy is answered: `host:port`. */
const listenRls = async (config: Config, { rateLimits, phase, logger }: Context, closers: Closers): Promise<string> => {
  const server = await openRls({
    host: config.rlsHost,
    port: config.rlsPort,
    answer: (request) => rateLimits.answer(request),
    isServing: () => phase() === 'ready',
    log: logger,
  });
  closers.add('rate limit service', () => server.close());
  return `${config.rlsHost.includes(':') ? `[${config.rlsHost}]` : config.rlsHost}:${server.port}`;
};

/** Answers and the job's run may take this long to end; then their statements and connections are cut. */
const GRACE_MS = 1000;

const stopWork = async (app: App, { store, usage }: Pick<Context, 'store' | 'usage'>): Promise<void> => {
  const cut = setTimeout(() => {
    app.server.closeAllConnections();
    store.interrupt?.().catch(() => undefined);
  }, GRACE_MS);
  try {
    await Promise.all([app.close(), usage.job.stop()]);
  } finally {
    clearTimeout(cut);
  }
};

/**
 * The collector's way in: HTTP as for everyone. With TLS the certificate names the public host, not loopback, so requests
 * go through the same routes without a socket.
 */
const doorFor = (app: App, config: Config, url: string, key: string): Network =>
  config.tlsCert === ''
    ? httpNetwork(url, key)
    : {
        post: async (path, body, contentType) => {
          const headers = { 'content-type': contentType, authorization: `Bearer ${key}` };
          const answer = await app.inject({ method: 'POST', url: path, payload: body, headers });
          return { status: answer.statusCode, retryAfter: 0, body: answer.body };
        },
      };

/** For its last pass to be acknowledged. What is not comes again: a counter's next reading covers it. */
const COLLECTOR_GRACE_MS = 1000;

/** The local collector is an agent like any other: it publishes over HTTP, with a key of its own. */
const startCollector = (
  config: Config,
  parts: Parts,
  network: Network,
  source: string,
  logger: Logger,
  closers: Closers,
): Promise<number> => {
  const log = logger.child({ part: 'collector' });
  const report = ({ level, message }: Report): void => log[level](message);
  const stop = new AbortController();
  return new Promise((resolve) => {
    try {
      const collector = new Collector(
        { clock, random, disk: realDisk, network },
        { source, intervalMs: config.pollSeconds * 1000, statePath: join(config.dataDir, 'collector.json') },
        {
          report,
          seen: async (interfaces) => {
            await adoptInterfaces(parts.log, source, config.defaultAccount, interfaces);
            resolve(interfaces.length);
          },
        },
      );
      const running = collector.run(stop.signal, COLLECTOR_GRACE_MS);
      closers.add('collector', () => {
        stop.abort();
        return running;
      });
    } catch (error) {
      log.error({ err: error }, 'this machine cannot be metered');
      say(`The interfaces of this machine cannot be metered: ${explainError(error)}\n`);
      resolve(0);
    }
  });
};

/** An orderly exit would wait for the engine's threads. Both stores are made for this: it is what a power cut does. */
const endHard = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
const toldToStop = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    let told = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        if (told) {
          say('Ended at once; the next start recovers.\n');
          process.exit(130);
        }
        told = true;
        resolve(signal);
      });
  });

const failureText = (error: unknown, config: Config): string => {
  if (error instanceof ConfigError) return `${error.message}\n`;
  if (codeOf(error) === 'EADDRINUSE')
    return `Port ${config.httpPort} of ${config.httpHost} is taken. Stop what listens there, or give another with ${settings.httpPort.env} or ${settings.httpPort.flag}.\n`;
  if (codeOf(error) === 'EACCES' || codeOf(error) === 'EADDRNOTAVAIL')
    return `Cannot listen on ${config.httpHost}:${config.httpPort}: ${explainError(error)}\n`;
  return `${explainError(error)}\n`;
};

/** Runs until a signal; the exit code. Everything it opened is closed when it resolves. */
export const serve = async (config: Config): Promise<number> => {
  const begun = clock.elapsed();
  const stop = toldToStop();
  const closers = new Closers();
  let logger = pino({ level: 'silent' });
  let phase: Phase = 'starting';
  try {
    checkListen(config);
    say(`Tollgate ${version} starts; the first start takes a few seconds longer ...\n`);
    if (config.readOnly) requireStored(config.dataDir);
    const data = openDataDir(config.dataDir, process.getuid?.() ?? -1);
    closers.add('data directory', () => data.release());
    const opened = openLog(config);
    logger = opened.log;
    logger.info({ version, pid: process.pid, dataDir: config.dataDir }, 'starting');
    const source = config.collectorSource || `host/${hostname()}`;
    const parts = await openParts(config, data.layout, logger, closers, source);
    const context: Context = {
      ...parts,
      config,
      version,
      clock,
      logger,
      throttle: parts.throttling.throttle,
      leases: parts.throttling.leases,
      rateLimits: parts.throttling.rateLimits,
      aftermath: parts.throttling.aftermath,
      newSecret,
      phase: () => phase,
    };
    if (!config.readOnly) {
      // A stop before anything listens; later it is stopped together with the requests.
      closers.add('job', () => parts.usage.job.stop());
      parts.usage.job.start();
      startBilling(config, parts.billing, closers);
    }
    const { url, app } = await listen(config, context, closers);
    const rls = config.throttle && !config.readOnly ? await listenRls(config, context, closers) : null;
    phase = 'ready';
    const serverFile = join(config.dataDir, 'server.json');
    writeDurably(serverFile, `${JSON.stringify({ url, pid: process.pid, version, startedAt: clock.now() })}\n`, 0o600);
    closers.add('server file', () => rmSync(serverFile, { force: true }));
    const metered = config.collector && !config.readOnly;
    const interfaces = metered
      ? await startCollector(
          config,
          parts,
          doorFor(app, config, url, parts.credentials.collector),
          source,
          logger,
          closers,
        )
      : 0;
    const { credentials } = parts;
    say(
      startedText({
        version,
        url,
        rls,
        config,
        logFile: opened.file,
        newKey: credentials.adminIsNew || credentials.admin === '' ? credentials.admin : null,
        interfaces,
        source,
        controlStore: config.controlUrl === '' ? 'embedded PostgreSQL' : 'PostgreSQL',
        usageStore: 'embedded ClickHouse',
        tookMs: clock.elapsed() - begun,
      }),
    );
    logger.info({ url, interfaces }, 'ready');
    const signal = await stop;
    say('\nStopping ...\n');
    logger.info({ signal }, 'stopping');
    phase = 'stopping';
  } catch (error) {
    logger.fatal({ err: error }, 'cannot start');
    say(`Tollgate cannot start. ${failureText(error, config)}`);
    await closeInTime(closers, logger, config);
    return leave(1);
  }
  const clean = await closeInTime(closers, logger, config);
  say(clean ? 'Stopped.\n' : 'Stopped, not everything cleanly: see the log. The next start recovers.\n');
  return leave(clean ? 0 : 1);
};

/** A statement that was cut may leave a handle of the engine behind; what says that it stopped must be gone. */
const LINGER_MS = 2000;

const leave = (code: number): number => {
  setTimeout(() => process.exit(code), LINGER_MS).unref();
  return code;
};

/** PostgreSQL ends in a tenth of this once told to. */
const ABANDON_MS = 700;

const closeInTime = async (closers: Closers, logger: Logger, config: Config): Promise<boolean> => {
  const end = async (): Promise<void> => {
    logger.fatal('the stop takes too long: ending');
    await closers.abandon(ABANDON_MS);
    say('The stop takes too long: ended. The next start recovers.\n');
    endHard();
  };
  const limit = setTimeout(() => void end(), config.stopSeconds * 1000);
  limit.unref();
  const clean = await closers.closeAll(logger);
  clearTimeout(limit);
  return clean;
};
