/** Admitted decisions as usage: the agent's sums, spool and publisher, with this process' own ingest at the other end. */
import type { Static } from '@sinclair/typebox';
import { type HttpAnswer, openUsage, type Usage as Publisher } from '@tollgate/agent';
import { batchHeaders } from '@tollgate/event';
import { toProblem } from './api/problems.ts';
import { type ReportContext, type SourceReport, takeReport } from './api/source-report.ts';
import type { Randomness } from './domain/environment.ts';
import { errors } from './errors.ts';
import type { Ingest } from './ingest/index.ts';
import { instantOf } from './ingest/metering.ts';
import { DECISIONS } from './throttle/decided-usage.ts';

/** What is left at a stop goes in this long; the rest waits in the spool for the next start. */
const GRACE_MS = 500;

export interface DecisionDoor extends ReportContext {
  ingest: Ingest;
}

export const openDecisionPublisher = (
  door: DecisionDoor,
  spool: string,
  random: Randomness,
  report: (message: string) => void,
): Promise<Publisher> =>
  openUsage({
    url: '',
    key: '',
    source: DECISIONS,
    spool,
    graceMs: GRACE_MS,
    clock: door.clock,
    random,
    network: { post: (path, body, _type, _signal, headers = {}) => post(door, path, body, headers) },
    report: ({ message }) => report(message),
  });

/** In the installation's name, and of its own accord. */
const AUTHOR = { tenant: '', author: DECISIONS, reason: '' };

const post = async (
  door: DecisionDoor,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<HttpAnswer> => {
  try {
    const answer =
      path === '/api/v1/events'
        ? await door.ingest.acceptEvents(Buffer.from(body), 'batch', publicationOf(headers))
        : await takeReport(door, AUTHOR, DECISIONS, JSON.parse(body) as Static<typeof SourceReport>);
    return { status: 200, retryAfter: 0, body: JSON.stringify(answer ?? {}) };
  } catch (error) {
    const { code, message, extra } = toProblem(error);
    return { status: errors[code].status, retryAfter: (extra.retryAfterSeconds ?? 0) * 1000, body: message };
  }
};

function publicationOf(headers: Readonly<Record<string, string>>): Parameters<Ingest['acceptEvents']>[2] {
  const completeThrough = headers[batchHeaders.completeThrough];
  return {
    tenant: '',
    mayspeak: (source) => source === DECISIONS,
    run: headers[batchHeaders.run] ?? '',
    sequence: Number(headers[batchHeaders.sequence]),
    source: DECISIONS,
    ...(completeThrough === undefined ? {} : { completeThrough: instantOf(completeThrough) }),
  };
}
