/** One POST over a kept connection. node:http and not fetch: it costs less than half the CPU, ten times a second. */
import http from 'node:http';
import https from 'node:https';
import type { HttpAnswer } from './environment.ts';

export interface PostRequest {
  url: URL;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** From start to the end of the answer, ms. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** An answer of ours is small; a proxy's page is read that far. */
const ANSWER_MAX = 4 * 1024 * 1024;

const agents = {
  'http:': new http.Agent({ keepAlive: true }),
  'https:': new https.Agent({ keepAlive: true }),
} as const;

/** Rejects when no whole answer came. */
export const post = ({ url, headers, body, timeoutMs, signal }: PostRequest): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const bytes = Buffer.from(body);
    const request = (secure ? https : http).request(url, {
      method: 'POST',
      agent: agents[secure ? 'https:' : 'http:'],
      headers: { ...headers, 'content-length': bytes.length },
      ...(signal ? { signal } : {}),
    });
    const limit = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(limit);
      reject(error);
    };
    request.on('error', fail);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > ANSWER_MAX) request.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () => {
        clearTimeout(limit);
        resolve(answerOf(response, Buffer.concat(chunks).toString('utf8')));
      });
    });
    request.end(bytes);
  });

const answerOf = ({ statusCode = 0, headers }: http.IncomingMessage, body: string): HttpAnswer => {
  const seconds = Number(headers['retry-after'] ?? '0');
  const date = Date.parse(headers.date ?? '');
  return {
    status: statusCode,
    retryAfter: Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0,
    body,
    ...(Number.isNaN(date) ? {} : { date }),
  };
};
