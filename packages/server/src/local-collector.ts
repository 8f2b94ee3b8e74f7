/** The local collector: an agent like any other, it publishes over HTTP with a key of its own. */
import { join } from 'node:path';
import { Collector, httpNetwork, type Network, type Report, realDisk } from '@tollgate/agent';
import type { Logger } from 'pino';
import type { App } from './api/provider.ts';
import type { Closers } from './closers.ts';
import type { Config } from './config.ts';
import { adoptInterfaces } from './first-start.ts';
import type { ControlLog } from './store/control-log.ts';
import { explainError } from './store/errors.ts';
import { systemClock as clock, systemRandomness as random } from './system.ts';
import { say } from './terminal.ts';

/**
 * The collector's way in: HTTP as for everyone. With TLS the certificate names the public host, not loopback, so requests
 * go through the same routes without a socket.
 */
export const doorFor = (app: App, config: Config, url: string, key: string): Network =>
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
const GRACE_MS = 1000;

export interface CollectorDeps {
  config: Config;
  log: ControlLog;
  logger: Logger;
  closers: Closers;
  network: Network;
  source: string;
}

/** The number of interfaces that it measures; 0: this machine cannot be metered, and it is told why. */
export const startCollector = ({ config, log, logger, closers, network, source }: CollectorDeps): Promise<number> => {
  const own = logger.child({ part: 'collector' });
  const report = ({ level, message }: Report): void => own[level](message);
  const stop = new AbortController();
  return new Promise((resolve) => {
    try {
      const collector = new Collector(
        { clock, random, disk: realDisk, network },
        { source, intervalMs: config.pollSeconds * 1000, statePath: join(config.dataDir, 'collector.json') },
        {
          report,
          seen: async (interfaces) => {
            await adoptInterfaces(log, source, config.defaultAccount, interfaces);
            resolve(interfaces.length);
          },
        },
      );
      const running = collector.run(stop.signal, GRACE_MS);
      closers.add('collector', () => {
        stop.abort();
        return running;
      });
    } catch (error) {
      own.error({ err: error }, 'this machine cannot be metered');
      say(`The interfaces of this machine cannot be metered: ${explainError(error)}\n`);
      resolve(0);
    }
  });
};
