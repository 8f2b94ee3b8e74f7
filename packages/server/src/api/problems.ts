/** Every failure of a request leaves as problem+json with a code of the registry. */
import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { LedgerError } from '../billing/ledger/ledger-error.ts';
import { CalendarError } from '../domain/calendar.ts';
import { type ErrorCode, errors, isErrorCode, Problem, problemBody } from '../errors.ts';
import { BooksError } from '../store/billing-checks.ts';
import { StoreError } from '../store/errors.ts';
import { UsageError } from '../usage/index.ts';
import type { App } from './provider.ts';

const fastifyCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'request.too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'request.content_type',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'request.malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'request.malformed_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request.invalid',
  FST_ERR_BAD_URL: 'request.invalid',
  FST_ERR_MAX_PARAM_LENGTH: 'request.invalid',
  FST_ERR_HANDLER_TIMEOUT: 'request.timeout',
};

const validationProblem = (error: FastifyError): Problem => {
  const first = error.validation?.[0];
  const missing = first?.params.missingProperty ?? first?.params.additionalProperty;
  const pointer = `${first?.instancePath ?? ''}${typeof missing === 'string' ? `/${missing}` : ''}`;
  const place = error.validationContext === 'body' ? '' : ` (in the ${error.validationContext ?? 'request'})`;
  const allowed = first?.params.allowedValues;
  const why = Array.isArray(allowed) ? `must be one of ${allowed.join(', ')}` : (first?.message ?? 'is refused');
  return new Problem('request.invalid', `${pointer || 'the value'} ${why}${place}`, { pointer });
};

/** What a thrown thing is to the outside. Anything unknown is our fault and says nothing of its inside. */
export const toProblem = (error: unknown): Problem => {
  if (error instanceof Problem) return error;
  if ((error instanceof UsageError || error instanceof CalendarError) && isErrorCode(error.code))
    return new Problem(error.code, error.message);
  if (error instanceof BooksError && isErrorCode(error.code)) return new Problem(error.code, error.message);
  if (error instanceof LedgerError && isErrorCode(error.code))
    return new Problem(error.code, error.message, error.field === '' ? {} : { pointer: `/${error.field}` });
  if (error instanceof StoreError)
    return error.transient
      ? new Problem('store.unavailable', error.message, { retryAfterSeconds: 2 })
      : isErrorCode(error.code) && errors[error.code].status < 500
        ? new Problem(error.code, error.message)
        : new Problem('server.internal', 'The store refused the statement');
  if (error instanceof Error) {
    const known = error as FastifyError;
    if (known.validation !== undefined) return validationProblem(known);
    const code = fastifyCodes[known.code];
    if (code !== undefined) return new Problem(code, error.message);
    if (error instanceof SyntaxError && known.statusCode === 400)
      return new Problem('request.malformed_json', error.message);
  }
  return new Problem('server.internal');
};

export const sendProblem = (problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  const { status } = errors[problem.code];
  const body = problemBody(problem, `urn:tollgate:request:${request.id}`);
  reply.code(status);
  if (problem.extra.retryAfterSeconds !== undefined) reply.header('retry-after', problem.extra.retryAfterSeconds);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // Bytes, not text: the framework would add a charset, and clients compare the type as a whole.
  return reply.type('application/problem+json').send(Buffer.from(JSON.stringify(body)));
};

export const installProblems = (app: App): void => {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    if (errors[problem.code].status >= 500) request.log.error({ err: error, code: problem.code }, 'request failed');
    return sendProblem(problem, request, reply);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    return sendProblem(
      new Problem('request.not_found', `No route ${request.method} ${path.slice(0, 200)}`),
      request,
      reply,
    );
  });
};

/** Answers before a request exists (bad HTTP): Node's own errors, in our words. */
export const clientErrorBody = (code: string): { status: number; body: string } => {
  const problem = new Problem(
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 'request.timeout'
      : code === 'HPE_HEADER_OVERFLOW'
        ? 'request.too_large'
        : 'request.invalid',
    code === 'HPE_HEADER_OVERFLOW' ? 'The header fields are too large' : undefined,
  );
  const { status } = errors[problem.code];
  const body = JSON.stringify(problemBody(problem, 'about:blank'));
  return {
    status,
    body: `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  };
};
