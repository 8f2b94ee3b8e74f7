/** Rate limit domains for Envoy: their configurations, and the JSON twin of the gRPC service. */
import { type Static, Type } from '@sinclair/typebox';
import { Problem } from '../errors.ts';
import { ACCOUNTS_DOMAIN, RlsError } from '../throttle/rls/call.ts';
import { importEnvoy } from '../throttle/rls/envoy-config.ts';
import { requestFromJson, responseToJson } from '../throttle/rls/json.ts';
import { needInstallation } from './auth.ts';
import { readTexts, refuse, TextBody, type Turn } from './catalogue-change.ts';
import { authorOf, type Context } from './context.ts';
import type { App } from './provider.ts';
import { Page, Reason } from './schemas.ts';

const DomainRow = Type.Object({
  domain: Type.String(),
  rules: Type.Integer({ description: 'Descriptors with a rate limit' }),
  version: Type.Integer({ description: 'Receipt of the configuration' }),
  text: Type.String({ description: 'As it was given' }),
});

const rowsOf = ({ log }: Context): Static<typeof DomainRow>[] =>
  [...log.book.catalogue.rlsDomains].map(([domain, { text, receipt }]) => ({
    domain,
    rules: importEnvoy(text, receipt).rules,
    version: receipt,
    text,
  }));

export const rlsRoutes = (app: App, context: Context, turn: Turn): void => {
  const tags = ['limits'];
  app.get('/api/v1/rate-limit-domains', { schema: { tags, response: { 200: Page(DomainRow) } } }, (request) => {
    needInstallation(request, 'read');
    return { items: rowsOf(context) };
  });
  app.register(async (plain) => {
    const scope = plain as unknown as App;
    readTexts(scope);
    const schema = {
      tags,
      summary: 'Takes a configuration of envoyproxy/ratelimit as it is, in place of the one its domain had',
      querystring: Type.Object({ reason: Reason }),
      body: TextBody,
      response: { 200: Page(DomainRow) },
    };
    scope.post('/api/v1/rate-limit-domains', { schema }, async (request) => {
      const who = needInstallation(request, 'admin');
      const text = String(request.body ?? '');
      const { domain, problems } = importEnvoy(text, 0);
      if (problems !== null) return refuse('limit.invalid', problems);
      if (domain.name === ACCOUNTS_DOMAIN)
        throw new Problem(
          'limit.invalid',
          `the domain ${ACCOUNTS_DOMAIN} asks for accounts' own limits: choose another`,
        );
      const fact = { kind: 'rls', domain: domain.name, text } as const;
      await turn(() => context.log.append([fact], authorOf(who, '', request.query.reason)));
      return { items: rowsOf(context) };
    });
  });
  const Params = Type.Object({ domain: Type.String() });
  app.delete(
    '/api/v1/rate-limit-domains/:domain',
    {
      schema: {
        tags,
        params: Params,
        querystring: Type.Object({ reason: Reason }),
        response: { 200: Page(DomainRow) },
      },
    },
    async (request) => {
      const who = needInstallation(request, 'admin');
      const { domain } = request.params;
      if (!context.log.book.catalogue.rlsDomains.has(domain)) throw new Problem('limit.unknown');
      const fact = { kind: 'rls', domain, text: null } as const;
      await turn(() => context.log.append([fact], authorOf(who, '', request.query.reason)));
      return { items: rowsOf(context) };
    },
  );
};

/** The JSON twin of the gRPC service, with 200 or 429 as its answer. Unlike gRPC it asks for a key: HTTP is for everyone. */
export const rlsJsonRoute = (app: App, context: Context): void => {
  app.post('/json', { schema: { hide: true } }, async (request, reply) => {
    needInstallation(request, 'ingest');
    try {
      const response = await context.rateLimits.answer(requestFromJson(request.body));
      return reply.code(response.overallCode === 'OK' ? 200 : 429).send(responseToJson(response));
    } catch (error) {
      if (error instanceof RlsError) throw new Problem('request.invalid', error.message);
      throw error;
    }
  });
};
