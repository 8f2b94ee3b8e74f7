/**
 * A simulated device that knows its true traffic, and the journey of its readings: dropped, doubled, delayed. The oracle
 * beside it is bookkeeping of what happened, and shares no code and no idea with the engine.
 */
import fc from 'fast-check';
import { type Reading, Stamp } from '../fact.ts';
import type { Instant } from '../window.ts';

export type Step =
  | { do: 'flow'; bytes: number; ms: number }
  | { do: 'poll'; fate: 'arrives' | 'lost' | 'twice'; delay: number }
  /** A new epoch; `seconds` later, its start known or not. */
  | { do: 'reboot'; ms: number; known: boolean }
  /** The counter is gone and said to be so. */
  | { do: 'vanish'; ms: number; known: boolean }
  /** Both counters live for a while; the old one gets a final reading. */
  | { do: 'move'; ms: number; bytes: number }
  /** The counter falls to zero and nobody says so. */
  | { do: 'slip' };

export interface Traffic {
  t: Instant;
  bytes: bigint;
}

export interface Story {
  readings: Reading[];
  traffic: Traffic[];
  total: bigint;
}

export interface Terms {
  width: 32 | 64;
  /** Bytes a second that never are exceeded; 0: no limit. */
  bytesPerSecond: number;
}

const ms = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1_000, max: 1_200_000 }));

export const flow = fc.record({
  do: fc.constant('flow' as const),
  bytes: fc.oneof(fc.constant(0), fc.nat(10_000), fc.nat(2 ** 40)),
  ms,
});
export const poll = fc.record({
  do: fc.constant('poll' as const),
  fate: fc.constantFrom('arrives' as const, 'arrives' as const, 'arrives' as const, 'lost' as const, 'twice' as const),
  delay: fc.oneof(fc.constant(0), fc.constant(0), fc.nat(6)),
});
export const reboot = fc.record({ do: fc.constant('reboot' as const), ms, known: fc.boolean() });
export const vanish = fc.record({ do: fc.constant('vanish' as const), ms, known: fc.boolean() });
export const move = fc.record({ do: fc.constant('move' as const), ms, bytes: fc.nat(10_000) });
export const slip = fc.constant({ do: 'slip' as const });

export function play(steps: readonly Step[], begin: Instant, terms: Terms): Story {
  const device = new Device(begin, terms);
  for (const step of steps) device.step(step);
  return device.story();
}

class Device {
  private now: Instant;
  private value = 0n;
  private epoch = 1;
  private start = 0;
  private lastPoll = 0;
  private readonly traffic: Traffic[] = [];
  private readonly sent: { reading: Omit<Reading, 'receipt'>; order: number }[] = [];
  private readonly terms: Terms;

  constructor(begin: Instant, terms: Terms) {
    this.now = begin;
    this.terms = terms;
  }

  step(s: Step): void {
    if (s.do === 'flow') this.flow(s.bytes, s.ms);
    else if (s.do === 'poll') this.poll(s.fate, s.delay);
    else if (s.do === 'reboot') this.renew(s.ms, s.known);
    else if (s.do === 'vanish') this.vanish(s.ms, s.known);
    else if (s.do === 'move') this.move(s.ms, s.bytes);
    else this.value = 0n;
  }

  /** Receipts in the order of arrival: a delayed reading comes after that many later ones. */
  story(): Story {
    const arrived = this.sent.map((s, i) => ({ ...s, i })).sort((a, b) => a.order - b.order || a.i - b.i);
    return {
      readings: arrived.map(({ reading }, i) => ({ ...reading, receipt: i + 1 })),
      traffic: this.traffic,
      total: this.traffic.reduce((sum, x) => sum + x.bytes, 0n),
    };
  }

  private flow(bytes: number, ms: number): void {
    this.now += ms;
    const most = this.terms.bytesPerSecond;
    const some = BigInt(most === 0 ? bytes : Math.min(bytes, Math.floor((most * ms) / 1000)));
    this.value += some;
    if (some > 0n) this.traffic.push({ t: this.now, bytes: some });
    // What flows at an instant has flowed when that instant is read.
    this.now++;
  }

  private poll(fate: 'arrives' | 'lost' | 'twice', delay: number): void {
    this.now = Math.max(this.now, this.lastPoll + 1);
    this.lastPoll = this.now;
    if (fate !== 'lost') this.send(0, delay);
    if (fate === 'twice') this.send(0, delay + 2);
  }

  private renew(ms: number, known: boolean): void {
    this.now += ms;
    this.epoch++;
    this.value = 0n;
    this.start = known ? this.now : 0;
    this.now++;
  }

  private vanish(ms: number, known: boolean): void {
    this.now++;
    this.send(Stamp.end, 0);
    this.renew(ms, known);
  }

  private move(ms: number, bytes: number): void {
    const old = { epoch: this.epoch, value: this.value, start: this.start };
    this.renew(1, true);
    this.flow(bytes, ms);
    this.poll('arrives', 0);
    // The old host still carries some, is read for the last time and is gone.
    const stray = BigInt(this.terms.bytesPerSecond === 0 ? bytes : 0);
    this.now += 2;
    if (stray > 0n) this.traffic.push({ t: this.now - 1, bytes: stray });
    const living = { epoch: this.epoch, value: this.value, start: this.start };
    Object.assign(this, { ...old, value: old.value + stray });
    this.send(0, 0);
    Object.assign(this, living);
    this.lastPoll = this.now;
    this.poll('arrives', 0);
  }

  private send(stamps: number, delay: number): void {
    const full = stamps === 0 ? this.value : 0n;
    const value = this.terms.width === 32 ? full % 2n ** 32n : full;
    const { now: t, epoch, start } = this;
    this.sent.push({ reading: { t, value, epoch, start, stamps }, order: this.sent.length + delay });
  }
}
