/**
 * Encodes rows as TSV into one growing buffer. TSV, because a payload without line breaks, tabs and backslashes (almost
 * all JSON) is copied into it as it is; JSONCompactEachRow would have to escape every quote of it.
 */

const TAB = 9;
const NEWLINE = 10;
const MINUS = 45;
const ZERO = 48;
const BACKSLASH = 92;

/** Four ASCII digits of 0 .. 9999, as one table: a number is written four digits at a time. */
const DIGITS = new Uint8Array(40_000);
for (let i = 0; i < 10_000; i++) {
  DIGITS[i * 4] = ZERO + Math.floor(i / 1000);
  DIGITS[i * 4 + 1] = ZERO + (Math.floor(i / 100) % 10);
  DIGITS[i * 4 + 2] = ZERO + (Math.floor(i / 10) % 10);
  DIGITS[i * 4 + 3] = ZERO + (i % 10);
}

/** The letter after the backslash for the bytes TSV must not carry as they are; 0: as it is. */
const ESCAPES = new Uint8Array(256);
for (const [byte, letter] of [
  [0, '0'],
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [12, 'f'],
  [13, 'r'],
  [BACKSLASH, '\\'],
] as const) {
  ESCAPES[byte] = letter.charCodeAt(0);
}

const SPECIAL = /[\0\b\t\n\f\r\\]/;
const SHORT_TEXT = 48;
const EIGHT_DIGITS = 100_000_000;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Buffers handed back by finished commits, so that steady ingest allocates nothing. */
const spare: Buffer[] = [];
const SPARE_MAX = 4;
const SPARE_BYTES_MAX = 64 * 1024 * 1024;
const FIRST_BYTES = 256 * 1024;

export class RowWriter {
  private bytes: Buffer = spare.pop() ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
  private at = 0;
  rows = 0;

  /** What was written, valid until `release`. */
  get encoded(): Buffer {
    return this.bytes.subarray(0, this.at);
  }

  get length(): number {
    return this.at;
  }

  /** Call when the engine has let go of the bytes. */
  release(): void {
    if (spare.length < SPARE_MAX && this.bytes.length <= SPARE_BYTES_MAX) spare.push(this.bytes);
    this.bytes = Buffer.alloc(0);
    this.at = 0;
  }

  /** Room for `bytes` more; every write below relies on it having been asked for. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + bytes, FIRST_BYTES));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  endRow(): void {
    // Every column wrote a tab behind it: the last one becomes the end of the line.
    this.bytes[this.at - 1] = NEWLINE;
    this.rows++;
  }

  /** A whole number, |n| < 2^53. Needs 18 bytes. */
  int(n: number): void {
    if (n < 0) {
      this.bytes[this.at++] = MINUS;
      n = -n;
    }
    this.digits(n);
    this.bytes[this.at++] = TAB;
  }

  /** Needs 80 bytes. */
  big(n: bigint): void {
    if (n >= 0n && n <= SAFE) this.int(Number(n));
    else this.ascii(n.toString());
  }

  /** ASCII without anything to escape. Needs its length + 1. */
  ascii(text: string): void {
    if (text !== '') this.at += this.bytes.write(text, this.at, 'latin1');
    this.bytes[this.at++] = TAB;
  }

  text(text: string): void {
    this.reserve(text.length * 6 + 1);
    if (text.length > SHORT_TEXT || !this.shortAscii(text)) this.longText(text);
    this.bytes[this.at++] = TAB;
  }

  /** Bytes of UTF-8 that hold nothing to escape, or (plain = false) may. */
  slice(from: Buffer, start: number, end: number, plain: boolean): void {
    if (plain) {
      this.reserve(end - start + 1);
      this.copy(from, start, end);
    } else {
      this.reserve((end - start) * 2 + 1);
      this.escape(from, start, end);
    }
    this.bytes[this.at++] = TAB;
  }

  private copy(from: Buffer, start: number, end: number): void {
    const { bytes } = this;
    let { at } = this;
    if (end - start > 40) {
      // The call costs as much as copying some 40 bytes in a loop.
      from.copy(bytes, at, start, end);
      at += end - start;
    } else {
      for (let i = start; i < end; i++) bytes[at++] = from[i] as number;
    }
    this.at = at;
  }

  private escape(from: Buffer, start: number, end: number): void {
    const { bytes } = this;
    let { at } = this;
    for (let i = start; i < end; i++) {
      const byte = from[i] as number;
      const letter = ESCAPES[byte] as number;
      if (letter === 0) bytes[at++] = byte;
      else {
        bytes[at++] = BACKSLASH;
        bytes[at++] = letter;
      }
    }
    this.at = at;
  }

  private shortAscii(text: string): boolean {
    const { bytes } = this;
    let { at } = this;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127 || ESCAPES[code] !== 0) return false;
      bytes[at++] = code;
    }
    this.at = at;
    return true;
  }

  private longText(text: string): void {
    if (!SPECIAL.test(text)) {
      this.at += this.bytes.write(text, this.at, 'utf8');
      return;
    }
    const raw = Buffer.from(text, 'utf8');
    this.escape(raw, 0, raw.length);
  }

  private digits(n: number): void {
    if (n < 10_000) {
      this.leading(n);
    } else if (n < EIGHT_DIGITS) {
      const high = (n / 10_000) | 0;
      this.leading(high);
      this.four(n - high * 10_000);
    } else {
      const high = Math.floor(n / EIGHT_DIGITS);
      const low = n - high * EIGHT_DIGITS;
      this.digits(high);
      const middle = (low / 10_000) | 0;
      this.four(middle);
      this.four(low - middle * 10_000);
    }
  }

  /** 0 .. 9999 without leading zeros. */
  private leading(n: number): void {
    const { bytes } = this;
    const from = n * 4;
    let { at } = this;
    if (n > 999) bytes[at++] = DIGITS[from] as number;
    if (n > 99) bytes[at++] = DIGITS[from + 1] as number;
    if (n > 9) bytes[at++] = DIGITS[from + 2] as number;
    bytes[at++] = DIGITS[from + 3] as number;
    this.at = at;
  }

  private four(n: number): void {
    const { bytes, at } = this;
    const from = n * 4;
    bytes[at] = DIGITS[from] as number;
    bytes[at + 1] = DIGITS[from + 1] as number;
    bytes[at + 2] = DIGITS[from + 2] as number;
    bytes[at + 3] = DIGITS[from + 3] as number;
    this.at = at + 4;
  }
}
