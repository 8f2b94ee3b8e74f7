import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, begin, beginMix, close, closeMix, keyOf, mix, out } from './hash.ts';

const key = keyOf(Buffer.from('0123456789abcdef'));
const sip = (...parts: string[]): string => {
  const b = Buffer.from(parts.join(''));
  begin(key);
  let at = 0;
  for (const part of parts) {
    const end = at + Buffer.byteLength(part);
    add(b, at, end);
    at = end;
  }
  close();
  return `${out.hi}:${out.lo}`;
};
const mixed = (...parts: string[]): string => {
  const b = Buffer.from(parts.join(''));
  const view = new DataView(b.buffer, b.byteOffset, b.length);
  beginMix(key);
  let at = 0;
  for (const part of parts) {
    const end = at + Buffer.byteLength(part);
    mix(view, at, end);
    at = end;
  }
  closeMix();
  return `${out.hi}:${out.lo}`;
};

for (const [name, hash] of [
  ['identity', sip],
  ['content', mixed],
] as const) {
  test(`the ${name} hash tells parts by their borders and lengths`, () => {
    const all = [
      hash('ab', 'c'),
      hash('a', 'bc'),
      hash('', 'abc'),
      hash('abc', ''),
      hash('abc'),
      hash('abc\0', ''),
      hash('', ''),
      hash('', '', ''),
      hash('\0', ''),
      hash('\0\0\0\0', ''),
    ];
    assert.equal(new Set(all).size, all.length);
  });

  test(`the ${name} hash of many near texts has no two alike, in 64 bits and evenly in each half`, () => {
    const seen = new Set<string>();
    const high = new Set<number>();
    const low = new Set<number>();
    const buckets = new Uint32Array(64);
    const n = 200_000;
    for (let i = 0; i < n; i++) {
      seen.add(hash('urn:source:1', `event-${i}`));
      high.add(out.hi);
      low.add(out.lo);
      buckets[out.hi >>> 26] = (buckets[out.hi >>> 26] as number) + 1;
    }
    assert.equal(seen.size, n);
    // Of n draws of 2^32, about n^2 / 2^33 = 5 meet.
    for (const half of [high, low]) assert.ok(n - half.size < 30, `${n - half.size} of one half meet`);
    for (const bucket of buckets) assert.ok(Math.abs(bucket - n / 64) < 350, `${bucket} in a bucket of ${n / 64}`);
  });

  test(`every bit of a text changes about half of the ${name} hash`, () => {
    const text = Buffer.alloc(37, 0x61);
    const of = (b: Buffer): [number, number] => {
      hash(b.toString('latin1'));
      return [out.hi, out.lo];
    };
    const [hi, lo] = of(text);
    const bits = (x: number): number => (x >>> 0).toString(2).replaceAll('0', '').length;
    let changed = 0;
    for (let bit = 0; bit < 37 * 7; bit++) {
      const other = Buffer.from(text);
      other[(bit / 7) | 0] = (other[(bit / 7) | 0] as number) ^ (1 << (bit % 7));
      const [h, l] = of(other);
      const both = bits(h ^ hi) + bits(l ^ lo);
      assert.ok(both >= 12, `bit ${bit} changes ${both} bits`);
      changed += both;
    }
    assert.ok(Math.abs(changed / (37 * 7) - 32) < 2, `${changed / (37 * 7)} bits on average`);
  });
}
