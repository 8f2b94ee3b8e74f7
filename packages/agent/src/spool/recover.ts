/** Reads the log of an earlier life: its open sums, its portions, and what is known to be lost. */
import type { Table } from '../measure/table.ts';
import { type Beat, isBehind, lastWord, readBeat } from './beat.ts';
import type { SpoolDisk } from './disk.ts';
import { type Found, Kind, scan } from './frames.ts';
import { readJoined } from './join.ts';
import { type LogEnd, segmentName, segmentNumber } from './log.ts';
import { without } from './losses.ts';
import { readPortionHead, type Stored } from './portion.ts';
import {
  type AliveRange,
  type LostInterval,
  readLost,
  readSettled,
  readSnapshot,
  readTime,
  readTold,
} from './snapshot.ts';
import { readSums } from './sums-frame.ts';

export interface Recovered {
  /** Sums that are not yet in portions, oldest first. */
  tables: Table[];
  /** Portions that are not settled, by number. */
  portions: Stored[];
  lost: LostInterval[];
  segments: { number: number; bytes: number }[];
  /** The last segment the heartbeat speaks of, begun or tried. */
  reached: number;
  nextTable: number;
  nextPortion: number;
  /** All that was measured before this is in the log. */
  coveredAt: number;
  /** Latest sign of life. */
  aliveAt: number;
  /** It ended by close(), and nothing was cut or damaged. */
  clean: boolean;
  /** It ended by close(). */
  stopped: boolean;
  /** Bytes that could not be read: damaged frames, and a torn tail. */
  damaged: number;
  torn: number;
}

export async function recover(disk: SpoolDisk): Promise<Recovered> {
  const replay = new Replay();
  const numbers = (await disk.list()).map(segmentNumber).filter((n) => n > 0);
  for (const number of numbers.sort((a, b) => a - b)) {
    const name = segmentName(number);
    const file = await disk.read(name);
    const { frames, end, damaged } = scan(file);
    replay.damaged += damaged;
    replay.torn += file.length - end;
    if (end < file.length) await disk.truncate(name, end);
    for (const found of frames) replay.frame(number, found);
    replay.segments.push({ number, bytes: end });
  }
  return replay.result(readBeat(await disk.beat().catch(() => Buffer.alloc(0))));
}

class Replay {
  damaged = 0;
  torn = 0;
  readonly segments: { number: number; bytes: number }[] = [];
  #tables = new Map<number, Table>();
  #portions = new Map<number, Stored>();
  #alive: readonly AliveRange[] = [];
  #settled: { first: number; last: number }[] = [];
  #lost: LostInterval[] = [];
  #nextTable = 1;
  #nextPortion = 1;
  /** The last word of the log, and where it ends. */
  #lastAt = 0;
  #lastEnd: LogEnd = { segment: 0, bytes: 0 };
  #stopped = true;
  /** Time of the last good frame before a damaged one; -1: none. */
  #gapFrom = -1;

  frame(segment: number, found: Found): void {
    if (found.gap > 0) this.#openGap();
    try {
      this.#read(segment, found);
      this.#stopped = found.kind === Kind.stop;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      // Intact, but it speaks of what a damaged frame said.
      this.damaged += found.payload.length;
      this.#openGap();
    }
  }

