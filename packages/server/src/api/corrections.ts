/** Corrections: facts about facts, with author and reason. Nothing is ever edited or deleted. */
import { Type } from '@sinclair/typebox';
import type { ControlFact } from '../domain/control-fact.ts';
import { Problem } from '../errors.ts';
import { auditBody } from './audit.ts';
import { need, needInstallation } from './auth.ts';
import { authorOf, type Context, tenantOf, viewerOf } from './context.ts';
import type { App } from './provider.ts';
import { mayGive } from './resources.ts';
import { InstantText, Name, Page } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const Done = Type.Object({
  receipt: Type.Integer({ description: 'Receipt number of the correction' }),
  recordedAt: Type.String(),
  kind: Type.String(),
  body: Type.Object({}, { additionalProperties: true }),
});
const done = (fact: ControlFact) => ({
  receipt: fact.receipt,
  recordedAt: isoText(fact.recordedAt),
  kind: fact.body.kind,
  body: auditBody(fact),
});
const Why = Type.String({ minLength: 1, maxLength: 1000, description: 'Why, for the audit log' });
const Target = {
  tenant: Type.Optional(Type.String({ maxLength: 256 })),
  source: Type.Optional(Name('Source of the event', 512)),
  id: Type.Optional(Name('Id of the event', 512)),
};
const SetRow = Type.Object({ name: Type.String(), state: Type.String() });

