/**
 * Exact identities received lately: an open-addressing table in shared memory, so that the worker can write a full one
 * out while the loop still looks things up in it. A slot is chosen by the top bits of the hash and never wraps around (there
 * is slack behind the last one): reading the slots in order gives the identities almost sorted.
 *
 * An entry is claimed before its event is durable. It carries the number of the group it was claimed in, and whoever
 * looks it up compares that with the last committed group; a claim whose group failed is marked dead and stays so.
 */

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
