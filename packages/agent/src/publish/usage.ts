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
import { stopAt } from './signals.ts';

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

/** Rejects when another process has the spool, or its folder cannot be read. */
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
  /** Ends requests of beats. Flushes go on until all is closed: who stops may still measure. */
  readonly #end = new AbortController();
  #isClosed = false;
  #unlisten: readonly (() => void)[] = [];
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
    this.#unlisten = (this.#settings.signals ?? []).map((signal) => stopAt(signal, () => this.stop()));
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
      if (this.#isClosed) return;
      const elapsed = this.#clock.elapsed();
      if (mayFlush(elapsed)) this.#flush();
      if (maySend(elapsed) && !signal.aborted) this.#publisher.beat(signal);
    }
  }

  /** While the disk is slow nothing piles up: one flush takes all that has come since the last. */
  #flush(): void {
    const { spool } = this;
    if (!spool.isHeldUp()) spool.flush().then(this.#flushed, this.#notFlushed);
    else if (spool.trouble !== null) this.#notFlushed(spool.trouble);
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
    for (const unlisten of this.#unlisten) unlisten();
    this.#end.abort();
    const limit = new AbortController();
    const clock = this.#clock.sleep(graceMs, limit.signal).then(() => limit.abort());
    const ended = new Promise<void>((resolve) => limit.signal.addEventListener('abort', () => resolve()));
    try {
      const isReady = await this.#within(graceMs, this.#finish());
      const sent = isReady && (await Promise.race([this.#publisher.drain(limit.signal), ended.then(() => false)]));
      if (sent !== true) this.#report({ level: 'info', message: `${this.spool.depth} records stay in the spool` });
    } finally {
      limit.abort();
      await clock;
      await this.#within(graceMs, this.spool.close().catch(this.#unwritten));
      this.#isClosed = true;
    }
  }

  async #finish(): Promise<void> {
    await this.#publisher.settle();
    await this.spool.finish().catch(this.#unwritten);
  }

  /** A disk that hangs must not hold up the end of the process. True: it did not. */
  async #within(graceMs: number, work: Promise<void>): Promise<boolean> {
    const limit = new AbortController();
    const late = this.#clock.sleep(Math.max(graceMs, DISK_GRACE_MS), limit.signal).then(() => false);
    const isDone = await Promise.race([work.then(() => true), late]);
    limit.abort();
    if (!isDone) this.#report({ level: 'error', message: 'the disk of the spool does not answer: not waited for' });
    return isDone;
  }

  readonly #unwritten = (error: unknown): void =>
    this.#report({ level: 'error', message: `the last flush failed: ${error}` });
}

/** A stop without a grace still gives the disk so long. */
const DISK_GRACE_MS = 1000;

const iso = (at: number): string => new Date(at).toISOString();
