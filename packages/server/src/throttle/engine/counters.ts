/**
 * The counters of an engine: six numbers each, in pages that never move, found by (limit key, account, subject). A
 * record in one piece and not an array per field: a decision touches few counters and all of their fields, and with a
 * million counters every array is a cache miss of its own.
 */
import { type Cell, END, EXTRA, START, STATE, USED } from '../../domain/limit/cell.ts';
import { Entries, type EntryBudget } from '../../domain/limit/entries.ts';
import type { Instant } from '../../domain/window.ts';
import type { Bearing } from './bearing.ts';
import { type CounterName, counted, groupName, namePrefix, parseName } from './counter-name.ts';
import { NameIndex } from './name-index.ts';

/** Changes whenever the counter becomes another's or takes another shape: what was prepared before is then looked up again. */
const TAG = STATE;
/** Number of the shape x 4, plus KNOWN and OPEN. */
const SHAPE = STATE + 1;
/** Of slots: what others hold. Of told counters: units charged by decisions of this server, ever. */
export const OTHERS = STATE + 2;
export const OURS = STATE + 2;
/** Of told counters: how far OURS may go before the others have to be told; 0: nobody is to be told. */
export const MAY = STATE + 3;
/** Eight numbers, so that a counter is one line of the processor's cache. */
const WIDTH = STATE + 4;
const KNOWN = 1;
const OPEN = 2;

const PAGE_BITS = 14;
const PAGE_MASK = (1 << PAGE_BITS) - 1;

export interface CounterBounds {
  /** Counters that values from requests may make of one limit and account; more share one overflow counter. */
  share: number;
  /** The same over all limits and accounts. */
  open: number;
  /** Admissions that all logs and holds may remember together. */
  entries: number;
  /** Of the hashes of names: any whole number, secret where strangers choose names. */
  seed: number;
}

/** What values from requests have made of one limit and account. */
interface Share {
  count: number;
  /** Slot of the overflow counter; -1 as long as none was needed. */
  overflow: number;
}

export class Counters {
  /** Times a counter was asked for and the overflow counter answered. */
  overflowed = 0;
  private readonly bounds: CounterBounds;
  private readonly budget: EntryBudget;
  private readonly pages: Float64Array[] = [];
  private readonly index: NameIndex;
  private readonly free: number[] = [];
  private readonly logs = new Map<number, Entries>();
  private readonly shares = new Map<string, Share>();
  private readonly shapes: Bearing[] = [];
  private readonly shapeNumbers = new Map<string, number>();
  private readonly none: Entries;
  private made = 0;
  private openCount = 0;
  private lastTag = 0;
  /** The slot that the next sweep begins at. */
  private sweepAt = 0;

  constructor(bounds: CounterBounds) {
    this.bounds = bounds;
    this.budget = { left: bounds.entries };
    this.none = new Entries(this.budget);
    this.index = new NameIndex(bounds.seed);
  }

  get size(): number {
    return this.index.size;
  }

  /** Slot of the counter, made when there is none. Of a limit whose share is used up: its overflow counter. */
  slot(bearing: Bearing, account: string, subject: string): number {
    const hash = this.index.hash(bearing.prefix, account, subject);
    const known = this.index.find(hash, bearing.prefix, account, subject);
    if (known >= 0) return known;
    if (!bearing.open) return this.make(hash, bearing, account, subject);
    const share = this.shareOf(bearing, account);
    if (share.count < this.bounds.share && this.openCount < this.bounds.open) {
      share.count++;
      this.openCount++;
      return this.make(hash, bearing, account, subject);
    }
    this.overflowed++;
    if (share.overflow < 0) share.overflow = this.take(bearing);
    return share.overflow;
  }

  cursor(): Cell {
    return { n: new Float64Array(0), at: 0, log: this.none };
  }

  /** Moves the cursor to a counter. `logs`: whether its algorithm remembers every admission. */
  point(cell: Cell, slot: number, logs: boolean): void {
    cell.n = this.pages[slot >>> PAGE_BITS] as Float64Array;
    cell.at = (slot & PAGE_MASK) * WIDTH;
    cell.log = logs ? this.logOf(slot) : this.none;
  }

  /** Whether the counter that the cursor is on still is what the tag was of. */
  isStill(cell: Cell, tag: number): boolean {
    return cell.n[cell.at + TAG] === tag;
  }

  /**
   * -1, which no counter has, when its numbers are of another shape. A small integer where it is one: what comes out of a
   * Float64Array would be kept in an object of its own, a cache miss for each gate.
   */
  tagFor(slot: number, bearing: Bearing): number {
    if (this.shape(slot).shape !== bearing.shape) return -1;
    const tag = this.field(slot, TAG);
    const small = tag | 0;
    return small === tag ? small : tag;
  }

  /** The bearing that the counter's numbers were written under; of equal shape, not the same limit. */
  shape(slot: number): Bearing {
    return this.shapes[this.field(slot, SHAPE) >>> 2] as Bearing;
  }

  /** Says that the counter's numbers are now of this shape. What was prepared before has to look again. */
  reshape(slot: number, bearing: Bearing, staysKnown: boolean): void {
    const flags = this.field(slot, SHAPE) & (staysKnown ? KNOWN | OPEN : OPEN);
    this.write(slot, SHAPE, this.shapeNumber(bearing) * 4 + flags);
    this.write(slot, OURS, 0);
    this.write(slot, MAY, 0);
    this.write(slot, TAG, ++this.lastTag);
  }

