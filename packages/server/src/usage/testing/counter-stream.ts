/** Everything a counter can do to whoever follows it, on its way through an unreliable network: random, by seed. */
import type { Series } from '../../domain/series.ts';
import type { Instant } from '../../domain/window.ts';
import type { Random } from './random.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** One reading as its source sends it, and when it arrives. */
export interface Delivery {
  at: Instant;
  series: Series;
  sourceTime: Instant;
  value: bigint;
  epoch: number;
  start: Instant;
  end: boolean;
  run: string;
  sequence: number;
}

interface Terms {
  period: number;
  jitter: number;
  /** Bytes a second; 0: any. */
  line: number;
  narrow: boolean;
  /** How often something out of the ordinary happens at a poll. */
  trouble: number;
  bytes: number;
}

export function counterStream(random: Random, series: Series, from: Instant, to: Instant): Delivery[] {
  const life = new Life(random, series, termsOf(random, series), from);
  while (life.now < to) life.poll();
  return life.sent;
}

function termsOf(random: Random, series: Series): Terms {
  const period = random.pick([1, 2, 5, 5, 10, 15, 30, 60]) * MINUTE;
  return {
    period,
    jitter: random.chance(0.4) ? 0 : random.pick([1000, 20_000]),
    line: series.lineBits / 8,
    narrow: series.width === 32,
    trouble: random.pick([0, 0.005, 0.03, 0.15]),
    bytes: random.pick([0, 10, 100_000, 3_000_000]),
  };
}

class Life {
  now: Instant;
  readonly sent: Delivery[] = [];
  private readonly random: Random;
  private readonly series: Series;
  private readonly terms: Terms;
  private value: bigint;
  private epoch: number;
  private start: Instant;
  private before: { epoch: number; value: bigint; start: Instant } | null = null;
  private birth: Instant;
  private spoolUntil: Instant = 0;
  private sequence = 0;

  constructor(random: Random, series: Series, terms: Terms, from: Instant) {
    this.random = random;
    this.series = series;
    this.terms = terms;
    // On the grid, so that readings fall exactly on edges, or anywhere.
    this.now = from + (random.chance(0.5) ? 0 : random.below(HOUR)) + random.pick([0, 0, 5, 30]) * HOUR;
    this.birth = this.now;
    this.epoch = random.between(1, 4);
    this.start = random.chance(0.4) ? Math.max(1, this.now - random.below(20 * HOUR)) : 0;
    this.value = BigInt(random.below(random.pick([1, 1000, 2 ** 31])));
  }

  poll(): void {
    const { random, terms } = this;
    this.flow();
    if (random.chance(0.004)) this.spoolUntil = this.now + random.below(20 * HOUR);
    if (random.chance(terms.trouble)) this.trouble();
    else this.send();
    this.now += terms.period + (terms.jitter > 0 ? random.below(terms.jitter) : 0);
  }

  private flow(): void {
    const most = this.terms.line > 0 ? Math.min(this.terms.bytes, this.terms.line) : this.terms.bytes;
    this.value += BigInt(Math.floor((this.random.fraction() * most * this.terms.period) / 1000));
  }

  private trouble(): void {
    const { random } = this;
    const what = random.below(14);
    if (what === 0) this.reset();
    else if (what === 1) this.value = BigInt(random.below(5000));
    else if (what === 2) this.now += random.below(random.pick([2, 40]) * HOUR);
    else if (what === 3) this.again();
    else if (what === 4) this.tie();
    else if (what === 5) this.stray();
    else if (what === 6) this.vanish();
    else if (what === 7) this.spike();
    else if (what === 8) this.slip();
    else if (what === 9) this.bogusZero();
    else if (what === 10) this.other();
    else if (what === 11) this.send({}, random.below(20 * HOUR));
    else if (what === 12) this.send({ start: random.chance(0.5) ? 0 : this.now - random.below(3 * HOUR) });
    // else: the poll is lost.
  }

  private reset(): void {
    this.before = { epoch: this.epoch, value: this.value, start: this.start };
    const dead = this.random.below(this.random.pick([1, MINUTE, 3 * HOUR]));
    this.now += dead;
    this.epoch += this.random.between(1, 3);
    this.start = this.random.chance(0.5) ? this.now - this.random.below(dead + 1) : 0;
    this.value = BigInt(this.random.below(100_000));
    this.now += 1;
    this.birth = this.now;
    this.send();
    if (this.random.chance(0.3)) this.other();
  }

  private again(): void {
    this.send();
    this.send({}, this.random.below(2 * HOUR));
  }

  private tie(): void {
    this.send();
    const value = this.value + BigInt(this.random.between(-5, 5));
    // No counter stands below zero: ingest refuses such a reading, and so does the store.
    this.send({ value: value < 0n ? 0n : value }, this.random.below(HOUR));
  }

  /** A reading of the past with any value. */
  private stray(): void {
    const back = this.back(this.random.pick([MINUTE, 2 * HOUR, 30 * HOUR]));
    const near = this.value - BigInt(this.random.below(1 + Math.floor(back * 100)));
    const value = this.random.chance(0.5) ? near : BigInt(this.random.below(2 ** 40));
    this.send({ sourceTime: this.now - back, value: value < 0n ? 0n : value }, 0, 'stray');
    this.send();
  }

  /** Into the past, but not before the epoch's first reading: epochs overlap only while an object moves. */
  private back(most: number): number {
    return this.random.below(Math.max(1, Math.min(most, this.now - this.birth)));
  }

  private vanish(): void {
    this.now += this.random.below(MINUTE);
    this.send({ end: true, value: 0n }, this.random.chance(0.3) ? this.random.below(5 * HOUR) : 0);
    if (this.random.chance(0.3))
      this.send({ end: true, value: 0n, sourceTime: this.now - this.random.below(HOUR) }, 0, 'x');
    this.now += this.random.below(this.random.pick([MINUTE, 10 * HOUR]));
    if (this.random.chance(0.7)) this.reset();
  }

  private spike(): void {
    this.send({ value: this.value + 2n ** 44n }, 0);
    this.now += 1000;
    this.send();
  }

  /** A clock that steps back: the sequence goes on. */
  private slip(): void {
    this.send({ sourceTime: this.now - this.back(3 * HOUR) });
  }

  private bogusZero(): void {
    this.send({ value: 0n });
  }

  /** The epoch before speaks once more: the object is moving. */
  private other(): void {
    if (this.before === null || this.now - this.birth > 20 * MINUTE) return;
    const { epoch, value, start } = this.before;
    this.before.value += BigInt(this.random.below(1000));
    this.send({ epoch, value, start }, this.random.below(HOUR), 'other');
    this.now += 1;
    this.send();
  }

  private send(more: Partial<Delivery> = {}, delay = 0, run = ''): void {
    const { now, epoch, start, series, random } = this;
    let at = now + random.below(3000) + delay;
    if (at < this.spoolUntil) at = this.spoolUntil + random.below(10 * MINUTE);
    const late = at - now > MINUTE;
    const reading = { sourceTime: now, value: this.value, epoch, start, end: false, ...more };
    const value = this.terms.narrow ? reading.value % 2n ** 32n : reading.value;
    const sequence = this.sequence++;
    // What comes late came another way than the running sequence, or it would be a clock that stepped back.
    this.sent.push({ ...reading, value, at, series, run: run || late ? `${run}${sequence}` : 'agent', sequence });
  }
}
