/**
 * Blocked Bloom filter: a block is one cache line (16 words), so a question costs one miss of the cache. The block is the
 * high half of the hash scaled to the number of blocks: building from sorted identities walks the memory once, in order.
 * 16 bits an id, 6 probes: about 1 in 1000 unknown ids is answered "perhaps" (bloom.test.ts measures it).
 */
export const BLOCK_WORDS = 16;
const BITS_PER_ID = 16;

export const blocksFor = (ids: number): number => Math.max(1, Math.ceil((ids * BITS_PER_ID) / (BLOCK_WORDS * 32)));

const block = (hi: number, blocks: number): number => Math.floor((hi / 0x1_0000_0000) * blocks) * BLOCK_WORDS;

export function bloomAdd(words: Uint32Array, blocks: number, hi: number, lo: number): void {
  const at = block(hi, blocks);
  const a = Math.imul(lo, 0x9e3779b1);
  const b = Math.imul(lo ^ hi, 0x85ebca6b);
  words[at + (a >>> 28)] = (words[at + (a >>> 28)] as number) | (1 << ((a >>> 23) & 31));
  words[at + ((a >>> 19) & 15)] = (words[at + ((a >>> 19) & 15)] as number) | (1 << ((a >>> 14) & 31));
  words[at + ((a >>> 10) & 15)] = (words[at + ((a >>> 10) & 15)] as number) | (1 << ((a >>> 5) & 31));
  words[at + (b >>> 28)] = (words[at + (b >>> 28)] as number) | (1 << ((b >>> 23) & 31));
  words[at + ((b >>> 19) & 15)] = (words[at + ((b >>> 19) & 15)] as number) | (1 << ((b >>> 14) & 31));
  words[at + ((b >>> 10) & 15)] = (words[at + ((b >>> 10) & 15)] as number) | (1 << ((b >>> 5) & 31));
}

/** False: certainly never added. */
export function bloomHas(words: Uint32Array, blocks: number, hi: number, lo: number): boolean {
  const at = block(hi, blocks);
  const a = Math.imul(lo, 0x9e3779b1);
  if (((words[at + (a >>> 28)] as number) & (1 << ((a >>> 23) & 31))) === 0) return false;
  if (((words[at + ((a >>> 19) & 15)] as number) & (1 << ((a >>> 14) & 31))) === 0) return false;
  if (((words[at + ((a >>> 10) & 15)] as number) & (1 << ((a >>> 5) & 31))) === 0) return false;
  const b = Math.imul(lo ^ hi, 0x85ebca6b);
  return (
    ((words[at + (b >>> 28)] as number) & (1 << ((b >>> 23) & 31))) !== 0 &&
    ((words[at + ((b >>> 19) & 15)] as number) & (1 << ((b >>> 14) & 31))) !== 0 &&
    ((words[at + ((b >>> 10) & 15)] as number) & (1 << ((b >>> 5) & 31))) !== 0
  );
}
