/** Admitted decisions as usage: the agent's sums, spool and publisher, with this process' own ingest at the other end. */
import { type HttpAnswer, openUsage, type Usage as Publisher } from '@tollgate/agent';
import { batchHeaders } from '@tollgate/event';
import { toProblem } from './api/problems.ts';
import type { Clock, Randomness } from './domain/environment.ts';
import { errors } from './errors.ts';
import type { Ingest } from './ingest/index.ts';
import { instantOf } from './ingest/metering.ts';
import { DECISIONS } from './throttle/decided-usage.ts';

/** What is left at a stop goes in this long; the rest waits in the spool for the next start. */
const GRACE_MS = 500;

export const openDecisionPublisher = (
  ingest: Ingest,
  spool: string,
  world: { clock: Clock; random: Randomness },
  report: (message: string) => void,
): Promise<Publisher> =>
  openUsage({
    url: '',
    key: '',
    source: DECISIONS,
    spool,
    graceMs: GRACE_MS,
    ...world,
    network: { post: (path, body, _type, _signal, headers = {}) => post(ingest, path, body, headers) },
    report: ({ message }) => report(message),
  });

const post = async (
  ingest: Ingest,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<HttpAnswer> => {
  // Reports of what was lost: of a decision that is lost the grant counts, and the log says so.
  if (path !== '/api/v1/events') return { status: 200, retryAfter: 0, body: '{}' };
  const completeThrough = headers[batchHeaders.completeThrough];
  try {
    const outcome = await ingest.acceptEvents(Buffer.from(body), 'batch', {
      tenant: '',
      mayspeak: (source) => source === DECISIONS,
      run: headers[batchHeaders.run] ?? '',
      sequence: Number(headers[batchHeaders.sequence]),
      source: DECISIONS,
      ...(completeThrough === undefined ? {} : { completeThrough: instantOf(completeThrough) }),
    });
    return { status: 200, retryAfter: 0, body: JSON.stringify(outcome) };
  } catch (error) {
    const { code, extra } = toProblem(error);
    return { status: errors[code].status, retryAfter: (extra.retryAfterSeconds ?? 0) * 1000, body: '' };
  }
};
