/**
 * An immutable file of sorted identities and what is kept of it in memory: a Bloom filter and the first hash of every
 * 256 rows. Layout, little-endian: rows (20 bytes each), sparse hashes, filter, a footer of 64 bytes with checksums.
 * 22.02 bytes an id on disk, 2.02 in memory.
 */
import { closeSync, fstatSync, fsyncSync, openSync, read, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { BLOCK_WORDS, blocksFor, bloomAdd } from './bloom.ts';
import { ROW } from './table.ts';

export const ROW_BYTES = ROW * 4;
/** Rows between two sparse hashes: one read of 5 KB finds an id. */
export const SPAN = 256;
const FOOTER_BYTES = 64;
const MAGIC = 0x54474944;
const VERSION = 1;
const CHUNK_ROWS = 32_768;

/** What the manifest keeps of a segment. */
export interface SegmentInfo {
  file: string;
  ids: number;
  blocks: number;
  /** Quarters of an hour of receipt and how many ids each brought, ascending. */
  quarters: [quarter: number, ids: number][];
}

export interface SegmentMemory {
  sparse: SharedArrayBuffer;
  bloom: SharedArrayBuffer;
}

/** Writes rows that come in ascending order. Everything is synced when `finish` returns. */
export class SegmentWriter {
  private readonly fd: number;
  private readonly file: string;
  private readonly blocks: number;
  private readonly bloom: Uint32Array;
  private readonly sparse: number[] = [];
  private readonly quarters = new Map<number, number>();
  private readonly chunk = new Uint32Array(CHUNK_ROWS * ROW);
  private used = 0;
  private ids = 0;
  private previous: [number, number, number, number] = [-1, -1, -1, -1];

  /** `most`: an upper bound of the rows to come; the filter is sized by it. */
  constructor(path: string, file: string, most: number) {
    this.fd = openSync(path, 'w+', 0o600);
    this.file = file;
    this.blocks = blocksFor(most);
    this.bloom = new Uint32Array(new SharedArrayBuffer(this.blocks * BLOCK_WORDS * 4));
  }

  /** Row at word `at` of `rows`. A row equal to the one before (seen again while repairing) is left out. */
  add(rows: Uint32Array, at: number): void {
    const hi = rows[at] as number;
    const lo = rows[at + 1] as number;
    const contentHi = rows[at + 2] as number;
    const contentLo = rows[at + 3] as number;
    const quarter = rows[at + 4] as number;
    const last = this.previous;
    if (last[0] === hi && last[1] === lo && last[2] === contentHi && last[3] === contentLo) return;
    last[0] = hi;
    last[1] = lo;
    last[2] = contentHi;
    last[3] = contentLo;
    if (this.ids % SPAN === 0) this.sparse.push(hi);
    bloomAdd(this.bloom, this.blocks, hi, lo);
    this.quarters.set(quarter, (this.quarters.get(quarter) ?? 0) + 1);
    const to = this.used * ROW;
    this.chunk[to] = hi;
    this.chunk[to + 1] = lo;
    this.chunk[to + 2] = contentHi;
    this.chunk[to + 3] = contentLo;
    this.chunk[to + 4] = quarter;
    this.ids++;
    if (++this.used === CHUNK_ROWS) this.spill();
  }

  private write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.fd, bytes, done, bytes.length - done);
  }
  private spill(): void {
    this.write(new Uint8Array(this.chunk.buffer, 0, this.used * ROW_BYTES));
    this.used = 0;
  }

  finish(): { info: SegmentInfo; memory: SegmentMemory } {
    this.spill();
    const sparse = new Uint32Array(new SharedArrayBuffer(this.sparse.length * 4));
    sparse.set(this.sparse);
    const sparseBytes = Buffer.from(sparse.buffer);
    const bloomBytes = Buffer.from(this.bloom.buffer);
    this.write(sparseBytes);
    this.write(bloomBytes);
    const footer = Buffer.alloc(FOOTER_BYTES);
    footer.writeUInt32LE(MAGIC, 0);
    footer.writeUInt32LE(VERSION, 4);
    footer.writeDoubleLE(this.ids, 8);
    footer.writeUInt32LE(this.blocks, 16);
    footer.writeUInt32LE(this.sparse.length, 20);
    footer.writeUInt32LE(crc32(bloomBytes, crc32(sparseBytes)), 24);
    footer.writeUInt32LE(crc32(footer.subarray(0, FOOTER_BYTES - 4)), FOOTER_BYTES - 4);
    this.write(footer);
    fsyncSync(this.fd);
    closeSync(this.fd);
    const quarters = [...this.quarters].sort(([a], [b]) => a - b);
    const info = { file: this.file, ids: this.ids, blocks: this.blocks, quarters };
    return { info, memory: { sparse: sparse.buffer, bloom: this.bloom.buffer as SharedArrayBuffer } };
  }

  abandon(): void {
    closeSync(this.fd);
  }
}

/** The file is not what its manifest says: cut short, or changed. */
export class TornSegment extends Error {}

