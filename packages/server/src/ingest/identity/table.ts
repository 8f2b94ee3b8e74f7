/**
 * Exact identities received lately: an open-addressing table in shared memory, so that the worker can write a full one
 * out while the loop still looks things up in it. A slot is chosen by the top bits of the hash and never wraps around (there
 * is slack behind the last one): reading the slots in order gives the identities almost sorted.
 *
 * An entry is claimed before its event is durable. It carries the number of the group it was claimed in, and whoever
 * looks it up compares that with the last committed group; a claim whose group failed is marked dead and stays so.
 */

import type { IdentityRow } from '../../store/usage-store.ts';

/** Words of a slot: idHi, idLo, contentHi, contentLo, group. An empty slot has idHi = idLo = 0. */
export const SLOT = 5;
export const DEAD = 0xffff_ffff;
const SLACK = 4096;

export interface TableMemory {
  bits: number;
  words: SharedArrayBuffer;
  /** Quarter of an hour of receipt, by slot. */
  quarters: SharedArrayBuffer;
}

/** (0, 0) marks an empty slot, so whoever makes hashes turns that one of 2^64 into its neighbour. */
export const fixLow = (hi: number, lo: number): number => (hi === 0 && lo === 0 ? 1 : lo);

export class IdentityTable {
  readonly memory: TableMemory;
  readonly words: Uint32Array;
  readonly quarters: Uint32Array;
  readonly capacity: number;
  /** Claimed entries, dead ones included. */
  size = 0;
  private readonly shift: number;

  constructor(bits: number, memory?: TableMemory) {
    const slots = 2 ** bits + SLACK;
    this.memory = memory ?? {
      bits,
      words: new SharedArrayBuffer(slots * SLOT * 4),
      quarters: new SharedArrayBuffer(slots * 4),
    };
    this.words = new Uint32Array(this.memory.words);
    this.quarters = new Uint32Array(this.memory.quarters);
    this.capacity = slots;
    this.shift = 32 - bits;
  }

  /** Bytes of memory the table takes. */
  get bytes(): number {
    return this.words.byteLength + this.quarters.byteLength;
  }

  /** Slot of the first living entry with this identity at or after `from` (-1: begin anew); -1 when there is none. */
  find(hi: number, lo: number, from = -1): number {
    const words = this.words;
    for (let slot = from < 0 ? hi >>> this.shift : from + 1; ; slot++) {
      const at = slot * SLOT;
      const first = words[at] as number;
      const second = words[at + 1] as number;
      if (first === 0 && second === 0) return -1;
      if (first === hi && second === lo && words[at + 4] !== DEAD) return slot;
    }
  }

  /** Returns the slot. The caller rotates tables long before one is full; a run into the slack's end is an error. */
  insert(hi: number, lo: number, contentHi: number, contentLo: number, group: number, quarter: number): number {
    const words = this.words;
    let slot = hi >>> this.shift;
    while (words[slot * SLOT] !== 0 || words[slot * SLOT + 1] !== 0) slot++;
    if (slot >= this.capacity - 1) throw new RangeError('identity table is full');
    const at = slot * SLOT;
    words[at] = hi;
    words[at + 1] = lo;
    words[at + 2] = contentHi;
    words[at + 3] = contentLo;
    words[at + 4] = group;
    this.quarters[slot] = quarter;
    this.size++;
    return slot;
  }

  kill(slot: number): void {
    this.words[slot * SLOT + 4] = DEAD;
  }
}

/** Living entries of a table, sorted, as rows of ROW words: idHi, idLo, contentHi, contentLo, quarter. */
export const ROW = 5;
export function sortedRows(table: IdentityTable): Uint32Array {
  const { words, quarters, capacity } = table;
  const rows = new Uint32Array(table.size * ROW);
  let n = 0;
  for (let slot = 0; slot < capacity; slot++) {
    const from = slot * SLOT;
    const hi = words[from] as number;
    const lo = words[from + 1] as number;
    if ((hi === 0 && lo === 0) || words[from + 4] === DEAD) continue;
    // Insertion: entries leave their place only within a run of taken slots, so this moves a handful of rows.
    let at = n * ROW;
    while (at > 0) {
      const before = rows[at - ROW] as number;
      if (before < hi || (before === hi && (rows[at - ROW + 1] as number) <= lo)) break;
      rows.copyWithin(at, at - ROW, at);
      at -= ROW;
    }
    rows[at] = hi;
    rows[at + 1] = lo;
    rows[at + 2] = words[from + 2] as number;
    rows[at + 3] = words[from + 3] as number;
    rows[at + 4] = quarters[slot] as number;
    n++;
  }
  return rows.subarray(0, n * ROW);
}

/** Rows in the order they came. */
export class RowBuffer {
  readonly memory: SharedArrayBuffer;
  count = 0;
  private readonly words: Uint32Array;

  constructor(most: number) {
    this.memory = new SharedArrayBuffer(most * ROW * 4);
    this.words = new Uint32Array(this.memory);
  }

  /** Returns how many there are now. */
  add(row: Pick<IdentityRow, 'idHi' | 'idLo' | 'contentHi' | 'contentLo'>, quarter: number): number {
    this.words.set([row.idHi, row.idLo, row.contentHi, row.contentLo, quarter], this.count * ROW);
    return ++this.count;
  }

  moveTo(table: IdentityTable): void {
    for (let at = 0; at < this.count * ROW; at += ROW) {
      const [hi = 0, lo = 0, contentHi = 0, contentLo = 0, quarter = 0] = this.words.subarray(at, at + ROW);
      table.insert(hi, lo, contentHi, contentLo, 0, quarter);
    }
  }
}

const INDEX = 2 ** 21;

/**
 * The same rows by first, then second hash. The first hash and a row's place fit in one float, and typed arrays of numbers
 * sort natively: half a million rows in 60 ms. Fewer than 2^21 rows.
 */
export function sorted(rows: Uint32Array): Uint32Array {
  const count = rows.length / ROW;
  const keys = new Float64Array(count);
  for (let n = 0; n < count; n++) keys[n] = (rows[n * ROW] as number) * INDEX + n;
  keys.sort();
  const out = new Uint32Array(rows.length);
  for (let n = 0; n < count; n++) {
    const from = ((keys[n] as number) % INDEX) * ROW;
    const lo = rows[from + 1] as number;
    let at = n * ROW;
    while (at > 0 && out[at - ROW] === rows[from] && (out[at - ROW + 1] as number) > lo) {
      out.copyWithin(at, at - ROW, at);
      at -= ROW;
    }
    for (let w = 0; w < ROW; w++) out[at + w] = rows[from + w] as number;
  }
  return out;
}