  #read(segment: number, { kind, payload, offset }: Found): void {
    const end = { segment, bytes: offset + payload.length };
    if (kind === Kind.snapshot) this.#snapshot(payload, offset, end);
    else if (kind === Kind.sums) this.#at(readSums(payload, this.#tables), end);
    else if (kind === Kind.joined) this.#join(payload);
    else if (kind === Kind.portion) this.#portion(segment, payload, offset);
    else if (kind === Kind.settled) this.#settle(readSettled(payload));
    else if (kind === Kind.stop) this.#at(readTime(payload), end);
    else if (kind === Kind.told) this.#lost = without(this.#lost, readTold(payload));
    else {
      const { interval, table } = readLost(payload);
      this.#lost.push(interval);
      this.#tables.delete(table);
    }
  }

  /** The clock may have stepped back: the last word counts. */
  #at(now: number, end: LogEnd): void {
    this.#lastAt = now;
    this.#lastEnd = end;
    this.#closeGap(now);
  }

  #openGap(): void {
    if (this.#gapFrom < 0) this.#gapFrom = this.#lastAt;
  }

  #closeGap(now: number): void {
    if (this.#gapFrom < 0) return;
    this.#lost.push({ from: this.#gapFrom, to: Math.max(now, this.#gapFrom + 1), records: 0, reason: 'damaged' });
    this.#gapFrom = -1;
  }

  /** Tables that go have had their numbers all the same. */
  #countTables(): void {
    for (const number of this.#tables.keys()) this.#nextTable = Math.max(this.#nextTable, number + 1);
  }

  #join(payload: Buffer): void {
    this.#countTables();
    readJoined(payload, this.#tables);
  }

  #snapshot(payload: Buffer, offset: number, end: LogEnd): void {
    const tables = new Map<number, Table>();
    const snapshot = readSnapshot(payload, tables);
    this.#countTables();
    this.#tables = tables;
    this.#nextTable = Math.max(this.#nextTable, snapshot.nextTable);
    this.#nextPortion = Math.max(this.#nextPortion, snapshot.nextPortion);
    this.#lost = [...snapshot.lost];
    this.#alive = snapshot.alive;
    this.#settled = [];
    const isAlive = (n: number): boolean => snapshot.alive.some(({ first, last }) => first <= n && n <= last);
    for (const number of this.#portions.keys())
      if (number < snapshot.nextPortion && !isAlive(number)) this.#portions.delete(number);
    // What was damaged before is in this snapshot; portions that were are found missing.
    this.#gapFrom = -1;
    this.#at(snapshot.now, end);
    const at = offset + payload.length - snapshot.frames.length;
    for (const found of scan(snapshot.frames).frames) this.frame(end.segment, { ...found, offset: at + found.offset });
  }

  #portion(segment: number, payload: Buffer, offset: number): void {
    const { portion, table: number, levels, portionedTo } = readPortionHead(payload);
    const table = this.#tables.get(number);
    // What a snapshot was taken after is out of its tables.
    if (table !== undefined && portion.number >= this.#nextPortion) {
      table.levels.splice(0, levels);
      table.portioned = Math.min(portionedTo, table.cells.length);
    }
    this.#nextPortion = Math.max(this.#nextPortion, portion.number + 1);
    this.#portions.set(portion.number, { ...portion, segment, offset, length: payload.length, payload: null });
  }

  #settle({ first, last }: { first: number; last: number }): void {
    this.#settled.push({ first, last });
    for (let n = first; n <= last; n++) this.#portions.delete(n);
  }

  result(beat: Beat): Recovered {
    this.#countTables();
    for (const table of this.#tables.values()) table.over = true;
    const { coveredAt, aliveAt } = lastWord(beat, { at: this.#lastAt, end: this.#lastEnd });
    const { number: segment = 0, bytes = 0 } = this.segments.at(-1) ?? {};
    const isCut = segment === beat.durable.segment && bytes < beat.durable.bytes;
    if (isCut) this.#openGap();
    this.#closeGap(aliveAt);
    // A heartbeat behind a clean end is of a life whose disk took nothing else.
    const stopped = this.#stopped && !isCut && !isBehind(beat.reach, this.#lastEnd);
    return {
      tables: [...this.#tables.values()].filter((t) => t.waiting > 0).sort((a, b) => a.number - b.number),
      portions: [...this.#portions.values()].sort((a, b) => a.number - b.number),
      lost: [...this.#lost, ...this.#missing()],
      segments: this.segments,
      reached: beat.reach.segment,
      nextTable: this.#nextTable,
      nextPortion: this.#nextPortion,
      coveredAt,
      aliveAt,
      stopped,
      clean: stopped && this.damaged === 0 && this.torn === 0,
      damaged: this.damaged,
      torn: this.torn,
    };
  }

  /** Portions the last snapshot names whose frames are gone, and that were not settled since. */
  #missing(): LostInterval[] {
    const isSettled = (n: number): boolean => this.#settled.some(({ first, last }) => first <= n && n <= last);
    return this.#alive.flatMap(({ first, last, from, to, records }) => {
      let missing = 0;
      for (let n = first; n <= last; n++) if (!this.#portions.has(n) && !isSettled(n)) missing++;
      if (missing === 0) return [];
      const share = Math.ceil((records * missing) / (last - first + 1));
      return [{ from, to, records: share, reason: 'damaged' as const }];
    });
  }
}
