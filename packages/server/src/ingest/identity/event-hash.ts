/** The two hashes of an event, from its byte ranges. */
import { viewOf } from '../scan.ts';
import { add, begin, beginMix, close, closeMix, type HashKey, mix, out } from './hash.ts';
import { fixLow } from './table.ts';

/** Keys of one tenant: an id of one account means nothing in another. */
export interface TenantKeys {
  id: HashKey;
  content: HashKey;
}

export interface IdentityBytes {
  bytes: Buffer;
  ranges: Int32Array;
}

/** Hashes of the event at position `p`: identity from (source, id), content from (type, subject, data); into `to[p*4 ..]`. */
export function hashEvent(
  keys: TenantKeys,
  { bytes, ranges }: IdentityBytes,
  base: number,
  to: Uint32Array,
  at: number,
): void {
  begin(keys.id);
  add(bytes, ranges[base] as number, ranges[base + 1] as number);
  add(bytes, ranges[base + 2] as number, ranges[base + 3] as number);
  close();
  to[at] = out.hi;
  to[at + 1] = fixLow(out.hi, out.lo);
  const four = viewOf(bytes);
  beginMix(keys.content);
  mix(four, ranges[base + 4] as number, ranges[base + 5] as number);
  mix(four, ranges[base + 6] as number, ranges[base + 7] as number);
  mix(four, ranges[base + 8] as number, ranges[base + 9] as number);
  closeMix();
  to[at + 2] = out.hi;
  to[at + 3] = out.lo;
}
