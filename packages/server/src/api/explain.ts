/** From a record down to the readings and events that made it, and from a fact up to where it counts (law 12). */
import { Type } from '@sinclair/typebox';
import { asking, type Context } from './context.ts';
import type { App } from './provider.ts';
import { isoText, parseInstant } from './time.ts';

const DIGITS = /^\d{1,16}$/;
/** Instants in references are milliseconds (as the machine writes them) or RFC 3339 (as people do). */
const referenceInstant = (text: string): number | null => (DIGITS.test(text) ? Number(text) : parseInstant(text));

/** Names of fields that hold an instant: shown as text. */
const instants = new Set(['window', 'to', 't', 'sourceTime', 'receivedAt', 'startedAt', 'finishedAt', 'from']);
const readable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, v]) => [
      name,
      typeof v === 'number' && instants.has(name) ? isoText(v) : readable(v),
    ]),
  );
};

/** Its fields differ by kind: see ExplainedCounter and ExplainedEvent in ../usage/explain.ts. */
const Explained = Type.Unsafe<unknown>({ type: 'object', additionalProperties: true });

export const explainRoutes = (app: App, context: Context): void => {
  const Query = Type.Object({
    ref: Type.String({
      minLength: 1,
      maxLength: 2000,
      description: 'SERIES@WINDOW or SERIES@FROM/TO for records, receipt:N or event:SOURCE/ID for facts',
    }),
  });
  const schema = {
    tags: ['usage'],
    summary: 'Why a record is what it is; where a fact was counted',
    querystring: Query,
    response: { 200: Explained },
  };
  app.get('/api/v1/explain', { schema }, async (request) => {
    const { viewer } = asking(context, request, 'read');
    const explained = await context.usage.explain(request.query.ref, viewer, referenceInstant);
    return readable(explained);
  });
};
