/** A publisher of readings over many lives, on one disk in memory, with a clock of its own. */
import type { ReadingsBatch } from '@tollgate/event';
import type { HttpAnswer } from '../../environment.ts';
import { outcomeOf } from '../../publish/testing/outcome.ts';
import { Publisher, publisherDefaults } from '../../publisher.ts';
import { MemoryDisk } from '../../spool/testing/memory-disk.ts';
import { Backlog, type BacklogSettings } from '../backlog.ts';
import type { Portion } from '../pass.ts';
import { ReadingsServer } from './server.ts';

export const START = 1_790_000_000_000;
export type Mood = 'answer' | 'away' | 'take and say nothing' | 'refuse';

export class Lives {
  readonly disk = new MemoryDisk();
  readonly server = new ReadingsServer();
  readonly reports: string[] = [];
  /** Of readings offered: `series at`, those that were said to be kept. */
  readonly kept = new Set<string>();
  mood: () => Mood = () => 'answer';
  at = START;
  backlog!: Backlog;
  publisher!: Publisher;
  readonly #settings: BacklogSettings;
  #lives = 0;

  constructor(settings: Partial<BacklogSettings> = {}) {
    this.#settings = { source: 'host/x', maxBytes: 1024 ** 2, segmentBytes: 64 * 1024, memoryMax: 10_000, ...settings };
  }

  async open(settings: Partial<BacklogSettings> = {}): Promise<void> {
    const life = ++this.#lives;
    let ids = 0;
    const random = { hex: () => `life${life}.${++ids}`, fraction: () => 0.5 };
    const report = ({ level, message }: { level: string; message: string }): void =>
      void this.reports.push(`${level} ${message}`);
    this.backlog = await Backlog.open({ disk: this.disk, random, report }, { ...this.#settings, ...settings });
    const post = async (_path: string, body: string): Promise<HttpAnswer> => this.#answer(body);
    const clock = { now: () => this.at, elapsed: () => this.at, sleep: async () => undefined };
    this.publisher = new Publisher(
      { network: { post }, clock, random, queue: this.backlog },
      { source: 'host/x', ...publisherDefaults },
      report,
    );
  }

  /** One pass of `series` counters at the next `stepMs`. */
  offer(series: number, stepMs = 10_000, more: Partial<Portion> = {}): void {
    this.at += stepMs;
    const { at } = this;
    const samples = Array.from({ length: series }, (_, i) => ({
      head: { resource: `r${i}`, meter: 'm', epoch: 'e' },
      at,
      value: BigInt(at - START) * BigInt(i + 1),
      start: 0,
    }));
    const settled = (kept: boolean): void => {
      if (!kept) return;
      for (const { head } of samples) this.kept.add(`${head.resource} m ${at}`);
    };
    this.publisher.offer({ samples, ended: [], completeThrough: at, settled, ...more });
  }

  /** Tries until everything is acknowledged, or `tries` requests were made. */
  async send(tries = Number.POSITIVE_INFINITY): Promise<boolean> {
    const stop = new AbortController();
    let left = tries;
    const mood = this.mood;
    this.mood = () => {
      if (--left <= 0) stop.abort();
      return mood();
    };
    if (tries > 0) await this.publisher.drain(stop.signal).catch(() => undefined);
    this.mood = mood;
    return this.backlog.waiting === 0;
  }

  /** The process is killed. `keep`: share of what was not synced that survives; 1 for a kill, 0 for a power loss. */
  async kill(keep = 1): Promise<void> {
    this.disk.dead = true;
    // What still runs of it meets a dead disk.
    for (let i = 0; i < 3; i++) await new Promise((done) => setImmediate(done));
    this.disk.failingSyncs = 0;
    this.disk.room = Number.POSITIVE_INFINITY;
    this.disk.revive((unsynced) => Math.floor(unsynced * keep));
    await this.open();
  }

  #answer(body: string): HttpAnswer {
    const mood = this.mood();
    // A machine that lost its power says nothing to anybody.
    if (mood === 'away' || this.disk.dead) throw new Error('connection refused');
    if (mood === 'refuse') return { status: 400, retryAfter: 0, body: '{"code":"request.invalid"}' };
    this.server.take(JSON.parse(body) as ReadingsBatch);
    if (mood === 'take and say nothing') throw new Error('connection reset');
    return { status: 200, retryAfter: 0, body: outcomeOf(1) };
  }
}