  isKnown(slot: number): boolean {
    return (this.field(slot, SHAPE) & KNOWN) !== 0;
  }

  know(slot: number): void {
    this.write(slot, SHAPE, this.field(slot, SHAPE) | KNOWN);
  }

  /**
   * Looks at the next `most` counters and frees those that values from requests made and of which nothing is left: a new
   * one would be equal. Counters of accounts and resources stay. Returns how many were freed.
   */
  sweep(now: Instant, most: number): number {
    let freed = 0;
    for (let i = Math.min(most, this.made); i > 0; i--) {
      const slot = this.sweepAt;
      this.sweepAt = (slot + 1) % this.made;
      const name = this.index.name(slot);
      if (name === undefined || !this.isSpent(slot, now)) continue;
      this.release(name, slot);
      freed++;
    }
    return freed;
  }

  /** Every counter; of an overflow counter the subject is null. */
  *all(): Generator<CounterName & { slot: number; open: boolean }> {
    for (let slot = 0; slot < this.made; slot++) {
      const name = this.index.name(slot);
      if (name !== undefined) yield { ...parseName(name), slot, open: (this.field(slot, SHAPE) & OPEN) !== 0 };
    }
    for (const [group, { overflow }] of this.shares) {
      if (overflow >= 0) yield { ...parseName(group), subject: null, slot: overflow, open: true };
    }
  }

  /** As `slot`, for a counter that is being restored: shares are not asked, for it had its place before. */
  restore(bearing: Bearing, account: string, subject: string | null): number {
    const share = bearing.open ? this.shareOf(bearing, account) : null;
    if (subject === null) {
      const { overflow } = share as Share;
      const slot = overflow < 0 ? this.take(bearing) : overflow;
      (share as Share).overflow = slot;
      return slot;
    }
    const hash = this.index.hash(bearing.prefix, account, subject);
    const known = this.index.find(hash, bearing.prefix, account, subject);
    if (known >= 0) return known;
    if (share !== null) {
      share.count++;
      this.openCount++;
    }
    return this.make(hash, bearing, account, subject);
  }

  private make(hash: number, bearing: Bearing, account: string, subject: string): number {
    const slot = this.take(bearing);
    this.index.add(hash, slot, bearing.prefix, account, subject);
    return slot;
  }

  private take(bearing: Bearing): number {
    const slot = this.free.pop() ?? this.made++;
    if (slot >>> PAGE_BITS === this.pages.length) this.pages.push(new Float64Array((PAGE_MASK + 1) * WIDTH));
    const at = (slot & PAGE_MASK) * WIDTH;
    this.page(slot).fill(0, at, at + WIDTH);
    this.write(slot, TAG, ++this.lastTag);
    this.write(slot, SHAPE, this.shapeNumber(bearing) * 4 + (bearing.open ? OPEN : 0));
    return slot;
  }

  private isSpent(slot: number, now: Instant): boolean {
    if ((this.field(slot, SHAPE) & OPEN) === 0) return false;
    const { algorithm, windowMs, worth } = this.shape(slot);
    // What a metered counter shows is known from elsewhere: it is not nothing because its period is over.
    if (worth === 'read') return false;
    // Leased: as long as there is a lease, a new one would not be equal.
    if (algorithm.name !== 'quota' && algorithm.name !== 'sliding' && this.field(slot, EXTRA) > 0) return false;
    if (algorithm.name === 'leased') return this.field(slot, USED) === 0;
    const end = this.field(slot, END);
    return (algorithm.name === 'sliding' ? end + windowMs : end) <= now && this.field(slot, START) <= now;
  }

  private release(name: string, slot: number): void {
    const { limit, account, subject } = parseName(name);
    this.index.remove(this.index.hash(counted(limit), account, subject), slot);
    this.logs.get(slot)?.clear();
    this.logs.delete(slot);
    this.write(slot, TAG, 0);
    this.write(slot, USED, 0);
    this.free.push(slot);
    this.openCount--;
    const group = groupName(name);
    const share = this.shares.get(group) as Share;
    share.count--;
    if (share.count === 0 && share.overflow < 0) this.shares.delete(group);
  }

  private shareOf(bearing: Bearing, account: string): Share {
    const group = namePrefix(bearing.prefix, account);
    let share = this.shares.get(group);
    if (share === undefined) {
      share = { count: 0, overflow: -1 };
      this.shares.set(group, share);
    }
    return share;
  }

  private shapeNumber(bearing: Bearing): number {
    let number = this.shapeNumbers.get(bearing.shape);
    if (number === undefined) {
      number = this.shapes.push(bearing) - 1;
      this.shapeNumbers.set(bearing.shape, number);
    }
    return number;
  }

  private logOf(slot: number): Entries {
    let log = this.logs.get(slot);
    if (log === undefined) {
      log = new Entries(this.budget);
      this.logs.set(slot, log);
    }
    return log;
  }

  private page(slot: number): Float64Array {
    return this.pages[slot >>> PAGE_BITS] as Float64Array;
  }

  private field(slot: number, field: number): number {
    return this.page(slot)[(slot & PAGE_MASK) * WIDTH + field] as number;
  }

  private write(slot: number, field: number, value: number): void {
    this.page(slot)[(slot & PAGE_MASK) * WIDTH + field] = value;
  }
}
