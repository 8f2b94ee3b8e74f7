/** Calls of Tollgate's HTTP API by name, `METHOD /path`, with the types of its own description. */
import type { Operations } from './generated.ts';

export type OperationName = keyof Operations;
type Answer<K extends OperationName> = Operations[K]['answer'];
type Parts<K extends OperationName> = Omit<Operations[K], 'answer'>;
/** Undefined when the operation takes nothing, otherwise what it takes. */
type Arguments<K extends OperationName> = keyof Parts<K> extends never
  ? []
  : Record<string, never> extends Parts<K>
    ? [Parts<K>?]
    : [Parts<K>];

interface Loose {
  params?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
}

export interface ClientSettings {
  url: string;
  key: string;
  /** Bound of one call, its body included; none when left away (an export may stream for long). */
  timeoutMs?: number;
  fetch?: typeof globalThis.fetch;
}

/** The server answered and refused. `code` is from the registry of error codes. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly pointer: string;
  constructor(
    status: number,
    problem: { code?: string; detail?: string; title?: string; hint?: string; pointer?: string },
  ) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.status = status;
    this.code = problem.code ?? '';
    this.hint = problem.hint ?? '';
    this.pointer = problem.pointer ?? '';
  }
}

/** No answer came: nothing listens, the name does not resolve, the connection broke, or time ran out. */
export class Unreachable extends Error {
  override name = 'Unreachable';
  readonly url: string;
  constructor(url: string, reason: string) {
    super(reason);
    this.url = url;
  }
}

const pathOf = (template: string, params: Record<string, string> = {}): string =>
  template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));

const queryOf = (query: Record<string, unknown> = {}): string => {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) pairs.append(name, String(one));
  }
  const text = pairs.toString();
  return text === '' ? '' : `?${text}`;
};

export class Client {
  readonly url: string;
  readonly #key: string;
  readonly #timeoutMs: number | undefined;
  readonly #fetch: typeof globalThis.fetch;

  constructor(settings: ClientSettings) {
    this.url = settings.url.replace(/\/+$/, '');
    this.#key = settings.key;
    this.#timeoutMs = settings.timeoutMs;
    this.#fetch = settings.fetch ?? globalThis.fetch;
  }

  /** Throws ApiError or Unreachable. */
  async call<K extends OperationName>(name: K, ...args: Arguments<K>): Promise<Answer<K>> {
    const { params, query, body } = (args[0] ?? {}) as Loose;
    const [method = 'GET', template = '/'] = name.split(' ');
    const answer = await this.send(method, `${pathOf(template, params)}${queryOf(query)}`, {
      ...(body === undefined ? {} : { body: JSON.stringify(body), contentType: 'application/json' }),
    });
    const text = await this.#guarded(() => answer.text());
    return (text === '' ? undefined : JSON.parse(text)) as Answer<K>;
  }

  /** The answer as it comes, for what is not JSON or too large to hold. Throws as `call`, before the body is read. */
  async send(
    method: string,
    path: string,
    more: { body?: string | Uint8Array; contentType?: string; headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const answer = await this.#guarded(() =>
      this.#fetch(this.url + path, {
        method,
        headers: {
          ...(this.#key === '' ? {} : { authorization: `Bearer ${this.#key}` }),
          ...(more.contentType === undefined ? {} : { 'content-type': more.contentType }),
          ...more.headers,
        },
        ...(more.body === undefined ? {} : { body: more.body as string }),
        ...(this.#timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(this.#timeoutMs) }),
      }),
    );
    if (answer.ok) return answer;
    const text = await this.#guarded(() => answer.text());
    let problem: Record<string, string> = {};
    try {
      problem = JSON.parse(text) as Record<string, string>;
    } catch {
      // Something in between answered, not our server: its status is all there is.
    }
    throw new ApiError(answer.status, problem);
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new Unreachable(this.url, cause instanceof Error ? cause.message || cause.name : String(cause));
    }
  }
}