export const correctionRoutes = (app: App, context: Context): void => {
  const tags = ['corrections'];

  const Void = Type.Object(
    { ...Target, receipt: Type.Optional(Type.Integer({ minimum: 1 })), reason: Why },
    { additionalProperties: false },
  );
  const voidSchema = {
    tags,
    summary: 'An event (by source and id) or a reading (by receipt) counts no more',
    body: Void,
    response: { 200: Done },
  };
  app.post('/api/v1/corrections/void', { schema: voidSchema }, async (request) => {
    const who = need(request, 'admin');
    const { source, id, receipt, reason } = request.body;
    const tenant = tenantOf(context, who, request.body.tenant);
    const author = authorOf(who, tenant, reason);
    if (receipt !== undefined) {
      await ownReading(context, receipt, tenant, who.account);
      return done(await context.usage.corrections.voidReading(receipt, author));
    }
    if (source === undefined || id === undefined)
      throw new Problem('request.invalid', 'Name the fact by receipt, or by source and id');
    return done(await context.usage.corrections.voidEvent({ tenant, source, id }, author));
  });

  const Amend = Type.Object(
    {
      tenant: Target.tenant,
      source: Name('Source of the event', 512),
      id: Name('Id of the event', 512),
      time: Type.Optional(InstantText('The right time')),
      subject: Type.Optional(Name('The right subject', 512)),
      data: Type.Optional(
        Type.String({
          maxLength: 262_144,
          description: 'The right data as JSON text: a text, so that no number is rounded on its way',
        }),
      ),
      reason: Why,
    },
    { additionalProperties: false },
  );
  app.post(
    '/api/v1/corrections/amend',
    { schema: { tags, summary: 'New content for an event', body: Amend, response: { 200: Done } } },
    async (request) => {
      const who = need(request, 'admin');
      const { source, id, time, subject, data, reason } = request.body;
      const tenant = tenantOf(context, who, request.body.tenant);
      if (data !== undefined) checkData(data);
      const change = {
        ...(time === undefined ? {} : { t: instantOf(time, 'time') }),
        ...(subject === undefined ? {} : { subject }),
        ...(data === undefined ? {} : { data }),
      };
      return done(
        await context.usage.corrections.amendEvent({ tenant, source, id }, change, authorOf(who, tenant, reason)),
      );
    },
  );

  const Attribute = Type.Object(
    {
      tenant: Target.tenant,
      resource: Name('Resource', 512),
      account: Name('Account'),
      from: InstantText('From when'),
      reason: Why,
    },
    { additionalProperties: false },
  );
  const attributeSchema = {
    tags,
    summary: 'Gives the usage of a resource to an account, also for the past',
    body: Attribute,
    response: { 200: Done },
  };
  app.post('/api/v1/corrections/attribute', { schema: attributeSchema }, async (request) => {
    const who = need(request, 'admin');
    const { resource, account, from, reason } = request.body;
    const tenant = tenantOf(context, who, request.body.tenant);
    mayGive(context, who, tenant, account);
    return done(
      await context.usage.corrections.attribute(
        tenant,
        resource,
        account,
        instantOf(from, 'from'),
        authorOf(who, tenant, reason),
      ),
    );
  });

  const Unobserved = Type.Object(
    {
      series: Type.Integer({ minimum: 1 }),
      from: InstantText('First instant'),
      to: InstantText('One past the last'),
      reason: Why,
    },
    { additionalProperties: false },
  );
  const unobservedSchema = {
    tags,
    summary: 'What is pending of the series in the span will never come',
    body: Unobserved,
    response: { 200: Done },
  };
  app.post('/api/v1/corrections/unobserved', { schema: unobservedSchema }, async (request) => {
    const who = need(request, 'admin');
    const series = context.registry.byId(request.body.series);
    if (series === undefined || (who.account !== null && !viewerOf(context, who)?.has(series.tenant)))
      throw new Problem('series.unknown', `There is no series ${request.body.series}`);
    const [from, to] = [instantOf(request.body.from, 'from'), instantOf(request.body.to, 'to')];
    if (from >= to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
    return done(
      await context.usage.corrections.declareUnobserved(
        series.id,
        from,
        to,
        authorOf(who, series.tenant, request.body.reason),
      ),
    );
  });

  // A set has one name in the whole installation, whoever's events are in it: it is for its operators.
  const sets = { tags, response: { 200: Page(SetRow) } };
  app.get(
    '/api/v1/corrections/sets',
    { schema: { ...sets, summary: 'Named sets of events sent in later' } },
    (request) => {
      needInstallation(request, 'admin');
      return { items: [...context.log.book.allSets()].map(({ name, state }) => ({ name, state })) };
    },
  );
  const OpenSet = Type.Object({ name: Name('Name of the set', 128), reason: Why }, { additionalProperties: false });
  const openSchema = {
    tags,
    summary: 'Opens a backfill set; events sent with the header tollgate-set belong to it',
    body: OpenSet,
    response: { 200: Done },
  };
  app.post('/api/v1/corrections/sets', { schema: openSchema }, async (request) => {
    const who = needInstallation(request, 'admin');
    return done(
      await context.usage.corrections.openSet(request.body.name, authorOf(who, who.account ?? '', request.body.reason)),
    );
  });
  const SetParams = Type.Object({ name: Type.String() });
  const Undo = Type.Object({ reason: Why }, { additionalProperties: false });
  const undoSchema = {
    tags,
    summary: 'All events of the set count no more',
    params: SetParams,
    body: Undo,
    response: { 200: Done },
  };
  app.post('/api/v1/corrections/sets/:name/undo', { schema: undoSchema }, async (request) => {
    const who = needInstallation(request, 'admin');
    return done(
      await context.usage.corrections.undoSet(
        request.params.name,
        authorOf(who, who.account ?? '', request.body.reason),
      ),
    );
  });
};

const ownReading = async (context: Context, receipt: number, tenant: string, account: string | null): Promise<void> => {
  if (account === null) return;
  const found = await context.store.findReceipt(receipt);
  const series = found !== null && 'reading' in found ? context.registry.byId(found.reading.series) : undefined;
  if (series?.tenant !== tenant) throw new Problem('fact.unknown', `No reading has receipt ${receipt}`);
};

const checkData = (data: string): void => {
  try {
    JSON.parse(data);
  } catch (e) {
    throw new Problem('request.malformed_json', `data: ${e instanceof Error ? e.message : 'not JSON'}`, {
      pointer: '/data',
    });
  }
};
