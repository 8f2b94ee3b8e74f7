/** From a record or a refusal down to the readings and events that made it, and from a fact up to where it counts (law 12). */
import { Type } from '@sinclair/typebox';
import { asking, type Context } from './context.ts';
import { explainInvoiceLine, linesOfFact, readLineRef } from './explain-line.ts';
import { explainRefusal } from './limit-reports.ts';
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

/** Its fields differ by kind: see ExplainedCounter and ExplainedEvent in ../usage/explain.ts, and explainRefusal. */
const Explained = Type.Unsafe<unknown>({ type: 'object', additionalProperties: true });

export const explainRoutes = (app: App, context: Context): void => {
  const Query = Type.Object({
    ref: Type.String({
      minLength: 1,
      maxLength: 2000,
      description:
        'INVOICE:LINE for lines of invoices, SERIES@WINDOW or SERIES@FROM/TO for records, receipt:N or event:SOURCE/ID for facts, refusal:ID for refusals',
    }),
    asOf: Type.Optional(
      Type.Integer({ minimum: 1, description: 'By the facts up to this receipt, as an invoice has it' }),
    ),
  });
  const schema = {
    tags: ['usage'],
    summary: 'Why a line or a record is what it is; where a fact was counted; why a call was refused',
    querystring: Query,
    response: { 200: Explained },
  };
  app.get('/api/v1/explain', { schema }, async (request) => {
    const { who, viewer } = asking(context, request, 'read');
    const { ref, asOf = null } = request.query;
    if (ref.startsWith('refusal:')) return { kind: 'refusal', ...(await explainRefusal(context, ref, viewer)) };
    const line = readLineRef(ref);
    if (line !== null)
      return explainInvoiceLine(context, who, viewer, line, (of, mine, at) =>
        context.usage.explain(of, mine, referenceInstant, at),
      );
    const explained = await context.usage.explain(ref, viewer, referenceInstant, asOf);
    const isFact = /^(receipt|event):/.test(ref);
    const lines = isFact ? { lines: await linesOfFact(context, who, ref, explained) } : {};
    return { ...(readable(explained) as Record<string, unknown>), ...lines };
  });
};
