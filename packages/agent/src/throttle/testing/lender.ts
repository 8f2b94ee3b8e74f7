/** A decision server in memory, with a clock and timers turned by hand. What it is asked is kept. */
import { setImmediate } from 'node:timers/promises';
import type { HttpAnswer, Network } from '../../environment.ts';
import { ManualTime } from '../../listen/testing/world.ts';
import type { Refusal } from '../lease-client.ts';

export class World extends ManualTime {
  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const cancel = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
}

/** Lets what is ready run. */
export const settled = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await setImmediate();
};

interface Asked {
  account: string;
  action: string;
  want: number;
  least: number;
  owed: number;
  refused: number;
  settled: { id: string; used: number }[];
}

export const reached: Refusal = {
  code: 'limit.reached',
  detail: 'calls: 5 of 5 requests used',
  limit: 'calls',
  version: 7,
  used: 5,
  amount: 5,
  resetAt: '2026-12-01T00:00:00.000Z',
  retryAfterMs: 3_600_000,
  upgrade: 'https://cloud.example/plans',
};
export const blocked: Refusal = {
  ...reached,
  code: 'action.blocked',
  detail: 'Please call us.',
  limit: null,
  retryAfterMs: null,
};

export class Lender implements Network {
  readonly world: World;
  /** Units there are, for all accounts together. */
  units: number;
  /** Says this whatever is left. */
  refusal: Refusal | null = null;
  /** Answers after so long. */
  delayMs = 0;
  away = false;
  /** Answers this, whatever is asked. */
  lie: HttpAnswer | null = null;
  perCall = false;
  free = false;
  ttlMs = 900;
  fail = { mode: 'open', amount: 0 };
  used = 0;
  owed = 0;
  refused = 0;
  readonly questions: Asked[] = [];
  readonly open = new Map<string, number>();
  private made = 0;

  constructor(world: World, units: number) {
    this.world = world;
    this.units = units;
  }

  async post(path: string, body: string): Promise<HttpAnswer> {
    if (this.delayMs > 0) await this.world.sleep(this.delayMs);
    if (this.away) throw new Error('refused');
    if (this.lie !== null) return this.lie;
    const said = JSON.parse(body);
    if (path !== '/api/v1/leases') return this.answer({ settled: this.settle(path.slice(15), said.used) });
    for (const { id, used } of said.settled) this.settle(id, used);
    this.questions.push(said);
    return this.answer(this.lend(said));
  }

  private answer(body: object): HttpAnswer {
    return { status: 200, retryAfter: 0, body: JSON.stringify(body) };
  }

  private settle(id: string, used: number): boolean {
    const granted = this.open.get(id);
    if (granted === undefined) return false;
    this.open.delete(id);
    // What was held is free again, whatever it was used for.
    this.units += this.perCall ? granted : granted - used;
    this.used += used;
    return true;
  }

  private lend({ want, least, owed, refused }: Asked): object {
    this.units -= owed;
    this.owed += owed;
    this.refused += refused;
    const granted = this.perCall ? least : Math.max(least, Math.min(want, Math.ceil(this.units / 4)));
    const refusal = this.refusal ?? (granted > this.units ? reached : null);
    const policy = { name: 'calls', quota: 100, windowSeconds: 0, unit: 'requests', resetSeconds: 60, charged: true };
    const rest = {
      ttlMs: this.ttlMs,
      perCall: this.perCall,
      fail: this.fail,
      refusal: refusal === null ? [] : [refusal],
    };
    if (refusal !== null) return { id: null, granted: 0, policies: [{ ...policy, remaining: 0 }], ...rest };
    if (this.free) return { id: null, granted: null, policies: [], ...rest };
    this.units -= granted;
    const id = `lease-${this.made++}`;
    this.open.set(id, granted);
    return { id, granted, policies: [{ ...policy, remaining: this.units }], ...rest };
  }
}
