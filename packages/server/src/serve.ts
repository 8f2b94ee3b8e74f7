/** The server: opens everything in order, runs until told to stop, and lets go in the opposite order. */
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { destination, type Logger, pino } from 'pino';
import { newSecret } from './api/auth.ts';
import type { Context, Phase } from './api/context.ts';
import type { Billing } from './billing/index.ts';
import { Closers } from './closers.ts';
import { type Config, ConfigError, checkListen, settings } from './config.ts';
import { listen, listenRls } from './listen.ts';
import { doorFor, startCollector } from './local-collector.ts';
import { openParts } from './open-parts.ts';
import { openDataDir, requireStored, writeDurably } from './store/data-dir.ts';
import { codeOf, explainError } from './store/errors.ts';
import { systemClock as clock } from './system.ts';
import { say, startedText } from './terminal.ts';
import { version } from './version.ts';

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

const startBilling = (config: Config, billing: Billing, closers: Closers): void => {
  if (!config.billing || config.billingRunSeconds === 0) return;
  closers.add('billing', () => billing.stop());
  billing.start(config.billingRunSeconds * 1000);
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
    const parts = await openParts({ config, layout: data.layout, logger, closers, source });
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
    const { credentials, log } = parts;
    const network = doorFor(app, config, url, credentials.collector);
    const isMetered = config.collector && !config.readOnly;
    const interfaces = isMetered ? await startCollector({ config, log, logger, closers, network, source }) : 0;
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
