/**
 * From names to slots. A Map keyed by the joined name took five cache misses and a new string for each question; this
 * takes two, and none: an open table of hashes, in parts so that growing never stops decisions for long, and the names
 * themselves, compared piece by piece.
 */
import { isName, namePrefix } from './counter-name.ts';

const PART_BITS = 8;
const PARTS = 1 << PART_BITS;
const FIRST_ROOM = 16;
const EMPTY = 0;
const GONE = -1;

/** A part: pairs of hash and slot + 1. */
interface Part {
  pairs: Int32Array;
  /** Pairs that are not empty, the gone ones included. */
  taken: number;
}

export class NameIndex {
  size = 0;
  private readonly seed: number;
  private readonly parts: Part[] = Array.from({ length: PARTS }, () => ({
    pairs: new Int32Array(FIRST_ROOM * 2),
    taken: 0,
  }));
  private readonly names: (string | undefined)[] = [];

  /** The seed should be secret where names come from strangers: equal hashes make a search long. */
  constructor(seed: number) {
    this.seed = seed;
  }

  hash(prefix: string, account: string, subject: string): number {
    return mix(mix(mix(this.seed, prefix), account), subject);
  }

  /** -1: there is none. */
  find(hash: number, prefix: string, account: string, subject: string): number {
    const { pairs } = this.parts[hash >>> (32 - PART_BITS)] as Part;
    const mask = pairs.length - 1;
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const slot = pairs[at + 1] as number;
      if (slot === EMPTY) return -1;
      if (slot !== GONE && pairs[at] === hash && isName(this.names[slot - 1] as string, prefix, account, subject)) {
        return slot - 1;
      }
    }
  }

  /** The name must not be there yet. */
  add(hash: number, slot: number, prefix: string, account: string, subject: string): void {
    const part = this.parts[hash >>> (32 - PART_BITS)] as Part;
    if ((part.taken + 1) * 4 > part.pairs.length) rehash(part);
    place(part, hash, slot + 1);
    // Joined it is one flat string; added up it would keep its pieces and a node for each plus.
    this.names[slot] = [namePrefix(prefix, account), subject].join('');
    this.size++;
  }

  /** Name of the slot; undefined when it has none. */
  name(slot: number): string | undefined {
    return this.names[slot];
  }

  remove(hash: number, slot: number): void {
    const { pairs } = this.parts[hash >>> (32 - PART_BITS)] as Part;
    const mask = pairs.length - 1;
    let at = (hash << 1) & mask;
    while (pairs[at + 1] !== slot + 1) at = (at + 2) & mask;
    pairs[at + 1] = GONE;
    this.names[slot] = undefined;
    this.size--;
  }
}

function mix(seed: number, text: string): number {
  let h = seed ^ text.length;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x5bd1e995);
    h ^= h >>> 15;
  }
  h = Math.imul(h ^ (h >>> 13), 0x85ebca6b);
  return h ^ (h >>> 16);
}

function place(part: Part, hash: number, value: number): void {
  const mask = part.pairs.length - 1;
  let at = (hash << 1) & mask;
  while (part.pairs[at + 1] !== EMPTY) at = (at + 2) & mask;
  part.pairs[at] = hash;
  part.pairs[at + 1] = value;
  part.taken++;
}

/** Twice as large when it is really full, the same when it is full of what is gone. */
function rehash(part: Part): void {
  const old = part.pairs;
  let live = 0;
  for (let at = 1; at < old.length; at += 2) if ((old[at] as number) > 0) live++;
  part.pairs = new Int32Array(live * 8 > old.length ? old.length * 2 : old.length);
  part.taken = 0;
  for (let at = 0; at < old.length; at += 2) {
    const value = old[at + 1] as number;
    if (value > 0) place(part, old[at] as number, value);
  }
}
