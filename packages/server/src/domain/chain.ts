/**
 * One epoch of a counter: which of its readings are kept, judged one by one in receipt order. What was judged stays
 * judged: a later fact never changes the verdict on an earlier one, so a past answer "as of S" can always be repeated.
 */
import { type Reading, type Receipt, Stamp } from './fact.ts';
import type { Instant, Interval } from './window.ts';

export interface CounterSpec {
  width: 32 | 64;
  /** Line speed in bits per second; 0 unknown. */
  lineBits: number;
  /** Declared poll period in ms; 0 unknown. */
  period: number;
}

/** The case numbers of the counter rules (README.md has the table). 0: an operator's decision, not a rule. */
export const Case = {
  decided: 0,
  first: 1,
  normal: 2,
  duplicate: 3,
  conflict: 4,
  late: 5,
  lateInconsistent: 6,
  wrap: 7,
  reset: 8,
  inferredReset: 9,
  gap: 11,
  clockBack: 12,
  future: 13,
  migrated: 15,
  impossible: 16,
  end: 19,
} as const;

export interface SetAsideReading {
  readonly receipt: Receipt;
  readonly t: Instant;
  readonly value: bigint;
  readonly epoch: number;
  readonly case: number;
  /** Stable code, see the README. */
  readonly code: string;
  /** For people: what it was judged against. */
  readonly reason: string;
  /** Receipt of the kept reading it did not fit to; null when it was dropped by a decision. */
  readonly against: Receipt | null;
  /** An operator has decided: it does not hold its window back any more. */
  readonly decided: boolean;
}

/** What was decided about one series, as of the frontier. */
export interface Decisions {
  readonly released: ReadonlySet<Receipt>;
  readonly dropped: ReadonlySet<Receipt>;
  /** From here on the whole series is quarantined. */
  readonly quarantinedFrom: Instant | null;
  /** What is pending in these intervals will never come, says an operator. */
  readonly unobserved: readonly Interval[];
  /** What is pending before this instant will never come, says the source's `settle_after`. */
  readonly settledBefore: Instant;
  /** Facts that count no more. */
  readonly voided?: ReadonlySet<Receipt>;
  /** An operator dropped a quarantined series: its readings from `from` on with a receipt before `before`. */
  readonly discarded?: readonly { readonly from: Instant; readonly before: Receipt }[];
}

const WRAP_32 = 1n << 32n;

/**
 * More than the line can carry: over line speed x 1.05 plus one second's burst. Bytes against bits, in integers:
 * amount * 8 * 1000 > lineBits * (1.05 * ms + 1000), both sides times 20. Floats decide unless the two sides are
 * near each other, because this runs for every reading.
 */
export function isImpossible(amount: bigint, ms: number, lineBits: number): boolean {
  if (lineBits <= 0) return false;
  const left = Number(amount) * 160_000;
  const right = lineBits * (21 * ms + 20_000);
  if (left < right * 0.999_999) return false;
  if (left > right * 1.000_001) return true;
  return amount * 160_000n > BigInt(Math.floor(lineBits)) * (21n * BigInt(ms) + 20_000n);
}

/** A fall that a 32-bit counter explains: shorter than one wrap at line speed, and the rate it implies fits the line. */
export function isWrap(before: bigint, after: bigint, ms: number, width: number, lineBits: number): boolean {
  if (width !== 32 || lineBits <= 0 || before >= WRAP_32 || ms * lineBits >= 2 ** 32 * 8000) return false;
  return !isImpossible(after + WRAP_32 - before, ms, lineBits);
}

/** What the counter moved from one reading to the next of the same epoch, by the rules for falls. */
export function moved(
  before: Pick<Reading, 't' | 'value'>,
  after: Pick<Reading, 't' | 'value'>,
  width: number,
  lineBits: number,
): bigint {
  if (after.value >= before.value) return after.value - before.value;
  return isWrap(before.value, after.value, after.t - before.t, width, lineBits)
    ? after.value + WRAP_32 - before.value
    : after.value;
}

