/**
 * The reference counter engine: what one series used, from its readings. Pure; everything that arrival decided is
 * stamped on the readings. `followCounter` judges the readings and draws the course of the counter; `usageOf` and
 * `counterRecords` (pieces.ts) cut the course at any boundaries. The README lists the 20 cases.
 */
import {
  Case,
  type Chain,
  type CounterSpec,
  type Decisions,
  isWrap,
  Judge,
  moved,
  type SetAsideReading,
} from './chain.ts';
import { type Reading, type Receipt, Stamp } from './fact.ts';
import { Flag } from './record.ts';
import { type Instant, type Interval, WINDOW_MS } from './window.ts';

export { Case, type CounterSpec, type Decisions, isImpossible, isWrap, type SetAsideReading } from './chain.ts';
export { CounterOverflow, counterRecords, type Piece, usageOf } from './pieces.ts';

/** A place on the course. Its receipt is null where it is concluded (a start, a reset), not read. */
export interface Point {
  readonly t: Instant;
  readonly value: bigint;
  readonly receipt: Receipt | null;
}

/** The counter moved by `amount` between two points; in between, evenly. */
export interface Segment {
  readonly case: number;
  readonly epoch: number;
  readonly from: Point;
  readonly to: Point;
  readonly amount: bigint;
  /** Bits of Flag that every piece it meets gets: wrapped, reset, inferredReset, gap, held. */
  readonly flags: number;
}

/** What became of one reading. */
export interface Verdict {
  readonly case: number;
  /** `counted`, `baseline`, `duplicate`, `end`, `voided`, or the code it was set aside with. */
  readonly code: string;
  /** What was added by it since the point before; null when it counts nothing itself. */
  readonly amount: bigint | null;
  /** The reading it was measured from or judged against. */
  readonly against: Receipt | null;
}

/** Held, not spread: too long to say when in it the traffic flowed. */
export const HELD_MS = 35 * 86_400_000;
/** Taken when the source declares no poll period. */
export const DEFAULT_PERIOD_MS = 300_000;

export class Course {
  /** Epochs with at least one kept reading, by their first one. */
  readonly chains: readonly Chain[];
  /** Chain by chain, ascending in time inside a chain. */
  readonly segments: readonly Segment[];
  readonly setAside: readonly SetAsideReading[];
  /** What was never seen: ascending, disjoint. */
  readonly unobserved: readonly Interval[];
  /** Union of the segments: ascending, disjoint. */
  readonly coverage: readonly Interval[];
  /** First instant that is covered, or of the first kept reading; null when nothing was kept. */
  readonly first: Instant | null;
  /** Last kept reading. */
  readonly last: Instant | null;
  /** The counter ended here for good; null while more may come. */
  readonly ended: Instant | null;
  private readonly judge: Judge;
  private verdictMap: Map<Receipt, Verdict> | null = null;

  constructor(parts: CourseParts, judge: Judge) {
    this.chains = parts.chains;
    this.segments = parts.segments;
    this.setAside = judge.setAside;
    this.unobserved = union(parts.unobserved);
    this.coverage = union(parts.coverage);
    this.last = parts.chains.reduce<Instant | null>((t, c) => (t === null ? c.last.t : Math.max(t, c.last.t)), null);
    this.first =
      parts.chains.length === 0 ? null : Math.min(parts.chains[0]?.first.t ?? 0, this.coverage[0]?.from ?? Infinity);
    const end = parts.chains.at(-1)?.end ?? null;
    this.ended = end !== null && this.last !== null && end.t >= this.last ? end.t : null;
    this.judge = judge;
  }

  /** Receipt -> what became of it, for every reading given. Built when first asked: only explain wants it. */
  get verdicts(): ReadonlyMap<Receipt, Verdict> {
    this.verdictMap ??= verdictsOf(this, this.judge);
    return this.verdictMap;
  }
}

interface CourseParts {
  readonly chains: Chain[];
  readonly segments: Segment[];
  readonly unobserved: Interval[];
  readonly coverage: Interval[];
}