/** Filter and sparse hashes of a segment, checked. Throws TornSegment. */
export function loadSegment(path: string, info: SegmentInfo): SegmentMemory {
  const fd = openSync(path, 'r');
  try {
    const sparseBytes = Math.ceil(info.ids / SPAN) * 4;
    const bloomBytes = info.blocks * BLOCK_WORDS * 4;
    const rowsEnd = info.ids * ROW_BYTES;
    if (fstatSync(fd).size !== rowsEnd + sparseBytes + bloomBytes + FOOTER_BYTES) throw new TornSegment(path);
    const footer = Buffer.alloc(FOOTER_BYTES);
    readFully(fd, footer, rowsEnd + sparseBytes + bloomBytes);
    const sparse = new SharedArrayBuffer(sparseBytes);
    const bloom = new SharedArrayBuffer(bloomBytes);
    readFully(fd, Buffer.from(sparse), rowsEnd);
    readFully(fd, Buffer.from(bloom), rowsEnd + sparseBytes);
    const sound =
      footer.readUInt32LE(0) === MAGIC &&
      footer.readUInt32LE(4) === VERSION &&
      footer.readUInt32LE(FOOTER_BYTES - 4) === crc32(footer.subarray(0, FOOTER_BYTES - 4)) &&
      footer.readDoubleLE(8) === info.ids &&
      footer.readUInt32LE(16) === info.blocks &&
      footer.readUInt32LE(24) === crc32(Buffer.from(bloom), crc32(Buffer.from(sparse)));
    if (!sound) throw new TornSegment(path);
    return { sparse, bloom };
  } finally {
    closeSync(fd);
  }
}

function readFully(fd: number, into: Buffer, position: number): void {
  for (let done = 0; done < into.length; ) {
    const got = readSync(fd, into, done, into.length - done, position + done);
    if (got === 0) throw new TornSegment('the file ends too early');
    done += got;
  }
}

/** What a segment knows of an identity. */
export const Verdict = { unknown: 0, same: 1, other: 2 } as const;

export class Segment {
  readonly info: SegmentInfo;
  readonly path: string;
  readonly bloom: Uint32Array;
  readonly sparse: Uint32Array;
  private readonly fd: number;
  /** Readers at work; the file is closed when it is retired and the last one is done. */
  private readers = 0;
  private retired = false;

  constructor(path: string, info: SegmentInfo, memory: SegmentMemory) {
    this.path = path;
    this.info = info;
    this.sparse = new Uint32Array(memory.sparse);
    this.bloom = new Uint32Array(memory.bloom);
    this.fd = openSync(path, 'r');
  }

  get memoryBytes(): number {
    return this.bloom.byteLength + this.sparse.byteLength;
  }

  /** First and last row (exclusive) among which the hash must lie. */
  private rowsOf(hi: number): [number, number] {
    const sparse = this.sparse;
    let low = 0;
    let high = sparse.length;
    // First span whose first hash is not below `hi`: the hash may begin in the span before it.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sparse[middle] as number) < hi) low = middle + 1;
      else high = middle;
    }
    let last = low;
    while (last < sparse.length && sparse[last] === hi) last++;
    return [Math.max(0, low - 1) * SPAN, Math.min(this.info.ids, last * SPAN)];
  }

  lookup(hi: number, lo: number, contentHi: number, contentLo: number): number {
    const [first, end] = this.rowsOf(hi);
    if (end <= first) return Verdict.unknown;
    const bytes = Buffer.allocUnsafe((end - first) * ROW_BYTES);
    readFully(this.fd, bytes, first * ROW_BYTES);
    return search(bytes, hi, lo, contentHi, contentLo);
  }

  async lookupLater(hi: number, lo: number, contentHi: number, contentLo: number): Promise<number> {
    const [first, end] = this.rowsOf(hi);
    if (end <= first) return Verdict.unknown;
    const bytes = Buffer.allocUnsafe((end - first) * ROW_BYTES);
    const got = await new Promise<number>((resolve, reject) => {
      read(this.fd, bytes, 0, bytes.length, first * ROW_BYTES, (error, n) => (error ? reject(error) : resolve(n)));
    });
    if (got !== bytes.length) throw new TornSegment(this.path);
    return search(bytes, hi, lo, contentHi, contentLo);
  }

  hold(): void {
    this.readers++;
  }
  release(): void {
    if (--this.readers === 0 && this.retired) closeSync(this.fd);
  }
  retire(): void {
    this.retired = true;
    if (this.readers === 0) closeSync(this.fd);
  }
}

function search(rows: Buffer, hi: number, lo: number, contentHi: number, contentLo: number): number {
  let low = 0;
  let high = rows.length / ROW_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = middle * ROW_BYTES;
    const there = rows.readUInt32LE(at);
    if (there < hi || (there === hi && rows.readUInt32LE(at + 4) < lo)) low = middle + 1;
    else high = middle;
  }
  let verdict: number = Verdict.unknown;
  for (let at = low * ROW_BYTES; at < rows.length; at += ROW_BYTES) {
    if (rows.readUInt32LE(at) !== hi || rows.readUInt32LE(at + 4) !== lo) break;
    if (rows.readUInt32LE(at + 8) === contentHi && rows.readUInt32LE(at + 12) === contentLo) return Verdict.same;
    verdict = Verdict.other;
  }
  return verdict;
}
