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

export const jobStatus = async (context: Context): Promise<Static<typeof Status>> => {
  const s = await context.usage.job.status();
  return {
    running: s.running,
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

/** What somebody asked for: worked off behind the answer, because it may last longer than a request. One at a time. */
interface Task {
  kind: 'run' | 'rerun';
  from: number;
  to: number;
  state: 'running' | 'done' | 'failed';
  records: number;
  error: string;
}
const TaskRow = Type.Object({
  kind: Words(['run', 'rerun'] as const),
  from: NullableText(),
  to: NullableText(),
  state: Words(['running', 'done', 'failed'] as const),
  records: Type.Integer(),
  error: Type.String(),
});
const taskRow = (t: Task): Static<typeof TaskRow> => ({ ...t, from: orNull(t.from), to: orNull(t.to) });

const begin = (context: Context, task: Task): Task => {
  const work =
    task.kind === 'run'
      ? context.usage.job.run().then(() => ({ records: 0 }))
      : context.usage.job.rerun(task.from, task.to);
  work.then(
    ({ records }) => Object.assign(task, { state: 'done', records }),
    (error: unknown) => {
      context.logger.error({ err: error }, `${task.kind} failed`);
      Object.assign(task, { state: 'failed', error: error instanceof Error ? error.message : String(error) });
    },
  );
  return task;
};

export const jobRoutes = (app: App, context: Context): void => {
  const tags = ['job'];
  let task: Task | null = null;

  app.get(
    '/api/v1/job',
    { schema: { tags, summary: 'How far the usage job is', response: { 200: Status } } },
    (request) => {
      need(request, 'read');
      return jobStatus(context);
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

  const idle = (): void => {
    if (task?.state === 'running') throw new Problem('job.busy', `A ${task.kind} is under way`);
  };
  const RunQuery = Type.Object({
    wait: Type.Optional(
      Type.Boolean({ description: 'false: answer at once, see GET /api/v1/job/rerun; default true' }),
    ),
  });
  const runSchema = {
    tags,
    summary: 'Runs the job now',
    querystring: RunQuery,
    response: { 200: Status, 202: TaskRow },
  };
  app.post('/api/v1/job/run', { schema: runSchema }, async (request, reply) => {
    needInstallation(request, 'admin');
    if (request.query.wait !== false) {
      await context.usage.job.run();
      return reply.send(await jobStatus(context));
    }
    idle();
    task = begin(context, { kind: 'run', from: 0, to: 0, state: 'running', records: 0, error: '' });
    return reply.code(202).send(taskRow(task));
  });

  const Span = Type.Object(
    { from: InstantText('First instant'), to: InstantText('One past the last'), reason: Reason },
    { additionalProperties: false },
  );
  const rerunSchema = {
    tags,
    summary: 'Computes a span again from the facts; the same records come out',
    body: Span,
    response: { 202: TaskRow },
  };
  app.post('/api/v1/job/rerun', { schema: rerunSchema }, async (request, reply) => {
    const who = needInstallation(request, 'admin');
    idle();
    const [from, to] = [instantOf(request.body.from, 'from'), instantOf(request.body.to, 'to')];
    if (from >= to) throw new Problem('query.range', 'from must lie before to', { pointer: '/from' });
    context.logger.info({ from: isoText(from), to: isoText(to), by: authorOf(who, '', request.body.reason) }, 'rerun');
    task = begin(context, { kind: 'rerun', from, to, state: 'running', records: 0, error: '' });
    return reply.code(202).send(taskRow(task));
  });

  app.get(
    '/api/v1/job/rerun',
    { schema: { tags, summary: 'State of the last run or rerun that was asked for', response: { 200: TaskRow } } },
    (request) => {
      needInstallation(request, 'read');
      if (task === null) throw new Problem('run.unknown', 'Nothing was asked for since the server started');
      return taskRow(task);
    },
  );
};
