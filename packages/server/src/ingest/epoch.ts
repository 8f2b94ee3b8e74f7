/** The number of an epoch: the first 52 bits of the SHA-256 of its text. */
import { createHash } from 'node:crypto';

const cache = new Map<string, number>();
const CACHE_MAX = 50_000;

export function epochNumber(text: string): number {
  let number = cache.get(text);
  if (number === undefined) {
    const digest = createHash('sha256').update(text, 'utf8').digest();
    number = digest.readUIntBE(0, 6) * 16 + ((digest[6] as number) >> 4);
    if (cache.size >= CACHE_MAX) cache.clear();
    cache.set(text, number);
  }
  return number;
}
