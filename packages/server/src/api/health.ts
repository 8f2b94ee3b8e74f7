/** For machines that watch: liveness, readiness, Prometheus metrics. */
import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { isLoopback } from '../config.ts';
import { Problem } from '../errors.ts';
import type { Ingest } from '../ingest/index.ts';
import { need } from './auth.ts';
import { watchBooks } from './books.ts';
import type { Context } from './context.ts';
import type { App } from './provider.ts';

/** Every metric of the process; its own registry, so that two servers in one test process do not share counts. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests: Counter;
  readonly seconds: Histogram;
  readonly items: Counter;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Counter({
      name: 'tollgate_http_requests_total',
      help: 'Requests answered',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.seconds = new Histogram({
      name: 'tollgate_http_request_seconds',
      help: 'Time to the answer',
      labelNames: ['route'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    });
    this.items = new Counter({
      name: 'tollgate_ingest_items_total',
      help: 'Events and readings by outcome',
      labelNames: ['outcome'],
      registers,
    });
  }

  answered(request: FastifyRequest, status: number, ms: number): void {
    // The route's pattern, never the path: a path would make a time series of every name a client sends.
    const route = request.routeOptions.url ?? 'none';
    this.requests.inc({ method: request.method, route, status: String(status) });
    this.seconds.observe({ route }, ms / 1000);
  }

  ingested(outcome: { accepted: number; duplicates: number; conflicts: number; rejected: number }): void {
    this.items.inc({ outcome: 'accepted' }, outcome.accepted);
    this.items.inc({ outcome: 'duplicate' }, outcome.duplicates);
    this.items.inc({ outcome: 'conflict' }, outcome.conflicts);
    this.items.inc({ outcome: 'rejected' }, outcome.rejected);
  }
}

/** State that is asked for when it is scraped. */
const watch = (metrics: Metrics, context: Context): void => {
  const registers = [metrics.registry];
  const gauge = (name: string, help: string, read: () => number | Promise<number>): void => {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(await read());
      },
    });
  };
  gauge('tollgate_series', 'Series known', () => context.registry.size);
  gauge('tollgate_receipt_frontier', 'Receipt number up to which all facts are durable', () =>
    context.receipts.frontier(),
  );
  if (context.ingest !== null) watchIngest(gauge, context.ingest);
  watchBooks(metrics.registry, context);
  gauge('tollgate_job_lag_seconds', 'Clock less the end of the closed windows', async () => {
    const { closedTo } = await context.usage.job.status();
    return closedTo > 0 ? Math.max(0, (context.clock.now() - closedTo) / 1000) : 0;
  });
  gauge('tollgate_job_windows_left', 'Closable windows without records', async () =>
    (await context.usage.job.status()).backlog.reduce((sum, b) => sum + b.windows, 0),
  );
};

const watchIngest = (gauge: (name: string, help: string, read: () => number) => void, ingest: Ingest): void => {
  gauge('tollgate_ingest_queued', 'Facts waiting for the disk', () => ingest.stats().queuedEvents);
  gauge('tollgate_ingest_groups', 'Group commits since the start', () => ingest.stats().groups);
  gauge(
    'tollgate_ingest_commit_failures',
    'Group commits that failed since the start',
    () => ingest.stats().commitFailures,
  );
  gauge('tollgate_identity_ids', 'Event ids remembered', () => ingest.identityWindow().ids);
  gauge('tollgate_identity_bytes', 'Memory for event ids', () => ingest.identityWindow().bytes);
  gauge('tollgate_identity_window_days', 'How long a repeated id is recognised', () => ingest.identityWindow().days);
};

export const healthRoutes = (app: App, context: Context, metrics: Metrics): void => {
  watch(metrics, context);
  const tags = ['operations'];
  const Answer = Type.Object({ status: Type.String() });
  app.get(
    '/healthz',
    { schema: { tags, summary: 'The process answers', security: [], response: { 200: Answer } } },
    () => ({ status: 'ok' }),
  );
  app.get(
    '/readyz',
    { schema: { tags, summary: 'Both stores take writes', security: [], response: { 200: Answer } } },
    async () => {
      if (context.phase() !== 'ready')
        throw new Problem(context.phase() === 'stopping' ? 'server.stopping' : 'server.not_ready', undefined, {
          retryAfterSeconds: 2,
        });
      const [control, usage] = await Promise.all([context.control.health(), context.store.health()]);
      if (!control.writable)
        throw new Problem('store.unavailable', `control store: ${control.detail}`, { retryAfterSeconds: 5 });
      if (!usage.writable)
        throw new Problem('store.unavailable', `usage store: ${usage.detail}`, { retryAfterSeconds: 5 });
      return { status: 'ready' };
    },
  );
  // On loopback a scraper needs no key: names of tenants are not in the metrics. Elsewhere figures are not for everyone.
  app.get('/metrics', { schema: { tags, summary: 'Prometheus text', security: [] } }, async (request, reply) => {
    if (context.config.metricsKey || !isLoopback(context.config.httpHost)) need(request, 'read');
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
};
