/** The doors: HTTP for everyone, gRPC for Envoy. */
import { readFileSync } from 'node:fs';
import { buildApp } from './api/app.ts';
import type { Context } from './api/context.ts';
import type { App } from './api/provider.ts';
import type { Closers } from './closers.ts';
import type { Config } from './config.ts';
import { openRls } from './throttle/rls/service.ts';

/** Where it is answered, as the local command line calls it. */
export const listen = async (
  config: Config,
  context: Context,
  closers: Closers,
): Promise<{ url: string; app: App }> => {
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
export const listenRls = async (
  config: Config,
  { rateLimits, phase, logger }: Context,
  closers: Closers,
): Promise<string> => {
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
