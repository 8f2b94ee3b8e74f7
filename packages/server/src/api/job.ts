/** The usage job: how far it is, what its runs did, and asking it to run. */
import { type Static, Type } from '@sinclair/typebox';
import { Problem } from '../errors.ts';
import type { Run } from '../store/control-store.ts';
import { need, needInstallation } from './auth.ts';
import { authorOf, type Context } from './context.ts';
import { type App, NullableNumber, NullableText, Words } from './provider.ts';
import { InstantText, Page, Reason } from './schemas.ts';
import { instantOf, isoText } from './time.ts';

const streams = ['counter', 'event'] as const;
const Backlog = Type.Object({
  stream: Words(streams),
  group: Type.Integer(),
  from: Type.String(),
  to: Type.String(),
  windows: Type.Integer(),
});
const Status = Type.Object({
  running: Type.Boolean(),
  rerunning: Type.Boolean(),
  frontier: Type.Integer({ description: 'Facts with a receipt number up to this one are in the records' }),
  newest: Type.Integer({ description: 'Receipt number up to which all facts are durable' }),
  closedTo: NullableText({ description: 'All windows before this are closed' }),
  lagSeconds: NullableNumber({ description: 'Clock less closedTo' }),
  lastRunAt: NullableText(),
  nextRunAt: NullableText(),
  lastError: Type.String(),
  windowsLeft: Type.Integer({ description: 'Closable windows that have no records yet, over all groups' }),
  backlog: Type.Array(Backlog),
});
const RunRow = Type.Object({
  id: Type.Integer(),
  stream: Words(streams),
  group: Type.Integer(),
  frontier: Type.Integer(),
  from: Type.String(),
  to: Type.String(),
  startedAt: Type.String(),
  finishedAt: NullableText(),
  windows: Type.Integer(),
  records: Type.Integer(),
  rewritten: Type.Integer(),
  odd: Type.Integer(),
  setAside: Type.Integer(),
  outcome: Words(['running', 'done', 'lost-lease', 'failed'] as const),
  error: Type.String(),
});

const orNull = (at: number): string | null => (at > 0 ? isoText(at) : null);
const runRow = (run: Run): Static<typeof RunRow> => ({
  ...run,
  from: isoText(run.from),
  to: isoText(run.to),
  startedAt: isoText(run.startedAt),
  finishedAt: run.finishedAt === null ? null : isoText(run.finishedAt),
});

export const jobStatus = async (context: Context, rerunning = false): Promise<Static<typeof Status>> => {
  const s = await context.usage.job.status();
  return {
    running: s.running,
    rerunning,
    frontier: s.frontier,
    newest: context.receipts.frontier(),
    closedTo: orNull(s.closedTo),
    lagSeconds: s.closedTo > 0 ? Math.max(0, Math.round((context.clock.now() - s.closedTo) / 1000)) : null,
    lastRunAt: orNull(s.lastRunAt),
    nextRunAt: orNull(s.nextRunAt),
    lastError: s.lastError,
    windowsLeft: s.backlog.reduce((sum, b) => sum + b.windows, 0),
    backlog: s.backlog.map((b) => ({ ...b, from: isoText(b.from), to: isoText(b.to) })),
  };
};

/** One rerun at a time, worked off behind the answer; `tollgate job rerun` asks for its state until it is done. */
interface Rerun {
  from: number;
  to: number;
  state: 'running' | 'done' | 'failed';
  records: number;
  error: string;
}

export const jobRoutes = (app: App, context: Context): void => {
  const tags = ['job'];
  let rerun: Rerun | null = null;

  app.get(
    '/api/v1/job',
    { schema: { tags, summary: 'How far the usage job is', response: { 200: Status } } },
    (request) => {
      need(request, 'read');
      return jobStatus(context, rerun?.state === 'running');
    },
  );

  const RunsQuery = Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })) });
  app.get(
    '/api/v1/job/runs',
    { schema: { tags, querystring: RunsQuery, response: { 200: Page(RunRow) } } },
    async (request) => {
      needInstallation(request, 'read');
      return { items: (await context.control.runs(request.query.limit ?? 50)).map(runRow) };
    },
  );

  const RunParams = Type.Object({ id: Type.Integer({ minimum: 1 }) });
  app.get(
    '/api/v1/job/runs/:id',
    { schema: { tags, params: RunParams, response: { 200: RunRow } } },
    async (request) => {
      needInstallation(request, 'read');
      const run = await context.control.run(request.params.id);
      if (run === null) throw new Problem('run.unknown', `There is no run ${request.params.id}`);
      return runRow(run);
    },
  );

  app.post(
    '/api/v1/job/run',
    { schema: { tags, summary: 'Runs the job now; answers when the run is done', response: { 200: Status } } },
    async (request) => {
      needInstallation(request, 'admin');
      await context.usage.job.run();
      return jobStatus(context);
    },
  );

  const Span = Type.Object(
    { from: InstantText('First instant'), to: InstantText('One past the last'), reason: Reason },
    { additionalProperties: false },
  );
  const RerunState = Type.Object({
    from: Type.String(),
    to: Type.String(),
    state: Words(['running', 'done', 'failed'] as const),
    records: Type.Integer(),
    error: Type.String(),
  });
  const shown = (r: Rerun): Static<typeof RerunState> => ({ ...r, from: isoText(r.from), to: isoText(r.to) });
  const rerunSchema = {
    tags,
    summary: 'Computes a span again from the facts; the same records come out',
    body: Span,
    response: { 202: RerunState },
  };
  app.post('/api/v1/job/rerun', { schema: rerunSchema }, async (request, reply) => {
    const who = needInstallation(request, 'admin');
    if (rerun?.state === 'running') throw new Problem('job.busy', `A rerun from ${isoText(rerun.from)} is under way`);
    const [from, to] = [instantOf(request.body.from, 'from'), instantOf(request.body.to, 'to')];
    if (from >= to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
    const started: Rerun = { from, to, state: 'running', records: 0, error: '' };
    rerun = started;
    context.logger.info({ from: isoText(from), to: isoText(to), by: authorOf(who, '', request.body.reason) }, 'rerun');
    context.usage.job.rerun(from, to).then(
      ({ records }) => Object.assign(started, { state: 'done', records }),
      (error: unknown) => {
        context.logger.error({ err: error }, 'rerun failed');
        Object.assign(started, { state: 'failed', error: error instanceof Error ? error.message : String(error) });
      },
    );
    return reply.code(202).send(shown(started));
  });
  app.get(
    '/api/v1/job/rerun',
    { schema: { tags, summary: 'State of the last rerun', response: { 200: RerunState } } },
    (request) => {
      needInstallation(request, 'read');
      if (rerun === null) throw new Problem('run.unknown', 'Nothing was rerun since the server started');
      return shown(rerun);
    },
  );
};
