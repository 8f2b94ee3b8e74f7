/**
 * One tunnel followed from pass to pass. Its overhead is told as a counter: bytes since this watch began, which never
 * falls. So what is lost or repeated on the way costs nothing, and an agent that comes back goes on where its memory
 * ends. A sum of intervals would have to be remembered and sent in one step, and could not say what it did not see: when
 * a counter of either side begins anew the watch ends, the next one begins, and the time between is unobserved, not zero.
 *
 * Both sides come from one pass of one poller. Two pollers were tried: read 20 ms apart under load, a short burst was
 * counted on the underlay before it was on the payload, and showed as twice the overhead there was. Packets on their way
 * between two counters do the same to less, so what is told is what two looks in a row have found.
 */
import type { Declaration, PollPass } from '../poll/poller.ts';
import { EXCEEDED, type Reconciliation, reconcile } from './encapsulation.ts';
import { intervalOf, joined, sidesOf, type Tunnel } from './encapsulation-sides.ts';

/** A tunnel as the settings have it. */
export interface WatchedTunnel extends Tunnel {
  method: 'measured' | 'modelled';
  /** Who counts both sides: that of all parts. */
  poller: string;
}

export interface Watched {
  /** What it is told apart by; new whenever it begins. */
  epoch: string;
  first: PollPass;
  /** The newest pass; starts and ends of all passes since the first are in it. */
  last: PollPass;
  /** From the first pass to the last; the next look will tell how much of it is sure. Null: there was but one. */
  seen: Reconciliation | null;
  told: { sum: Reconciliation; at: number } | null;
  /** The server has its first value, and with it since when it counts. */
  known: boolean;
}

/** `told`: this watch has a value to tell. `ended`: this one is over, and was told before. */
export interface Step {
  told: Watched | null;
  ended: Watched | null;
}

export class TunnelWatch {
  readonly tunnel: WatchedTunnel;
  #watched: Watched | null;
  #refusals: readonly string[] = [WAITING];

  constructor(tunnel: WatchedTunnel, before: Watched | null = null) {
    this.tunnel = tunnel;
    this.#watched = before;
  }

  get watched(): Watched | null {
    return this.#watched;
  }

  /** For the status: all of this watch, and what was wrong when both sides were looked at last. */
  get reconciliation(): Reconciliation {
    const seen = this.#watched?.seen ?? nothing(this.tunnel, this.#watched?.first.at ?? 0);
    return { ...seen, refusals: [...this.#refusals] };
  }

  /** Null: this pass is of another poller. */
  take(poller: string, declaration: Declaration, pass: PollPass): Step | null {
    if (poller !== this.tunnel.poller) return null;
    const part = sidesOf(this.tunnel, pass);
    const before = this.#watched;
    if (before === null) return this.#begin(part, null);
    const last = joined(before.last, part);
    const at = (one: PollPass) => new Map([[poller, { pass: one, declaration }]]);
    const found = reconcile(intervalOf(this.tunnel, at(before.first), at(last)));
    this.#refusals = found.refusals;
    if (found.method === 'none' && !isAhead(found)) return this.#begin(part, before);
    const sum = before.seen === null ? null : lesser(before.seen, found);
    // Held: the payload is ahead, or was less so before. Nothing is told until the underlay has caught up.
    const isMore = sum !== null && overheadOf(sum) >= (before.told === null ? 0n : overheadOf(before.told.sum));
    const told = isMore ? { sum, at: pass.at } : before.told;
    this.#watched = { ...before, last, seen: found, told };
    return { told: isMore ? this.#watched : null, ended: null };
  }

  #begin(first: PollPass, before: Watched | null): Step {
    this.#watched = { epoch: String(first.at), first, last: first, seen: null, told: null, known: false };
    return { told: null, ended: before?.told == null ? null : before };
  }
}

const WAITING = 'encapsulation.waiting: both sides have not been read twice yet';

const isAhead = ({ refusals }: Reconciliation): boolean => refusals.some((why) => why.startsWith(EXCEEDED));
const overheadOf = ({ overheadBytes }: Reconciliation): bigint => overheadBytes ?? 0n;
const lesser = (a: Reconciliation, b: Reconciliation): Reconciliation => (overheadOf(b) <= overheadOf(a) ? b : a);

const nothing = ({ tunnel, underlay }: Tunnel, at: number): Reconciliation => ({
  tunnel,
  from: at,
  to: at,
  method: 'none',
  payloadLayer: 'L2',
  underlayLayer: underlay.length === 0 ? null : 'L2',
  payloadBytes: 0n,
  underlayBytes: underlay.length === 0 ? null : 0n,
  overheadBytes: null,
  modelledBytes: null,
  onWire: false,
  residualBytes: null,
  packets: null,
  refusals: [],
});