/** Readings in any order; those after the frontier already left out. */
export function followCounter(readings: readonly Reading[], spec: CounterSpec, decisions: Decisions): Course {
  const judge = new Judge(spec, decisions);
  judge.run(byReceipt(readings));
  const chains = [...judge.chains.values()].filter((chain) => chain.kept.length > 0);
  chains.sort((a, b) => a.first.t - b.first.t || a.first.receipt - b.first.receipt);
  placeMarkers(chains, judge);
  const parts: CourseParts = { chains, segments: [], unobserved: [], coverage: [] };
  const before = new Before();
  for (const chain of chains) {
    before.advance(chain.first.t);
    openChain(chain, before, spec, parts);
    walkChain(chain, spec, parts);
    if (chain.end !== null && chain.end.t > chain.last.t)
      parts.unobserved.push({ from: chain.last.t, to: chain.end.t });
    before.add(chain);
  }
  return new Course(parts, judge);
}

function byReceipt(readings: readonly Reading[]): readonly Reading[] {
  for (let i = 1; i < readings.length; i++) {
    if ((readings[i] as Reading).receipt < (readings[i - 1] as Reading).receipt) {
      return [...readings].sort((a, b) => a.receipt - b.receipt);
    }
  }
  return readings;
}

/** Gives each end marker to the chain it ends. One of an epoch without readings ends the chain last seen before it. */
function placeMarkers(chains: readonly Chain[], judge: Judge): void {
  for (const marker of judge.markers) {
    let chain = judge.chains.get(marker.epoch);
    if (chain === undefined || chain.kept.length === 0) {
      chain = undefined;
      for (const c of chains) if (c.last.t <= marker.t && (!chain || c.last.t > chain.last.t)) chain = c;
    }
    if (chain === undefined) continue;
    if (marker.t < chain.last.t) chain.ends = [...chain.ends, marker];
    else if (chain.end === null || marker.t < chain.end.t) chain.end = marker;
  }
}

/** What is known of the earlier chains when the next one begins. */
class Before {
  /** Latest kept reading before the new chain's first, and end markers up to it; null when there is none. */
  lastSeen: Instant | null = null;
  /** An earlier chain goes on at or after the new chain's first reading: both live at once. */
  overlaps = false;
  private open: Chain[] = [];

  add(chain: Chain): void {
    this.open.push(chain);
  }

  advance(t: Instant): void {
    const still: Chain[] = [];
    for (const chain of this.open) {
      const goesOn = chain.last.t >= t;
      const seen = goesOn ? chain.kept[chain.indexAt(t) - 1] : chain.last;
      if (seen !== undefined) this.see(seen.t);
      if (chain.end !== null && chain.end.t <= t) this.see(chain.end.t);
      // A chain whose marker still lies ahead is looked at again, for the chains that begin after the marker.
      if (goesOn || (chain.end !== null && chain.end.t > t)) still.push(chain);
    }
    this.open = still;
    this.overlaps = still.some((chain) => chain.last.t >= t);
  }

  private see(t: Instant): void {
    if (this.lastSeen === null || t > this.lastSeen) this.lastSeen = t;
  }
}

/** The segment that leads to a chain's first reading: from its declared start, or from where the chain before was lost. */
function openChain(chain: Chain, before: Before, spec: CounterSpec, parts: CourseParts): void {
  const { first } = chain;
  const { lastSeen, overlaps } = before;
  const earliest = lastSeen === null;
  // A start at or after the reading itself says that the start is not known.
  const start = first.start > 0 && first.start < first.t ? first.start : null;
  const kind = earliest ? Case.first : overlaps ? Case.migrated : Case.reset;
  const flags = earliest ? 0 : Flag.reset;
  const from = start ?? lastSeen;
  if (from === null) return;
  // Both places hold the marker's time when one stands there: nothing tells what lived and died unseen after it.
  const lost = start ?? first.t;
  if (lastSeen !== null && !overlaps && lost > lastSeen) parts.unobserved.push({ from: lastSeen, to: lost });
  parts.segments.push(
    segment(kind, chain.epoch, { t: from, value: 0n, receipt: null }, first, first.value, flags, spec),
  );
  parts.coverage.push({ from, to: first.t });
}

