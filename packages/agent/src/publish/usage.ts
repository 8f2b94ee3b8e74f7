/** Everything together, for a service: a recorder, a spool in a folder, and a publisher behind it. */
import type { Clock, Network, Randomness } from '../environment.ts';
import type { Recorder } from '../measure/recorder.ts';
import { type SumsSettings, sumsDefaults } from '../measure/sums.ts';
import type { Report } from '../publisher.ts';
import { httpNetwork, realClock, realRandomness } from '../real.ts';
import type { SpoolDisk } from '../spool/disk.ts';
import { folderDisk } from '../spool/folder.ts';
import type { SpoolSettings } from '../spool/settings.ts';
import type { LostInterval } from '../spool/snapshot.ts';
import { Spool } from '../spool/spool.ts';
import { beatOf, untilBeat } from './beat.ts';
import { PacedPublisher, type Published } from './publisher.ts';
import type { PaceSettings } from './settings.ts';

export interface UsageSettings extends Partial<SpoolSettings>, Partial<PaceSettings>, Partial<SumsSettings> {
  /** The server, and a key that may ingest for the source. */
  url: string;
  key: string;
  /** Who reports: names this service on this machine. */
  source: string;
  /** Folder of the spool; made when it is not there. One process a folder. */
  spool: string;
  /** What is worth knowing; left away: nothing is said. */
  report?: (report: Report) => void;
  /** Signals at which it stops by itself, and ends the process if nobody else listens to them. */
  signals?: readonly NodeJS.Signals[];
  /** How long a stop may take to send what is left, ms. */
  graceMs?: number;
  /** The world, where it is not the real one. */
  clock?: Clock;
  random?: Randomness;
  network?: Network;
  disk?: SpoolDisk;
}

export interface UsageStatus extends Published {
  /** Records waiting to be acknowledged; of them, those an earlier life left. */
  depth: number;
  backlog: number;
  /** Bytes of the spool on disk. */
  spoolBytes: number;
  /** Measurements taken, refused, and summed without their subject because there were too many keys. */
  added: number;
  refused: number;
  overflowed: number;
  lost: readonly LostInterval[];
  /** Why the disk does not take what is measured; '' when it does. */
  trouble: string;
}

export interface Usage {
  readonly recorder: Recorder;
  readonly spool: Spool;
  /** Begins to write and to publish. What was measured before is not lost. */
  start(): void;
  /** Sends what is left for up to `graceMs`; the rest is in the spool for the next start. Once. */
  stop(graceMs?: number): Promise<void>;
  status(): UsageStatus;
}

/** Rejects when another process has the spool or its folder cannot be written. */
export async function openUsage(settings: UsageSettings): Promise<Usage> {
  const { bucketMs = sumsDefaults.bucketMs, keysMax = sumsDefaults.keysMax } = settings;
  if (bucketMs < 1000 || 900_000 % bucketMs !== 0)
    throw new RangeError('bucketMs divides 15 minutes and is at least a second: a bucket may not cross a window');
  const { clock = realClock, random = realRandomness } = settings;
  const disk = settings.disk ?? folderDisk(settings.spool);
  const spool = await Spool.open({ clock, random, disk }, given(settings), { bucketMs, keysMax });
  const network = settings.network ?? httpNetwork(settings.url, settings.key);
  return new RunningUsage(settings, spool, { clock, random, network });
}

/** Without what was left undefined: defaults are spread below. */
const given = <T extends object>(settings: T): T =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as T;

class RunningUsage implements Usage {
  readonly spool: Spool;
  readonly #settings: UsageSettings;
  readonly #clock: Clock;
  readonly #publisher: PacedPublisher;
  readonly #report: (report: Report) => void;
  readonly #end = new AbortController();
  #started = false;
  #flushTrouble = '';
  #stopping: Promise<void> | null = null;

  constructor(settings: UsageSettings, spool: Spool, world: { clock: Clock; random: Randomness; network: Network }) {
    this.#settings = settings;
    this.#clock = world.clock;
    this.spool = spool;
    this.#report = settings.report ?? (() => undefined);
    this.#publisher = new PacedPublisher(spool, world, given(settings), this.#report);
    if (spool.damaged > 0)
      this.#report({ level: 'error', message: `${spool.damaged} bytes of the spool could not be read` });
    for (const { from, to, records, reason } of spool.lostIntervals())
      this.#report({
        level: 'warn',
        message: `unobserved (${reason}): ${iso(from)} to ${iso(to)}, ${records > 0 ? `${records} records` : 'an unknown part'}`,
      });
  }

  get recorder(): Recorder {
    return this.spool.sums;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#beating(this.#end.signal);
    for (const signal of this.#settings.signals ?? []) process.once(signal, this.#onSignal);
  }

  stop(graceMs = this.#settings.graceMs ?? 3000): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  status(): UsageStatus {
    const { spool } = this;
    const { added, refused, overflowed } = spool.sums;
    return {
      ...this.#publisher.published,
      depth: spool.depth,
      backlog: spool.backlog,
      spoolBytes: spool.bytes,
      added,
      refused,
      overflowed,
      lost: spool.lostIntervals(),
      trouble: spool.trouble === null ? '' : String(spool.trouble),
    };
  }

  /**
   * One timer for flushes and requests: a process that sleeps is woken once for both. The sleep does not listen to the
   * signal, that costs more than the sleep: a stop does not wait for it.
   */
  async #beating(signal: AbortSignal): Promise<void> {
    const { flushMs } = this.spool.settings;
    const { intervalMs } = this.#publisher;
    const [mayFlush, maySend] = [beatOf(flushMs), beatOf(intervalMs)];
    for (;;) {
      await this.#clock.sleep(Math.min(untilBeat(this.#clock, flushMs), untilBeat(this.#clock, intervalMs)));
      if (signal.aborted) return;
      const elapsed = this.#clock.elapsed();
      // While the disk is slow nothing piles up: one flush takes all that has come since the last.
      if (mayFlush(elapsed) && !this.spool.busy) this.spool.flush().then(this.#flushed, this.#notFlushed);
      if (maySend(elapsed)) this.#publisher.beat(signal);
    }
  }

  readonly #flushed = (): void => {
    this.#flushTrouble = '';
  };

  readonly #notFlushed = (error: unknown): void => {
    if (String(error) !== this.#flushTrouble)
      this.#report({ level: 'error', message: `the spool cannot be written, measuring goes on: ${error}` });
    this.#flushTrouble = String(error);
  };

  async #stop(graceMs: number): Promise<void> {
    for (const signal of this.#settings.signals ?? []) process.removeListener(signal, this.#onSignal);
    this.#end.abort();
    const limit = new AbortController();
    const clock = this.#clock.sleep(graceMs, limit.signal).then(() => limit.abort());
    try {
      await this.#publisher.settle();
      await this.spool.finish().catch(this.#unwritten);
      if (!(await this.#publisher.drain(limit.signal)))
        this.#report({ level: 'info', message: `${this.spool.depth} records stay in the spool` });
    } finally {
      limit.abort();
      await clock;
      await this.spool.close().catch(this.#unwritten);
    }
  }

  readonly #unwritten = (error: unknown): void =>
    this.#report({ level: 'error', message: `the last flush failed: ${error}` });

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const alone = process.listenerCount(signal) === 0;
    // As if we had not listened: a process that nobody else keeps alive ends by its signal.
    void this.stop().then(() => alone && process.kill(process.pid, signal));
  };
}

const iso = (at: number): string => new Date(at).toISOString();
