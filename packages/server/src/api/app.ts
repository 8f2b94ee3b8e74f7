/** The HTTP API: its routes, its description, and what every request passes through. Begin reading here. */
import swagger from '@fastify/swagger';
import Fastify, { LogController } from 'fastify';
import { Problem } from '../errors.ts';
import { auditRoutes } from './audit.ts';
import { authenticate } from './auth.ts';
import { bookRoutes } from './books.ts';
import { catalogueRoutes } from './catalogue.ts';
import type { Context } from './context.ts';
import { correctionRoutes } from './corrections.ts';
import { costRoutes } from './cost.ts';
import { creditRoutes } from './credits.ts';
import { decisionRoutes } from './decisions.ts';
import { doctorRoutes } from './doctor.ts';
import { eventListRoutes } from './event-list.ts';
import { ingestRoutes } from './events.ts';
import { explainRoutes } from './explain.ts';
import { exportRoutes } from './export.ts';
import { healthRoutes, Metrics } from './health.ts';
import { describeIngest } from './ingest-description.ts';
import { invoicePaperRoutes } from './invoice-paper.ts';
import { invoiceProofRoutes } from './invoice-proof.ts';
import { invoiceRunRoutes } from './invoice-runs.ts';
import { invoiceRoutes } from './invoices.ts';
import { jobRoutes } from './job.ts';
import { keyRoutes } from './keys.ts';
import { compiledWhenUsed, type SchemaHandling } from './lazy-schemas.ts';
import { leaseRoutes } from './leases.ts';
import { ledgerRoutes } from './ledger.ts';
import { limitReportRoutes } from './limit-reports.ts';
import { simulateRoutes } from './limits-simulate.ts';
import { LongWork } from './long-work.ts';
import { meterRoutes } from './meters.ts';
import { paymentRoutes } from './payments.ts';
import { simulatePlanRoutes } from './plans-simulate.ts';
import { clientErrorBody, installProblems } from './problems.ts';
import type { App } from './provider.ts';
import { quarantineRoutes } from './quarantine.ts';
import { resourceRoutes } from './resources.ts';
import { rlsJsonRoute } from './rls.ts';
import { ProblemSchema } from './schemas.ts';
import { sourceRoutes } from './sources.ts';
import { usageRoutes } from './usage.ts';

/** Routes that need no key. */
const open = new Set(['/healthz', '/readyz', '/openapi.json', '/metrics']);

/** A query may be too long for a URL: the one POST that changes nothing. */
const reads = (method: string, url: string | undefined): boolean =>
  ['GET', 'HEAD', 'OPTIONS'].includes(method) || url === '/api/v1/meters/:key/query';

export interface Tls {
  cert: string;
  key: string;
}

/** A request must have arrived whole within this time, so that slow senders hold no memory for ever. */
const REQUEST_MS = 60_000;
/** Names of resources and sources stand in paths. */
const PARAM_MAX = 2048;
/** Proofs and simulations. */
const LONG = { what: 'long answers', all: 32, ofKey: 4 };

const newServer = (context: Context, tls: Tls | null, schemas: SchemaHandling): App => {
  const app = Fastify({
    loggerInstance: context.logger,
    // One line an answer is written below; the framework's two lines a request would be most of the log.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: context.config.bodyBytesMax,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: PARAM_MAX },
    schemaController: schemas.schemaController,
    ajv: {
      customOptions: {
        coerceTypes: 'array',
        removeAdditional: false,
        allErrors: false,
        validateSchema: schemas.validateSchema,
      },
    },
    clientErrorHandler: (error, socket) => {
      if (!socket.writable || (error as NodeJS.ErrnoException).code === 'ECONNRESET') return;
      socket.end(clientErrorBody(String((error as NodeJS.ErrnoException).code ?? '')).body);
    },
    ...(tls === null ? {} : { https: { cert: tls.cert, key: tls.key } }),
  });
  return app as unknown as App;
};

const describe = async (app: App, context: Context): Promise<void> => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tollgate',
        version: context.version,
        description: 'Meters what tenants consume, throttles them by it and bills them for it.',
      },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'A key, tg_...' } } },
      security: [{ key: [] }],
    },
    transformObject: (document) =>
      'openapiObject' in document ? describeIngest(document.openapiObject) : document.swaggerObject,
  });
  app.addHook('onRoute', (route) => {
    const { response } = (route.schema ?? {}) as { response?: Record<string, unknown> };
    if (route.schema && response)
      route.schema.response = {
        ...response,
        default: { description: 'Refused', content: { 'application/problem+json': { schema: ProblemSchema } } },
      };
  });
};

/** All routes; listening is the caller's. */
export const buildApp = async (
  context: Context,
  tls: Tls | null = null,
  schemas = compiledWhenUsed(),
): Promise<App> => {
  const app = newServer(context, tls, schemas);
  const metrics = new Metrics();
  installProblems(app);
  await describe(app, context);
  app.decorateRequest('principal', null);
  app.addHook('onRequest', async (request) => {
    if (open.has(request.routeOptions.url ?? '') && request.headers.authorization === undefined) return;
    // Unknown routes say so without a key; they tell nothing.
    if (request.is404) return;
    request.principal = authenticate(request.headers.authorization, (hash) => context.log.book.keyByHash(hash));
    if (context.config.readOnly && !reads(request.method, request.routeOptions.url))
      throw new Problem('server.read_only');
  });
  app.addHook('onResponse', async (request, reply) => {
    metrics.answered(request, reply.statusCode, reply.elapsedTime);
    request.log.debug(
      {
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        key: request.principal?.key,
      },
      'request',
    );
  });

  const long = new LongWork(LONG);
  healthRoutes(app, context, metrics);
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  for (const routes of [
    auditRoutes,
    bookRoutes,
    catalogueRoutes,
    correctionRoutes,
    costRoutes,
    creditRoutes,
    decisionRoutes,
    doctorRoutes,
    eventListRoutes,
    explainRoutes,
    exportRoutes,
    invoiceRoutes,
    invoicePaperRoutes,
    invoiceRunRoutes,
    invoiceProofRoutes,
    jobRoutes,
    keyRoutes,
    leaseRoutes,
    ledgerRoutes,
    meterRoutes,
    paymentRoutes,
    quarantineRoutes,
    limitReportRoutes,
    resourceRoutes,
    rlsJsonRoute,
    simulatePlanRoutes,
    simulateRoutes,
    sourceRoutes,
    usageRoutes,
  ])
    routes(app, context, long);
  await app.register(async (scope) => ingestRoutes(scope as unknown as App, context, metrics));
  return app;
};
