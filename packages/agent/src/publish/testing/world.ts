/** A service on virtual time: hours pass in a moment, and every run of one seed is the same. */

import type { Clock, HttpAnswer, Network, Randomness } from '../../environment.ts';
import type { Report } from '../../publisher.ts';
import { outcomeIn } from '../../publisher-answer.ts';
import { MemoryDisk } from '../../spool/testing/memory-disk.ts';
import { openUsage, type Usage, type UsageSettings } from '../usage.ts';
import { outcomeOf } from './outcome.ts';

export const START = 1_790_000_000_000;

/** Sleepers wake in the order of their time; between two of them everything that can run has run. */
export class VirtualClock implements Clock {
  at = START;
  #sleepers: { at: number; wake: () => void }[] = [];
  now = (): number => this.at;
  elapsed = (): number => this.at - START;

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#sleepers.push({ at: this.at + ms, wake });
      signal?.addEventListener('abort', wake);
    });
  }

  async pass(ms: number): Promise<void> {
    const end = this.at + ms;
    for (;;) {
      await settle();
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers[0];
      if (next === undefined || next.at > end) break;
      this.#sleepers.shift();
      this.at = Math.max(this.at, next.at);
      next.wake();
    }
    this.at = end;
  }
}

/** Promises in memory settle within a few turns. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await new Promise((done) => setImmediate(done));
};

export interface Posted {
  at: number;
  path: string;
  events: { id: string; type: string; subject?: string; time: string; data: Record<string, string> }[];
  body: string;
  headers: Readonly<Record<string, string>>;
}

export type Script = (posted: Posted) => HttpAnswer | 'lost' | 'taken and lost';

const RECEIPTS = { first: 5, last: 9 };
/** Everything is taken. Sent, its outcome says how many that were. */
export const OK: HttpAnswer = {
  status: 200,
  retryAfter: 0,
  body: outcomeOf(1, RECEIPTS),
};
export const answer = (status: number, body: object = {}, retryAfter = 0): HttpAnswer => ({
  status,
  retryAfter,
  body: JSON.stringify(body),
});

export class World {
  readonly clock: VirtualClock;
  readonly disk: MemoryDisk;
  readonly posted: Posted[] = [];
  readonly told: Posted[] = [];
  readonly reports: Report[] = [];
  /** Events by id as the server counts them: what is at or below a run's mark was taken before. */
  readonly taken = new Map<string, Posted['events'][number]>();
  readonly marks = new Map<string, number>();
  script: Script = () => OK;
  /** Of what the agent says of itself. */
  reportScript: Script = () => OK;
  /** How long an answer takes, ms. */
  latency = 0;
  /** Lives so far: each has runs of its own. */
  lives = 0;

  constructor(clock = new VirtualClock(), disk = new MemoryDisk()) {
    this.clock = clock;
    this.disk = disk;
  }

  async open(settings: Partial<UsageSettings> = {}): Promise<Usage> {
    const random: Randomness = { hex: () => `run${++this.lives}`, fraction: () => 0.5 };
    const network: Network = { post: (path, body, _type, _signal, headers = {}) => this.#post(path, body, headers) };
    const usage = await openUsage({
      url: '',
      key: '',
      source: 'test',
      spool: '',
      clock: this.clock,
      random,
      network,
      disk: this.disk,
      report: (report) => this.reports.push(report),
      ...settings,
    });
    usage.start();
    return usage;
  }

  /** A stop takes time, and time does not pass by itself. */
  async stop(usage: Usage, graceMs = 0): Promise<void> {
    let stopped = false;
    const stopping = usage.stop(graceMs).then(() => {
      stopped = true;
    });
    while (!stopped) await this.clock.pass(1);
    await stopping;
  }

  totals(): Map<string, number> {
    const totals = new Map<string, number>();
    for (const { type, subject = '', data } of this.taken.values())
      totals.set(`${type} ${subject}`, (totals.get(`${type} ${subject}`) ?? 0) + Number(data.value));
    return totals;
  }

  async #post(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const events = path.endsWith('/events') ? (JSON.parse(body) as Posted['events']) : [];
    const posted = { at: this.clock.at, path, events, body, headers };
    if (!path.endsWith('/events')) {
      this.told.push(posted);
      const answer = this.reportScript(posted);
      if (typeof answer === 'string') throw new Error('connection refused');
      return answer;
    }
    this.posted.push(posted);
    if (this.latency > 0) await this.clock.sleep(this.latency);
    const answer = this.script(posted);
    if (answer === 'lost') throw new Error('connection refused');
    if (answer === 'taken and lost' || outcomeIn(answer.body) !== null) this.#take(posted);
    if (answer === 'taken and lost') throw new Error('connection reset');
    return answer.body === OK.body ? { ...answer, body: outcomeOf(events.length, RECEIPTS) } : answer;
  }

  #take({ events, headers }: Posted): void {
    const run = headers['tollgate-run'] ?? '';
    const first = Number(headers['tollgate-sequence']);
    const mark = this.marks.get(run) ?? 0;
    events.forEach((event, i) => {
      if (first + i > mark) this.taken.set(event.id, event);
    });
    this.marks.set(run, Math.max(mark, first + events.length - 1));
  }
}
