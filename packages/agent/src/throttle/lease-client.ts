/** The server that lends: questions, what is returned, and the rest it is given after it failed. */
import type { PolicyState } from '@tollgate/event';
import type { Clock, HttpAnswer, Network } from '../environment.ts';
import { codeIn } from '../publisher-answer.ts';

export interface Policy extends PolicyState {
  /** What is left of the chunk is left of it too. */
  charged: boolean;
}

export interface Refusal {
  code: string;
  detail: string;
  limit: string | null;
  version: number | null;
  used: number | null;
  amount: number | null;
  resetAt: string | null;
  /** Null: waiting does not help, or nobody knows. */
  retryAfterMs: number | null;
  upgrade: string;
}

/** What is done while nobody answers. bounded: up to `amount` units are admitted. */
export interface FailMode {
  mode: 'open' | 'closed' | 'last' | 'bounded';
  amount: number;
}

export interface LeaseAnswer {
  id: string | null;
  /** Null: no units are needed while it lasts. */
  granted: number | null;
  ttlMs: number;
  perCall: boolean;
  fail: FailMode;
  policies: Policy[];
  refusal: Refusal | null;
}

export interface LeaseQuestion {
  account: string;
  action: string;
  meter: string;
  want: number;
  least: number;
  owed: number;
  refused: number;
}

/** A lease that is done, and how many of its units were used. */
export interface Returned {
  id: string;
  used: number;
}

export interface LeaseClientDeps {
  network: Network;
  clock: Pick<Clock, 'elapsed'>;
  /** Told when the server begins to fail. */
  report(event: string, detail: Record<string, unknown>): void;
}

/** After a failure nobody is asked for so long. */
const REST_MS = 1000;
const AT_ONCE = 256;
const RETURNS_AT_ONCE = 8;
const RETURNS_IN_QUESTION = 1000;
/** Beyond it they count as used. */
const RETURNS_MOST = 100_000;
const JSON_TYPE = 'application/json';

export class LeaseClient {
  private readonly deps: LeaseClientDeps;
  private returns: Returned[] = [];
  private restUntil = Number.NEGATIVE_INFINITY;
  private hasFailed = false;
  private asking = 0;
  private returning = 0;
  failures = 0;

  constructor(deps: LeaseClientDeps) {
    this.deps = deps;
  }

  /**
   * Whether a question would be sent now. After a rest one goes ahead and the others wait for it. Names nobody has
   * confirmed yet leave half of the room to the others.
   */
  mayAsk(isKnown: boolean): boolean {
    if (this.hasFailed && this.asking > 0) return false;
    return this.asking < (isKnown ? AT_ONCE : AT_ONCE / 2) && this.deps.clock.elapsed() >= this.restUntil;
  }

  /** Takes leases back, with the next question or by itself. */
  giveBack(returned: readonly Returned[]): void {
    for (const one of returned) if (this.returns.length < RETURNS_MOST) this.returns.push(one);
  }

  /** Null: no answer. An account that is not known is refused. */
  async ask(question: LeaseQuestion): Promise<LeaseAnswer | null> {
    const settled = this.returns.splice(0, RETURNS_IN_QUESTION);
    this.asking++;
    try {
      const answer = await this.send('/api/v1/leases', { ...question, settled });
      this.hasFailed = false;
      return answer;
    } catch (error) {
      this.giveBack(settled);
      this.failed(error);
      return null;
    } finally {
      this.asking--;
    }
  }

  /** Returns what no question took along. `all`: waits for it. */
  async flush(): Promise<void> {
    const workers: Promise<void>[] = [];
    while (this.returning < RETURNS_AT_ONCE && workers.length < this.returns.length) {
      this.returning++;
      workers.push(
        this.returnSome().finally(() => {
          this.returning--;
        }),
      );
    }
    await Promise.all(workers);
  }

  private async returnSome(): Promise<void> {
    const { clock, network } = this.deps;
    while (clock.elapsed() >= this.restUntil) {
      const one = this.returns.shift();
      if (one === undefined) return;
      try {
        const body = JSON.stringify({ used: one.used, done: true });
        const answer = await network.post(`/api/v1/leases/${encodeURIComponent(one.id)}`, body, JSON_TYPE);
        // A code below 500 is the server's own refusal, and stays one; without it something else has answered.
        const isTold = answer.status < 300 || (answer.status < 500 && codeIn(answer.body) !== null);
        if (!isTold) throw new Error(`the server answered ${answer.status}`);
      } catch (error) {
        this.giveBack([one]);
        this.failed(error);
      }
    }
  }

  private async send(path: string, body: object): Promise<LeaseAnswer> {
    const answer = await this.deps.network.post(path, JSON.stringify(body), JSON_TYPE);
    if (answer.status === 200) return leaseOf(JSON.parse(answer.body));
    if (answer.status === 404 && codeIn(answer.body) === 'account.unknown') return UNKNOWN;
    throw new Unanswered(answer);
  }

  private failed(error: unknown): void {
    this.failures++;
    // What is wrong with one question is no reason to leave the others unasked.
    if (error instanceof Unanswered && error.isOwn) return;
    this.restUntil = this.deps.clock.elapsed() + REST_MS;
    if (!this.hasFailed) this.deps.report('throttle.no_answer', { error: String(error) });
    this.hasFailed = true;
  }
}

export const NOBODY: Refusal = {
  code: 'account.unknown',
  detail: 'The account is not known.',
  limit: null,
  version: null,
  used: null,
  amount: null,
  resetAt: null,
  retryAfterMs: null,
  upgrade: '',
};

const UNKNOWN: LeaseAnswer = {
  id: null,
  granted: 0,
  ttlMs: 0,
  perCall: false,
  fail: { mode: 'open', amount: 0 },
  policies: [],
  refusal: NOBODY,
};

class Unanswered extends Error {
  readonly isOwn: boolean;

  constructor({ status, body }: HttpAnswer) {
    super(`the server answered ${status}: ${body.slice(0, 200)}`);
    this.isOwn = [400, 404, 413, 422].includes(status);
  }
}

type Wire = Partial<Omit<LeaseAnswer, 'refusal'>> & { refusal?: Refusal[] };

/** An answer is looked at before it is believed: units that are no number would admit everything, or nothing. */
function leaseOf(value: unknown): LeaseAnswer {
  const { id, granted, ttlMs, perCall, fail, policies, refusal } = (value ?? {}) as Wire;
  const isLent = granted === null || isUnits(granted);
  const isWhole =
    isLent &&
    isUnits(ttlMs) &&
    Array.isArray(policies) &&
    policies.every(isPolicy) &&
    Array.isArray(refusal) &&
    isFail(fail);
  if (!isWhole || (granted !== null && granted > 0 && typeof id !== 'string'))
    throw new Error('the answer is no lease');
  const [first = null] = refusal;
  if (first === null && granted === 0) throw new Error('the lease lends nothing and says not why');
  return { id: id ?? null, granted, ttlMs, perCall: perCall === true, fail, policies, refusal: first };
}

const isUnits = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isPolicy = ({ name, unit, quota, remaining, windowSeconds, resetSeconds }: Policy): boolean =>
  [name, unit].every((text) => typeof text === 'string') &&
  [quota, remaining, windowSeconds, resetSeconds].every(isUnits);
const isFail = (value: FailMode | undefined): value is FailMode =>
  ['open', 'closed', 'last', 'bounded'].includes(value?.mode ?? '') && isUnits(value?.amount);
