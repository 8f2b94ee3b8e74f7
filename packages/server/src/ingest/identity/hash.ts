/**
 * Two keyed 64-bit hashes of an event, in 32-bit arithmetic, which V8 keeps in registers.
 *
 * Identity: HalfSipHash-1-3. Its key is secret, so nobody can prepare ids that meet in one slot of a table or in one
 * place of another account. Content: a murmur-like mix of two lanes, four times as fast. Whoever makes two contents meet
 * (under one id, in the own account) hides a conflict from nobody but himself, and the first event still counts.
 *
 * 128 bits must meet before a new event is taken for a known one. Measured on events of 312 bytes: 0.25 us for both
 * hashes; HalfSipHash for both took 0.52.
 */

/** Result of the last hash: reading two fields is cheaper than returning an object a million times a second. */
export const out = { hi: 0, lo: 0 };

export interface HashKey {
  readonly k0: number;
  readonly k1: number;
}

let v0 = 0;
let v1 = 0;
let v2 = 0;
let v3 = 0;

export function begin(key: HashKey): void {
  v0 = key.k0;
  v1 = key.k1 ^ 0xee;
  v2 = key.k0 ^ 0x6c796765;
  v3 = key.k1 ^ 0x74656462;
}

/** Adds the range as 32-bit words, the last one padded with zeroes; `close` tells padding from content by its length. */
export function add(b: Buffer, start: number, end: number): void {
  let a0 = v0;
  let a1 = v1;
  let a2 = v2;
  let a3 = v3;
  let i = start;
  const whole = end - 3;
  for (;;) {
    let word = 0;
    if (i < whole) {
      word =
        (b[i] as number) | ((b[i + 1] as number) << 8) | ((b[i + 2] as number) << 16) | ((b[i + 3] as number) << 24);
    } else if (i < end) {
      word = b[i] as number;
      if (i + 1 < end) word |= (b[i + 1] as number) << 8;
      if (i + 2 < end) word |= (b[i + 2] as number) << 16;
    } else break;
    i += 4;
    a3 ^= word;
    a0 = (a0 + a1) | 0;
    a1 = ((a1 << 5) | (a1 >>> 27)) ^ a0;
    a0 = (a0 << 16) | (a0 >>> 16);
    a2 = (a2 + a3) | 0;
    a3 = ((a3 << 8) | (a3 >>> 24)) ^ a2;
    a0 = (a0 + a3) | 0;
    a3 = ((a3 << 7) | (a3 >>> 25)) ^ a0;
    a2 = (a2 + a1) | 0;
    a1 = ((a1 << 13) | (a1 >>> 19)) ^ a2;
    a2 = (a2 << 16) | (a2 >>> 16);
    a0 ^= word;
  }
  v0 = a0;
  v1 = a1;
  v2 = a2;
  v3 = a3;
  word32(end - start);
}

function round(): void {
  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);
}

function word32(word: number): void {
  v3 ^= word;
  round();
  v0 ^= word;
}

/** Leaves the 64 bits in `out`, as unsigned numbers. */
export function close(): void {
  v2 ^= 0xee;
  round();
  round();
  round();
  out.lo = (v1 ^ v3) >>> 0;
  v1 ^= 0xdd;
  round();
  round();
  round();
  out.hi = (v1 ^ v3) >>> 0;
}

let h1 = 0;
let h2 = 0;

/** Begins a content hash. */
export function beginMix(key: HashKey): void {
  h1 = key.k0;
  h2 = key.k1;
}

/** Adds the range and its length, as `add` does. */
export function mix(four: DataView, start: number, end: number): void {
  let a = h1;
  let b = h2;
  let i = start;
  for (; i <= end - 4; i += 4) {
    let k = Math.imul(four.getInt32(i, true), 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    a ^= Math.imul(k, 0x1b873593);
    b ^= Math.imul(k, 0x2545f491);
    a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0;
    b = (Math.imul((b << 17) | (b >>> 15), 5) + 0x38495ab5) | 0;
  }
  let rest = 0;
  for (let shift = 0; i < end; i++, shift += 8) rest |= four.getUint8(i) << shift;
  a = Math.imul(a ^ Math.imul(rest, 0x9e3779b1), 0x85ebca6b);
  b = Math.imul(b ^ Math.imul(rest, 0x27d4eb2f), 0xc2b2ae35);
  h1 = (a ^ (a >>> 15)) + (end - start);
  h2 = (b ^ (b >>> 13)) - (end - start);
}

const finish = (h: number): number => {
  let x = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
};

/** Leaves the 64 bits in `out`. */
export function closeMix(): void {
  const a = finish((h1 + h2) | 0);
  const b = finish((h2 + Math.imul(a, 3)) | 0);
  out.hi = (a + b) >>> 0;
  out.lo = b >>> 0;
}

/** A key of its own for each use and tenant, so that no hash of one means anything for another. */
export function deriveKey(key: HashKey, label: string): HashKey {
  const bytes = Buffer.from(label, 'utf8');
  begin(key);
  add(bytes, 0, bytes.length);
  close();
  return { k0: out.lo | 0, k1: out.hi | 0 };
}

/** The installation's secret as a key: the first eight bytes of it, which must be random. */
export function keyOf(secret: Uint8Array): HashKey {
  if (secret.length < 8) throw new RangeError('the identity secret must have at least 8 bytes');
  const b = Buffer.from(secret);
  return { k0: b.readInt32LE(0), k1: b.readInt32LE(4) };
}
