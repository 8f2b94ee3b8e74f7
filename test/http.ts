/** A publisher's and a reader's view of the server, by plain HTTP: what a stranger with the documentation would write. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Server } from './server.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

export const BATCH = 'application/cloudevents-batch+json';
export const JSON_TYPE = 'application/json';

/** Rejects when no answer came: refused, cut off, or later than 30 s. */
export const call = async (
  server: Pick<Server, 'url' | 'key'>,
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> => {
  try {
    const answer = await fetch(server.url + path, {
      method,
      headers: { authorization: `Bearer ${server.key}`, ...headers },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(30_000),
    });
    return await read(answer);
  } catch (error) {
    throw new Error(`${method} ${path}: no answer: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
};

const read = async (answer: Response): Promise<Answer> => {
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, json: parsed(text) };
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** GET that must answer 200, as the given shape. */
export const get = async <T>(server: Pick<Server, 'url' | 'key'>, path: string): Promise<T> => {
  const answer = await call(server, 'GET', path);
  if (answer.status !== 200) throw new Error(`GET ${path} answered ${answer.status}: ${answer.text.slice(0, 2000)}`);
  return answer.json as T;
};

/** POST of JSON that must answer 2xx. */
export const post = async <T>(
  server: Pick<Server, 'url' | 'key'>,
  path: string,
  body: unknown,
  type = JSON_TYPE,
): Promise<T> => {
  const answer = await call(server, 'POST', path, JSON.stringify(body), { 'content-type': type });
  if (answer.status < 200 || answer.status > 299)
    throw new Error(`POST ${path} answered ${answer.status}: ${answer.text.slice(0, 2000)}`);
  return answer.json as T;
};

/** Asks again until `good` holds; fails with the last answer. */
export const eventually = async <T>(ask: () => Promise<T>, good: (value: T) => boolean, ms = 20_000): Promise<T> => {
  const began = performance.now();
  for (;;) {
    const value = await ask();
    if (good(value)) return value;
    if (performance.now() - began > ms)
      throw new Error(
        `after ${ms} ms still: ${JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v)).slice(0, 4000)}`,
      );
    await wait(100);
  }
};

/** Scaled by 10^12, so that sums of quantities are exact. */
export const scaled = (quantity: string): bigint => {
  const [, sign = '', whole = '0', fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(quantity) ?? [];
  if (!/^-?\d+(\.\d{1,12})?$/.test(quantity)) throw new Error(`not a quantity: ${quantity}`);
  const digits = BigInt(whole + fraction.padEnd(12, '0'));
  return sign === '-' ? -digits : digits;
};
