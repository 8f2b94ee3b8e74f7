import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import { buildApp } from './app.ts';
import { compiledWhenUsed } from './lazy-schemas.ts';
import { openApi } from './testing/api.ts';

test("every route's schemas are schemas, and compile", async (t) => {
  const { context } = await openApi(t);
  const app = await buildApp(context, null, { schemaController: {}, validateSchema: true });
  await app.ready();
  await app.close();
});

test('a schema is compiled by the first request that needs it, and then checks and writes as any other', async (t) => {
  const { schemaController } = compiledWhenUsed();
  const app = Fastify({ schemaController, ajv: { customOptions: { coerceTypes: 'array' } } });
  t.after(() => app.close());
  const integer = { type: 'integer', minimum: 1 };
  const answer = { type: 'object', properties: { n: integer }, additionalProperties: false };
  app.get('/good', {
    schema: { querystring: { type: 'object', properties: { n: integer }, required: ['n'] }, response: { 200: answer } },
    handler: async (request) => ({ n: (request.query as { n: number }).n + 1, secret: 'not described, not written' }),
  });
  app.get('/wrong', { schema: { querystring: { type: 'no such type' } }, handler: async () => 'never' });
  await app.ready();
  const check = async (url: string, status: number, told: RegExp): Promise<void> => {
    const { statusCode, body } = await app.inject(url);
    assert.equal(statusCode, status, body);
    assert.match(body, told);
  };
  for (let i = 0; i < 2; i++) {
    await check('/good?n=41', 200, /^\{"n":42\}$/);
    await check('/good?n=0', 400, /querystring\/n must be >= 1/);
    await check('/good', 400, /must have required property 'n'/);
  }
  await check('/wrong', 500, /./);
});
