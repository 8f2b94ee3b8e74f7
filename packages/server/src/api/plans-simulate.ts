/** What accounts would have paid by other plans, as NDJSON: how far it is, each account, and the totals. */
import { type Static, Type } from '@sinclair/typebox';
import { type PlanStep, simulatePlans } from '../billing/try/simulate.ts';
import { definePlans } from '../domain/limit/define-plans.ts';
import { Problem } from '../errors.ts';
import { needInstallation, type Principal } from './auth.ts';
import { readTexts, refuse, TextBody } from './catalogue-change.ts';
import { type Context, reach } from './context.ts';
import type { LongWork } from './long-work.ts';
import { amountText } from './money.ts';
import type { App } from './provider.ts';
import { InstantText, Name } from './schemas.ts';
import { instantOf } from './time.ts';

const Query = Type.Object({
  from: InstantText('Periods that begin at it or later'),
  to: Type.Optional(InstantText('Periods that end at it or before; now when left away')),
  accounts: Type.Optional(
    Type.Array(
      Name('As if they had the one plan of the text as long as they had any; else who has a plan of its keys'),
      {
        maxItems: 10_000,
      },
    ),
  ),
});

const stepsOf = async (
  context: Context,
  who: Principal,
  text: string,
  { from, to, accounts }: Static<typeof Query>,
): Promise<AsyncGenerator<PlanStep>> => {
  const { value: plans, problems } = definePlans(text, context.log.book.meters());
  if (problems !== null) return refuse('plan.invalid', problems);
  for (const account of accounts ?? []) reach(context, who, account);
  if (accounts !== undefined && plans.length !== 1)
    throw new Problem('query.range', 'accounts: the text must have one plan for them', { pointer: '/accounts' });
  const zone = accounts?.[0] === undefined ? 'UTC' : (context.log.book.account(accounts[0])?.zone ?? 'UTC');
  const now = context.clock.now();
  const span = { from: instantOf(from, 'from', zone), to: to === undefined ? now : instantOf(to, 'to', zone) };
  if (span.to > now) throw new Problem('query.range', 'to: what is to come was not metered', { pointer: '/to' });
  if (span.from >= span.to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
  const reader = await context.usage.meteredAt();
  // A book of its own: the reader's is shared with whoever asks about the same frontier.
  const book = await context.log.bookAt(reader.frontier);
  return simulatePlans(reader, book, { plans, accounts: accounts ?? null, span });
};

const lineOf = (step: PlanStep): string => {
  if (step.kind === 'progress') return `${JSON.stringify(step)}\n`;
  const sums = <T extends { currency: string; before: bigint; after: bigint }>(row: T) => ({
    ...row,
    before: amountText(row.before, row.currency),
    after: amountText(row.after, row.currency),
    difference: amountText(row.after - row.before, row.currency),
  });
  if (step.kind === 'account') return `${JSON.stringify({ kind: 'account', account: sums(step.account) })}\n`;
  return `${JSON.stringify({ ...step, totals: step.totals.map(sums) })}\n`;
};

export const simulatePlanRoutes = (app: App, context: Context, long: LongWork): void => {
  const schema = {
    tags: ['plans'],
    summary: 'What accounts would have paid by other plans, against what they pay by those in force; NDJSON',
    description: 'Exact, from what was metered, with taxes; changes nothing. Whole periods between the two instants.',
    querystring: Query,
    body: TextBody,
  };
  app.register(async (scope) => {
    readTexts(scope as unknown as App);
    (scope as unknown as App).post('/api/v1/plans/simulate', { schema }, async (request, reply) => {
      const who = needInstallation(request, 'read');
      const text = typeof request.body === 'string' ? request.body : '';
      const begin = () => stepsOf(context, who, text, request.query);
      return reply.type('application/x-ndjson').send(await long.lines({ key: who.key, begin, lineOf }));
    });
  });
};