export class Chain {
  readonly epoch: number;
  /** Kept readings, ascending and distinct in time. */
  readonly kept: Reading[] = [];
  /** End marker at or after the last kept reading, the earliest of them. */
  end: Reading | null = null;
  /** Markers before the last kept reading: evidence for a fall there. */
  ends: readonly Reading[] = [];
  /** Set-aside readings by time and value, so that their duplicates are known too. Null while there are none. */
  private aside: Map<string, Receipt> | null = null;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  get first(): Reading {
    return this.kept[0] as Reading;
  }
  get last(): Reading {
    return this.kept[this.kept.length - 1] as Reading;
  }

  /** Index of the first kept reading at or after `t`. */
  indexAt(t: Instant): number {
    const { kept } = this;
    let low = 0;
    let high = kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((kept[middle] as Reading).t < t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  rememberAside(r: Reading): void {
    this.aside ??= new Map();
    const key = `${r.t}/${r.value}`;
    if (!this.aside.has(key)) this.aside.set(key, r.receipt);
  }
  /** Receipt of an identical reading that was set aside before; null when there is none. */
  asideLike(r: Reading): Receipt | null {
    return this.aside?.get(`${r.t}/${r.value}`) ?? null;
  }
}

/** Judges readings in receipt order. Keeps what it had to say about those that are not simply next in line. */
export class Judge {
  readonly chains = new Map<number, Chain>();
  readonly setAside: SetAsideReading[] = [];
  readonly duplicates: { receipt: Receipt; of: Receipt }[] = [];
  readonly voided: Receipt[] = [];
  readonly markers: Reading[] = [];
  /** Receipts that were kept between readings which had come before them (case 5). */
  readonly late = new Set<Receipt>();
  private readonly spec: CounterSpec;
  private readonly decisions: Decisions;
  private readonly decides: boolean;

  constructor(spec: CounterSpec, decisions: Decisions) {
    this.spec = spec;
    this.decisions = decisions;
    const { dropped, voided, discarded } = decisions;
    this.decides = dropped.size > 0 || (voided?.size ?? 0) > 0 || (discarded?.length ?? 0) > 0;
  }

  /** `readings` ascending by receipt. */
  run(readings: readonly Reading[]): void {
    const { lineBits, width } = this.spec;
    let chain: Chain | null = null;
    for (let i = 0; i < readings.length; i++) {
      const r = readings[i] as Reading;
      if ((r.stamps & Stamp.end) !== 0) {
        this.mark(r);
        continue;
      }
      if (chain === null || chain.epoch !== r.epoch) chain = this.chainOf(r.epoch);
      const { kept } = chain;
      if (this.decides && this.isOut(chain, r)) continue;
      const last: Reading | undefined = kept[kept.length - 1];
      if (last === undefined || r.t > last.t) {
        if (chain.asideLike(r) !== null) this.repeat(chain, r);
        else if (
          last !== undefined &&
          lineBits > 0 &&
          isImpossible(moved(last, r, width, lineBits), r.t - last.t, lineBits) &&
          !this.decisions.released.has(r.receipt)
        ) {
          this.refuse(chain, r, Case.impossible, last);
        } else kept.push(r);
      } else this.insert(chain, r);
    }
  }

  private chainOf(epoch: number): Chain {
    let chain = this.chains.get(epoch);
    if (chain === undefined) {
      chain = new Chain(epoch);
      this.chains.set(epoch, chain);
    }
    return chain;
  }

  private mark(r: Reading): void {
    if (this.decisions.voided?.has(r.receipt)) this.voided.push(r.receipt);
    else if (this.decides && this.isDropped(r)) this.markDropped(r);
    else this.markers.push(r);
  }

  private insert(chain: Chain, r: Reading): void {
    const { kept } = chain;
    const index = chain.indexAt(r.t);
    const next = kept[index] as Reading;
    if (next.t === r.t && next.value === r.value) {
      this.duplicates.push({ receipt: r.receipt, of: next.receipt });
      return;
    }
    if (chain.asideLike(r) !== null) {
      this.repeat(chain, r);
      return;
    }
    const released = this.decisions.released.has(r.receipt);
    if (next.t === r.t) {
      if (released) this.replace(chain, index, r);
      else this.refuse(chain, r, Case.conflict, next);
      return;
    }
    const before = kept[index - 1];
    if (!released) {
      if (!fitsBetween(before, r, next)) {
        this.refuse(chain, r, Case.lateInconsistent, next);
        return;
      }
      const { width, lineBits } = this.spec;
      if (before && isImpossible(moved(before, r, width, lineBits), r.t - before.t, lineBits)) {
        this.refuse(chain, r, Case.impossible, before);
        return;
      }
    }
    kept.splice(index, 0, r);
    this.late.add(r.receipt);
  }

  /** A released reading takes the place of the one it conflicted with: both cannot be true. */
  private replace(chain: Chain, index: number, r: Reading): void {
    const old = chain.kept[index] as Reading;
    chain.kept[index] = r;
    chain.rememberAside(old);
    this.setAside.push({
      ...aside(old, Case.conflict, 'reading.replaced', r.receipt, true),
      reason: `a decision released receipt ${r.receipt}, which gives another value for the same time`,
    });
  }

  private refuse(chain: Chain, r: Reading, kind: number, other: Reading): void {
    chain.rememberAside(r);
    this.setAside.push({
      ...aside(r, kind, codeOf(kind), other.receipt, false),
      reason: reasonOf(kind, r, other),
    });
  }

  private repeat(chain: Chain, r: Reading): void {
    this.duplicates.push({ receipt: r.receipt, of: chain.asideLike(r) ?? r.receipt });
  }

  /** Voided and dropped readings; their duplicates go with them. */
  private isOut(chain: Chain, r: Reading): boolean {
    if (this.decisions.voided?.has(r.receipt)) {
      chain.rememberAside(r);
      this.voided.push(r.receipt);
      return true;
    }
    if (!this.isDropped(r)) return false;
    if (chain.asideLike(r) !== null) this.repeat(chain, r);
    else {
      chain.rememberAside(r);
      this.markDropped(r);
    }
    return true;
  }

  private isDropped(r: Reading): boolean {
    if (this.decisions.dropped.has(r.receipt)) return true;
    for (const d of this.decisions.discarded ?? []) if (r.t >= d.from && r.receipt < d.before) return true;
    return false;
  }

  private markDropped(r: Reading): void {
    this.setAside.push({
      ...aside(r, Case.decided, 'reading.dropped', null, true),
      reason: 'dropped by a recorded decision',
    });
  }
}

const aside = (r: Reading, kind: number, code: string, against: Receipt | null, decided: boolean) => ({
  receipt: r.receipt,
  t: r.t,
  value: r.value,
  epoch: r.epoch,
  case: kind,
  code,
  against,
  decided,
});

/** A late reading fits where the counter could have stood there: between its neighbours, or on either side of a fall. */
function fitsBetween(before: Reading | undefined, x: Reading, next: Reading): boolean {
  if (before === undefined) return x.value <= next.value;
  if (next.value >= before.value) return before.value <= x.value && x.value <= next.value;
  return x.value >= before.value || x.value <= next.value;
}

const codeOf = (kind: number): string =>
  kind === Case.conflict
    ? 'reading.conflict'
    : kind === Case.lateInconsistent
      ? 'reading.late_inconsistent'
      : 'reading.impossible_rate';

function reasonOf(kind: number, r: Reading, other: Reading): string {
  if (kind === Case.conflict) return `receipt ${other.receipt} gave ${other.value} for the same time, this ${r.value}`;
  if (kind === Case.lateInconsistent) {
    return `${r.value} came late and does not fit before receipt ${other.receipt} with ${other.value}`;
  }
  return `from ${other.value} (receipt ${other.receipt}) to ${r.value} in ${r.t - other.t} ms is more than the line carries`;
}
