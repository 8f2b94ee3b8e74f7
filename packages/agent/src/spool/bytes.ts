/** Bytes of a frame: varints, whole numbers of any size, texts. */
import type { Whole } from '../measure/table.ts';

export class Writer {
  #buffer: Buffer;
  length = 0;

  constructor(size = 4096) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  byte(value: number): void {
    this.room(1);
    this.#buffer[this.length++] = value;
  }

  u32(value: number): void {
    this.room(4);
    this.#buffer.writeUInt32LE(value, this.length);
    this.length += 4;
  }

  /** 0 .. 2^53 - 1, seven bits a byte. */
  varint(value: number): void {
    this.room(8);
    let rest = value;
    while (rest > 0x7fff_ffff) {
      this.#buffer[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#buffer[this.length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#buffer[this.length++] = rest;
  }

  text(text: string): void {
    if (text.length < 40) {
      // At most 120 bytes: its length fits one byte, so it is written in one pass.
      this.room(1 + text.length * 3);
      const bytes = this.#buffer.write(text, this.length + 1, 'utf8');
      this.#buffer[this.length] = bytes;
      this.length += 1 + bytes;
      return;
    }
    const bytes = Buffer.byteLength(text);
    this.varint(bytes);
    this.room(bytes);
    this.length += this.#buffer.write(text, this.length, 'utf8');
  }

  /** Numbers up to 2^52 as twice their value, everything else as digits behind an odd mark. */
  whole(value: Whole): void {
    if (typeof value === 'number' && value <= 2 ** 52 - 1) this.varint(value * 2);
    else {
      this.varint(1);
      this.text(String(value));
    }
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.#buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  setU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  /** A view, valid until something is written. */
  view(from = 0): Buffer {
    return this.#buffer.subarray(from, this.length);
  }

  /** What was written, as the caller's own; the writer begins anew. */
  take(): Buffer {
    const bytes = Buffer.from(this.view());
    this.length = 0;
    return bytes;
  }

  private room(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.length + bytes));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }
}

/** Throws a RangeError past the end: the frame is then not what it says it is. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new RangeError('frame ends early');
    return value;
  }

  varint(): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * unit;
      if (byte < 128) return value;
      unit *= 128;
      if (unit > 2 ** 53) throw new RangeError('number too large');
    }
  }

  text(): string {
    const bytes = this.varint();
    if (this.#at + bytes > this.#bytes.length) throw new RangeError('frame ends early');
    this.#at += bytes;
    return this.#bytes.toString('utf8', this.#at - bytes, this.#at);
  }

  /** What was not read yet. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  whole(): Whole {
    const value = this.varint();
    if (value % 2 === 0) return value / 2;
    const big = BigInt(this.text());
    return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
  }
}