function walkChain(chain: Chain, spec: CounterSpec, parts: CourseParts): void {
  const { kept, epoch } = chain;
  let covered = chain.first.t;
  for (let i = 1; i < kept.length; i++) {
    const p = kept[i - 1] as Reading;
    const x = kept[i] as Reading;
    if (x.value >= p.value) {
      parts.segments.push(segment(Case.normal, epoch, p, x, x.value - p.value, 0, spec));
      continue;
    }
    const end = chain.ends.find((m) => m.t >= p.t && m.t < x.t);
    if (isWrap(p.value, x.value, x.t - p.t, spec.width, spec.lineBits)) {
      const amount = moved(p, x, spec.width, spec.lineBits);
      parts.segments.push(segment(Case.wrap, epoch, p, x, amount, Flag.wrapped, spec));
    } else if (end === undefined) {
      const zero = { t: p.t, value: 0n, receipt: p.receipt };
      parts.segments.push(segment(Case.inferredReset, epoch, zero, x, x.value, Flag.inferredReset, spec));
    } else {
      // The marker is evidence: the counter ended there and a new one began.
      const zero = { t: end.t, value: 0n, receipt: end.receipt };
      parts.segments.push(segment(Case.reset, epoch, zero, x, x.value, Flag.reset, spec));
      if (end.t > p.t) {
        parts.unobserved.push({ from: p.t, to: end.t });
        parts.coverage.push({ from: covered, to: p.t });
        covered = end.t;
      }
    }
  }
  if (chain.last.t > covered) parts.coverage.push({ from: covered, to: chain.last.t });
}

function segment(
  kind: number,
  epoch: number,
  from: Point,
  to: Point,
  amount: bigint,
  flags: number,
  spec: CounterSpec,
): Segment {
  const ms = to.t - from.t;
  if (ms > WINDOW_MS && ms > 3 * (spec.period > 0 ? spec.period : DEFAULT_PERIOD_MS)) {
    return {
      case: kind === Case.normal ? Case.gap : kind,
      epoch,
      from,
      to,
      amount,
      flags: flags | (ms > HELD_MS ? Flag.held : Flag.gap),
    };
  }
  return { case: kind, epoch, from, to, amount, flags };
}

/** Ascending and disjoint; empty ones left out. */
export function union(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.filter((i) => i.from < i.to).sort((a, b) => a.from - b.from);
  const out: { from: Instant; to: Instant }[] = [];
  for (const { from, to } of sorted) {
    const last = out.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else out.push({ from, to });
  }
  return out;
}

function verdictsOf(course: Course, judge: Judge): Map<Receipt, Verdict> {
  const out = new Map<Receipt, Verdict>();
  for (const chain of course.chains) {
    for (const r of chain.kept) {
      out.set(r.receipt, { case: stampedCase(r, Case.first), code: 'baseline', amount: null, against: null });
    }
  }
  const stamps = new Map(course.chains.flatMap((chain) => chain.kept.map((r) => [r.receipt, r] as const)));
  for (const s of course.segments) {
    const r = s.to.receipt === null ? undefined : stamps.get(s.to.receipt);
    if (r === undefined) continue;
    const late = judge.late.has(r.receipt) && (s.case === Case.normal || s.case === Case.gap);
    const kind = late ? Case.late : stampedCase(r, s.case);
    out.set(r.receipt, { case: kind, code: 'counted', amount: s.amount, against: s.from.receipt });
  }
  for (const a of judge.setAside) out.set(a.receipt, { case: a.case, code: a.code, amount: null, against: a.against });
  for (const d of judge.duplicates) {
    if (!out.has(d.receipt))
      out.set(d.receipt, { case: Case.duplicate, code: 'duplicate', amount: null, against: d.of });
  }
  for (const m of judge.markers) out.set(m.receipt, { case: Case.end, code: 'end', amount: null, against: null });
  for (const v of judge.voided) out.set(v, { case: Case.decided, code: 'voided', amount: null, against: null });
  return out;
}

/** What arrival had to correct shows as its own case, where nothing rarer happened. */
function stampedCase(r: Reading, kind: number): number {
  if (kind !== Case.normal && kind !== Case.first) return kind;
  if ((r.stamps & Stamp.clockBack) !== 0) return Case.clockBack;
  return (r.stamps & (Stamp.future | Stamp.skew)) !== 0 ? Case.future : kind;
}
