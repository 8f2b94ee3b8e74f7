/**
 * Middleware that decides before the application does anything: `(request, response, next)` for node:http, Express and
 * Connect; Fastify's `onRequest` hook calls it with the raw pair (see docs/operating/middleware.md).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Network } from '../environment.ts';
import { type TenantRule, tenantResolver } from '../listen/tenant.ts';
import { realTimers, type Timers } from '../listen/timers.ts';
import { httpNetwork, realClock } from '../real.ts';
import { Decider, type Verdict } from './decider.ts';
import { type FailMode, LeaseClient } from './lease-client.ts';
import { fieldsOf, problemOf, type RefusalBody } from './refusal.ts';

export interface HttpThrottleOptions {
  /** Server, `http://127.0.0.1:8080`. */
  readonly url: string;
  /** With the scope `ingest`, and reaching all accounts that are named. */
  readonly key: string;
  /** Tried in order; the first that names an account wins. A request of nobody is let through. */
  readonly tenantOf: TenantRule | readonly TenantRule[];
  /** What a request is for, as limits and blocks name it. Default: none. */
  readonly action?: string | ((request: IncomingMessage) => string);
  /** Whole units, 0 or more; 0 only asks. Default 1. */
  readonly cost?: number | ((request: IncomingMessage) => number);
  /** Meter of the cost. Default `requests`. */
  readonly meter?: string;
  /** Most a request waits for the server, ms. Default 10. */
  readonly waitMs?: number;
  /** While nobody answers, of accounts whose limits are not known yet; known limits say it themselves. Default `open`. */
  readonly fail?: 'open' | 'closed' | 'last' | { readonly bounded: number };
  /** RateLimit and RateLimit-Policy on admitted answers too. Default true. */
  readonly headers?: boolean;
  /** Also X-RateLimit-*. Default false. */
  readonly legacyHeaders?: boolean;
  /** Writes the refusal instead of JSON; status and fields are set. */
  readonly page?: (problem: RefusalBody, request: IncomingMessage, response: ServerResponse) => void;
  /** Accounts and actions remembered. Default 10,000. */
  readonly most?: number;
  /** Told when the server begins to fail. Default: a process warning. */
  readonly report?: (event: string, detail: Record<string, unknown>) => void;
  readonly network?: Network;
  readonly clock?: Pick<Clock, 'elapsed' | 'sleep'>;
  readonly timers?: Timers;
}

export interface HttpThrottleReport {
  readonly admitted: number;
  readonly refused: number;
  /** Requests that no rule gave an account. */
  readonly nobody: number;
  /** Questions the server did not answer. */
  readonly failures: number;
  /** Units admitted while nobody answered: since the start, and not charged yet. */
  readonly unseen: number;
  readonly owed: number;
  /** Units owed that had to be forgotten: too many accounts owed at once. */
  readonly lost: number;
}

export interface HttpThrottle {
  (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void;
  /** Returns what is unused; within a second. Afterwards the fail mode decides. */
  close(): Promise<void>;
  report(): HttpThrottleReport;
}

const WAIT_MS = 10;
/** An answer later than this is a failure; who waited has gone on long ago. */
const ANSWER_MS = 1000;
const MOST = 10_000;

const failOf = (fail: HttpThrottleOptions['fail'] = 'open'): FailMode =>
  typeof fail === 'string' ? { mode: fail, amount: 0 } : { mode: 'bounded', amount: fail.bounded };

/** Throws TypeError for options that make no sense. */
export function throttleHttp(options: HttpThrottleOptions): HttpThrottle {
  const { cost = 1, action = '', headers = true, legacyHeaders = false, meter = 'requests', page = plain } = options;
  const { clock = realClock, timers = realTimers, waitMs = WAIT_MS, most = MOST, report = warn } = options;
  if (!(waitMs >= 0 && waitMs <= ANSWER_MS)) throw new TypeError(`waitMs: ${waitMs} is not from 0 to ${ANSWER_MS}`);
  const network = options.network ?? httpNetwork(options.url, options.key, ANSWER_MS);
  const client = new LeaseClient({ network, clock, report });
  const settings = { meter, waitMs, most, fail: failOf(options.fail) };
  const decider = new Decider({ client, clock, timers, settings });
  const accountOf = tenantResolver(options.tenantOf);
  const legacy = { legacy: legacyHeaders };
  const counts = { admitted: 0, refused: 0, nobody: 0 };

  const finish = ({ refusal, policies, release }: Verdict, request: IncomingMessage, response: ServerResponse) => {
    if (release !== null) onceOver(response, release);
    if (refusal === null) counts.admitted++;
    else counts.refused++;
    if ((headers || refusal !== null) && !response.headersSent)
      for (const [name, value] of Object.entries(fieldsOf(policies, refusal, legacy))) response.setHeader(name, value);
    if (refusal === null) return true;
    const problem = problemOf(refusal);
    response.statusCode = problem.status;
    page(problem, request, response);
    return false;
  };

  const handle = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void => {
    let verdict: Verdict | Promise<Verdict>;
    try {
      const account = accountOf(request, targetOf(request));
      if (account === undefined) {
        counts.nobody++;
        next();
        return;
      }
      verdict = decider.decide(
        account,
        typeof action === 'string' ? action : action(request),
        unitsOf(typeof cost === 'number' ? cost : cost(request)),
      );
    } catch (error) {
      next(error);
      return;
    }
    if (!(verdict instanceof Promise)) {
      if (finish(verdict, request, response)) next();
      return;
    }
    verdict.then((made) => finish(made, request, response)).then((goes) => goes && next(), next);
  };
  return Object.assign(handle, {
    close: () => decider.close(),
    report: () => ({
      ...counts,
      failures: client.failures,
      unseen: decider.unseen,
      owed: decider.owed,
      lost: decider.lost,
    }),
  });
}

const warn = (event: string, { error }: Record<string, unknown>): void =>
  process.emitWarning(`${event}: ${String(error)}; the fail mode decides until the server answers`, 'TollgateWarning');

/** Frameworks rewrite `url` while they route. */
const targetOf = (request: IncomingMessage): string =>
  (request as IncomingMessage & { originalUrl?: string }).originalUrl ?? request.url ?? '';

function unitsOf(cost: number): number {
  if (Number.isSafeInteger(cost) && cost >= 0) return cost;
  throw new RangeError(`a cost of ${cost} is not a whole number of units, 0 or more`);
}

function onceOver(response: ServerResponse, release: () => void): void {
  if (response.closed || response.destroyed) release();
  else response.once('close', release);
}

function plain(problem: RefusalBody, _request: IncomingMessage, response: ServerResponse): void {
  const body = Buffer.from(JSON.stringify(problem));
  response.setHeader('content-type', 'application/problem+json');
  response.setHeader('cache-control', 'no-store');
  response.setHeader('content-length', body.length);
  response.end(body);
}
