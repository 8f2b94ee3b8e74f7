/**
 * The pure engine of levels: a level holds until it changes, or for as long as a sample is valid. Its usage is the time
 * integral (level x milliseconds, at the scale of quantities), its highest value, or its last.
 */
import { inRange } from './quantity.ts';
import { Flag, State, type TallyRecord } from './record.ts';
import { type Instant, WINDOW_MS, windowStart } from './window.ts';

/** From `t` on the level is `value` (scaled by 10^12). */
export interface Level {
  readonly t: Instant;
  readonly value: bigint;
}

export interface LevelRules {
  /** ms for which a sample stays valid; 0: it holds until changed. */
  readonly validFor: number;
  /** The source has reported everything before this instant. */
  readonly completeThrough: Instant;
  /** What is pending before this instant will never come. */
  readonly settledBefore: Instant;
}

export interface LevelPiece {
  readonly from: Instant;
  readonly to: Instant;
  /** Level x ms over the covered part. */
  readonly integral: bigint;
  /** Changes or samples with from <= t < to. */
  readonly changes: number;
  /** Null when no level was in force in the piece. */
  readonly min: bigint | null;
  readonly max: bigint | null;
  /** The level at the end, and the instant it was set at. */
  readonly latest: Level;
  readonly covered: number;
  readonly flags: number;
  readonly state: number;
}

/**
 * Pieces between consecutive boundaries. `levels` ascending in time (of two at one instant the last rules); `start` is
 * the level in force before the first boundary. No piece before the first level.
 */
export function levelPieces(
  levels: readonly Level[],
  start: Level | null,
  boundaries: readonly Instant[],
  rules: LevelRules,
): LevelPiece[] {
  const out: LevelPiece[] = [];
  let current = start;
  let next = 0;
  for (let i = 0; i + 1 < boundaries.length; i++) {
    const [from = 0, to = 0] = [boundaries[i], boundaries[i + 1]];
    const piece = new Piece(from, to, rules);
    if (current !== null) piece.hold(current, from);
    for (let level = levels[next]; level !== undefined && level.t < to; level = levels[++next]) {
      if (level.t < from) {
        current = level;
        piece.hold(level, from);
        continue;
      }
      current = level;
      // Of two at one instant the last rules: the other never was in force.
      if (levels[next + 1]?.t !== level.t) piece.change(level);
    }
    const done = piece.finish();
    if (done !== null) out.push(done);
  }
  return out;
}

/** One piece while it is being filled. */
class Piece {
  private readonly from: Instant;
  private readonly to: Instant;
  private readonly rules: LevelRules;
  private level: Level | null = null;
  private since: Instant;
  private integral = 0n;
  private covered = 0;
  private began: Instant | null = null;
  private changes = 0;
  private min: bigint | null = null;
  private max: bigint | null = null;

  constructor(from: Instant, to: Instant, rules: LevelRules) {
    this.from = from;
    this.to = to;
    this.rules = rules;
    this.since = from;
  }

  /** The level in force when the piece begins. */
  hold(level: Level, at: Instant): void {
    this.level = level;
    this.since = at;
    this.began = at;
  }

  change(level: Level): void {
    this.run(level.t);
    this.began ??= level.t;
    this.level = level;
    this.since = level.t;
    this.changes++;
    this.see(level.value);
  }

  finish(): LevelPiece | null {
    this.run(this.to);
    const { level, began, from, to, integral, changes, covered } = this;
    if (level === null || began === null) return null;
    const missing = to - began - covered;
    const { state, flags } = inRange(integral)
      ? this.stateOf(missing)
      : { state: State.quarantined, flags: Flag.setAside };
    return {
      from,
      to,
      // Beyond 38 digits is nobody's usage; written, it would fail the whole batch (law 6).
      integral: inRange(integral) ? integral : 0n,
      changes,
      min: this.min,
      max: this.max,
      latest: level,
      covered,
      flags,
      state,
    };
  }

  private run(until: Instant): void {
    if (this.level === null) return;
    const end = Math.min(until, this.lapsed(this.level));
    if (end <= this.since) return;
    this.integral += this.level.value * BigInt(end - this.since);
    this.covered += end - this.since;
    this.see(this.level.value);
    this.since = end;
  }

  private lapsed(level: Level): Instant {
    return this.rules.validFor === 0 ? Number.MAX_SAFE_INTEGER : level.t + this.rules.validFor;
  }

  private settledAway(): boolean {
    return this.to <= this.rules.settledBefore;
  }

  private see(value: bigint): void {
    if (this.min === null || value < this.min) this.min = value;
    if (this.max === null || value > this.max) this.max = value;
  }

  private stateOf(missing: number): { state: number; flags: number } {
    if (this.rules.completeThrough < this.to && !this.settledAway()) return { state: State.pending, flags: 0 };
    if (missing > 0 || this.rules.completeThrough < this.to) return { state: State.unobserved, flags: Flag.unobserved };
    return { state: State.known, flags: 0 };
  }
}

export interface LevelSpan extends LevelRules {
  /** Window edges. */
  readonly from: Instant;
  readonly to: Instant;
  /** Owner changes: off-grid ones cut their window into parts. */
  readonly breakpoints: readonly Instant[];
}

/** The records of a level over whole windows, cut at the breakpoints. */
export function levelRecords(
  series: number,
  levels: readonly Level[],
  start: Level | null,
  span: LevelSpan,
): TallyRecord[] {
  const edges: Instant[] = [];
  for (let w = span.from; w <= span.to; w += WINDOW_MS) edges.push(w);
  for (const b of new Set(span.breakpoints)) if (b > span.from && b < span.to && b % WINDOW_MS !== 0) edges.push(b);
  edges.sort((a, b) => a - b);
  return levelPieces(levels, start, edges, span).map((p) => ({
    series,
    window: windowStart(p.from),
    part: p.from - windowStart(p.from),
    sum: p.integral,
    count: BigInt(p.changes),
    min: p.min,
    max: p.max,
    latest: p.latest.value,
    latestAt: p.latest.t,
    flags: p.flags,
    state: p.state,
    isVoid: false,
  }));
}
