/**
 * Publishers that behave as ours do: a batch is repeated unchanged until it is answered with 2xx, in order. Each knows
 * what it was acknowledged, which is the oracle of the tests that use it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { BATCH, call, JSON_TYPE } from '../http.ts';
import type { Server } from '../server.ts';
import type { Lots } from '../simulation/lots.ts';

export const EVENT_TYPE = 'kill.work';
const SUBJECTS = 24;

export interface Target {
  /** The server now, or undefined while there is none. */
  readonly server: () => Pick<Server, 'url' | 'key'> | undefined;
  readonly stopped: () => boolean;
}

/** Posts until 2xx, the body written anew for each try; false when it should stop. Throws on an answer that no repetition can change. */
const insist = async (
  target: Target,
  path: string,
  write: () => string,
  headers: Record<string, string>,
): Promise<boolean> => {
  while (!target.stopped()) {
    const server = target.server();
    const body = write();
    try {
      if (server) {
        const answer = await call(server, 'POST', path, body, headers);
        if (answer.status >= 200 && answer.status < 300) {
          complain(answer.json, body);
          return true;
        }
        if (answer.status < 500 && answer.status !== 429)
          throw new Refused(`${path} answered ${answer.status}: ${answer.text.slice(0, 1000)}`);
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    await wait(20);
  }
  return false;
};

class Refused extends Error {}

/** In a 2xx, a repeated item may be a duplicate; it may never be a conflict or rejected. */
const complain = (json: unknown, body: string): void => {
  const {
    conflicts = 0,
    rejected = 0,
    items = [],
  } = (json ?? {}) as { conflicts?: number; rejected?: number; items?: unknown[] };
  if (conflicts + rejected > 0)
    throw new Refused(
      `${conflicts} conflicts, ${rejected} rejected: ${JSON.stringify(items).slice(0, 500)} of ${body.slice(0, 300)}`,
    );
};

/** Events of a delta meter, under a few dozen subjects, so that a double count is seen where it happened. */
export class EventPublisher {
  /** Sum of the acknowledged values by subject. */
  readonly acknowledged = new Map<string, bigint>();
  /** Sent, never acknowledged and given up: counted at most once. */
  readonly abandoned = new Map<string, bigint>();
  readonly #lots: Lots;
  readonly name: string;
  readonly #from: number;
  readonly #spanMs: number;
  #batches = 0;

  constructor(name: string, lots: Lots, from: number, spanMs: number) {
    this.name = name;
    this.#lots = lots;
    this.#from = from;
    this.#spanMs = spanMs;
  }

  async run(target: Target): Promise<void> {
    while (!target.stopped()) {
      const batch = this.#batches++;
      const subject = `${this.name}-${batch % SUBJECTS}`;
      let sum = 0n;
      const events = Array.from({ length: this.#lots.int(1, 40) }, (_, n) => {
        const value = this.#lots.int(1, 1_000_000);
        sum += BigInt(value);
        return {
          specversion: '1.0',
          id: `${this.name}-${batch}-${n}`,
          source: `app/${this.name}`,
          type: EVENT_TYPE,
          subject,
          time: new Date(this.#from + this.#lots.int(0, this.#spanMs - 1)).toISOString(),
          data: { value: String(value) },
        };
      });
      const done = await insist(target, '/api/v1/events', () => JSON.stringify(events), { 'content-type': BATCH });
      const sums = done ? this.acknowledged : this.abandoned;
      sums.set(subject, (sums.get(subject) ?? 0n) + sum);
      await wait(this.#lots.int(0, 60));
    }
  }

  get total(): bigint {
    return [...this.acknowledged.values()].reduce((a, b) => a + b, 0n);
  }
}

/** Readings of counters over simulated time, published in numbered batches with completeness. */
export class ReadingPublisher {
  readonly source: string;
  readonly #lots: Lots;
  readonly #values: bigint[];
  readonly #first: bigint[];
  readonly #stepMs: number;
  #t: number;
  #sequence = 1;
  #polls = 0;
  /** Instant of the last acknowledged poll. */
  through = 0;

  constructor(name: string, lots: Lots, from: number, stepMs: number, counters: number) {
    this.source = `host/${name}`;
    this.#lots = lots;
    this.#t = from;
    this.#stepMs = stepMs;
    this.#values = Array.from({ length: counters }, () => BigInt(lots.int(0, 2 ** 50)));
    this.#first = [...this.#values];
  }

  /** Stops after the poll at or after `until` (ms since 1970), also while a server is there. */
  async run(target: Target, until: number): Promise<void> {
    while (!target.stopped() && this.#t < until) {
      if (this.#polls++ > 0)
        for (const [i, value] of this.#values.entries()) this.#values[i] = value + BigInt(this.#lots.int(0, 10 ** 9));
      const body = () => ({
        source: this.source,
        run: 'run-1',
        sequence: this.#sequence,
        // The clock at sending, not at the first try: from it the server measures how far our clock is off.
        sentAt: Date.now(),
        completeThrough: this.#t,
        series: this.#values.map((_, i) => ({
          resource: `${this.source}/${i}`,
          meter: 'network.bytes.sent',
          epoch: 'boot-1',
          period: this.#stepMs,
        })),
        readings: this.#values.map((value, i) => [i, this.#t, String(value)]),
      });
      if (!(await insist(target, '/api/v1/readings', () => JSON.stringify(body()), { 'content-type': JSON_TYPE })))
        return;
      this.#sequence += this.#values.length;
      this.through = this.#t;
      this.#t += this.#stepMs;
    }
  }

  /** Last minus first, by resource: the whole of what may be on a bill. Only true once the last poll was acknowledged. */
  expected(): Map<string, bigint> {
    return new Map(this.#values.map((value, i) => [`${this.source}/${i}`, value - (this.#first[i] ?? 0n)]));
  }
}
