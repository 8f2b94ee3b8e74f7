/**
 * The heartbeat: 48 bytes, written in place, that bound what a crash can have cost. It says how far the log went when it
 * was written: that tells, and no clock, whether the log or the heartbeat has the last word.
 */
import type { Clock } from '../environment.ts';
import type { SpoolDisk } from './disk.ts';
import type { Journal } from './journal.ts';
import type { LogEnd } from './log.ts';

export interface Beat {
  /** All that was measured before this is in the log. ms since 1970. */
  coveredAt: number;
  /** The process was alive. */
  aliveAt: number;
  /** So far the log was durable. */
  durable: LogEnd;
  /** So far it may go: what a write that failed left behind is between them. */
  reach: LogEnd;
}

const LENGTH = 48;
const start: LogEnd = { segment: 0, bytes: 0 };
const none: Beat = { coveredAt: 0, aliveAt: 0, durable: start, reach: start };

export const beatBytes = ({ coveredAt, aliveAt, durable, reach }: Beat): Buffer => {
  const buffer = Buffer.alloc(LENGTH);
  const values = [coveredAt, aliveAt, durable.segment, durable.bytes, reach.segment, reach.bytes];
  for (const [i, value] of values.entries()) buffer.writeDoubleLE(value, i * 8);
  return buffer;
};

/** Of ten digits, and far more than ever are written. */
const isSegment = (number: number): boolean => number >= 0 && number < 1e9;

/** A heartbeat that cannot be read says nothing. */
export const readBeat = (buffer: Buffer): Beat => {
  if (buffer.length !== LENGTH) return none;
  const values = Array.from({ length: LENGTH / 8 }, (_, i) => buffer.readDoubleLE(i * 8));
  const [coveredAt = 0, aliveAt = 0, segment = 0, bytes = 0, toSegment = 0, toBytes = 0] = values;
  if (!values.every(Number.isSafeInteger) || coveredAt > aliveAt || !isSegment(toSegment)) return none;
  return { coveredAt, aliveAt, durable: { segment, bytes }, reach: { segment: toSegment, bytes: toBytes } };
};

/**
 * The last word on the time. `log`: of its last frame that tells one, and where that ends. A frame that the heartbeat
 * did not know covers more; one behind all it knew is later altogether.
 */
export const lastWord = (beat: Beat, log: { at: number; end: LogEnd }): Pick<Beat, 'coveredAt' | 'aliveAt'> => ({
  coveredAt: beat.aliveAt === 0 || isBehind(log.end, beat.durable) ? log.at : beat.coveredAt,
  aliveAt: beat.aliveAt === 0 || isBehind(log.end, beat.reach) ? latest(beat, log.at) : beat.aliveAt,
});

/**
 * What could not be written for long is written with the time it was composed: the process lived on until the heartbeat
 * that said so. A frame from before that time is of a clock that was set back since.
 */
const latest = ({ coveredAt, aliveAt }: Beat, at: number): number => (at < coveredAt ? at : Math.max(at, aliveAt));

export const isBehind = (a: LogEnd, b: LogEnd): boolean =>
  a.segment > b.segment || (a.segment === b.segment && a.bytes > b.bytes);

export class Heart {
  readonly #clock: Clock;
  readonly #disk: SpoolDisk;
  readonly #journal: Journal;
  readonly #everyMs: number;
  /** Monotonic time, and time of the clock, at the last word that all measured so far is on disk. */
  #at: number;
  #said: number;

  constructor({ clock, disk }: { clock: Clock; disk: SpoolDisk }, journal: Journal, everyMs: number) {
    this.#clock = clock;
    this.#disk = disk;
    this.#journal = journal;
    this.#everyMs = everyMs;
    this.#at = clock.elapsed();
    this.#said = clock.now();
  }

  /** Also when the clock was set: what is lost from now on is lost at another time. */
  get isDue(): boolean {
    const passed = this.#clock.now() - this.#said;
    return this.#clock.elapsed() - this.#at >= this.#everyMs || passed < 0 || passed >= this.#everyMs;
  }

  /** Sums bear the time of their flush; while there are none, the heartbeat says that there were none. `now`: due or not. */
  async beat(hasWritten: boolean, now: boolean): Promise<void> {
    if (hasWritten) this.#word();
    if (!now && !this.isDue) return;
    this.#word();
    const { coveredAt, log } = this.#journal;
    await this.#disk.setBeat(beatBytes({ coveredAt, aliveAt: coveredAt, ...log.ends }), false);
  }

  #word(): void {
    this.#at = this.#clock.elapsed();
    this.#said = this.#journal.coveredAt;
  }

  /** The disk takes nothing else, perhaps this. Never rejects. */
  async suffer(): Promise<void> {
    const { coveredAt, log } = this.#journal;
    const now = this.#clock.now();
    // A clock that was set back since bounds it on the other side.
    const beat = { coveredAt: Math.min(now, coveredAt), aliveAt: Math.max(now, coveredAt), ...log.ends };
    await this.#disk.setBeat(beatBytes(beat), true).catch(() => undefined);
  }
}
