/** Reads what an earlier life left: which segments hold parts that still have to be sent, and what is known to be lost. */
import type { SpoolDisk } from '../spool/disk.ts';
import { type Found, Kind as SpoolKind, scan } from '../spool/frames.ts';
import { segmentName, segmentNumber } from '../spool/log.ts';
import { type LostInterval, readLost } from '../spool/snapshot.ts';
import { Kind, type PartHead, readHead } from './codec.ts';
import { grow, readHeader, readSettled, type Segment, segmentOf } from './segment.ts';

export interface Recovered {
  /** Those with something to send, in the order of sending. */
  segments: Segment[];
  /** All files, by number. */
  files: { number: number; bytes: number }[];
  lost: LostInterval[];
  /** Bytes between good frames that could not be read, and behind the last good one of a file. */
  damaged: number;
  torn: number;
}

/** Nothing is written: this works on a full disk. */
export async function recover(disk: SpoolDisk): Promise<Recovered> {
  const replay = new Replay();
  const numbers = (await disk.list()).map(segmentNumber).filter((n) => n > 0);
  for (const number of numbers.sort((a, b) => a - b)) replay.file(number, await disk.read(segmentName(number)));
  return replay.result();
}

export const inOrder = (a: Segment, b: Segment): number => a.place - b.place || a.number - b.number;

class Replay {
  readonly #files: { number: number; bytes: number }[] = [];
  readonly #segments = new Map<number, Segment>();
  readonly #parts = new Map<number, PartHead[]>();
  readonly #settled = new Map<number, number>();
  readonly #damage: LostInterval[] = [];
  #lost: LostInterval[] = [];
  #damaged = 0;
  #torn = 0;

  file(number: number, file: Buffer): void {
    const { frames, end, damaged } = scan(file);
    this.#files.push({ number, bytes: file.length });
    this.#damaged += damaged;
    this.#torn += file.length - end;
    const [first, ...rest] = frames;
    if (first === undefined) return;
    if (first.kind !== Kind.header || first.gap > 0) this.#headless(frames);
    else this.#segment(number, file.length, first, rest);
  }

  #segment(number: number, bytes: number, first: Found, rest: readonly Found[]): void {
    const { replaces, ...head } = readHeader(first.payload);
    // Written whole or not at all: without its last frame, what it stands for is still there.
    if (replaces.length > 0 && rest.at(-1)?.kind !== Kind.sealed) return;
    for (const gone of replaces) this.#segments.delete(gone);
    // A header is followed by all that is known to be lost.
    this.#lost = [];
    const segment = segmentOf(number, head);
    segment.bytes = bytes;
    this.#segments.set(number, segment);
    this.#parts.set(number, []);
    for (const found of rest) this.#frame(segment, found);
  }

  #frame(segment: Segment, { kind, payload, gap }: Found): void {
    if (kind === Kind.part) this.#part(segment, payload, gap);
    else if (kind === SpoolKind.lost) this.#lost.push(readLost(payload).interval);
    else if (kind === Kind.settled) {
      const { segment: of, through } = readSettled(payload);
      this.#settled.set(of, Math.max(through, this.#settled.get(of) ?? 0));
    }
  }

  #part(segment: Segment, payload: Buffer, gap: number): void {
    const head = readHead(payload);
    const parts = this.#parts.get(segment.number) ?? [];
    const last = parts.at(-1);
    const expected = last === undefined ? 1 : last.first + last.items;
    if (gap > 0 && head.first > expected) {
      const from = segment.to || head.from;
      const to = Math.max(from, head.from) + 1;
      this.#damage.push({ from, to, records: head.first - expected, reason: 'damaged' });
    }
    grow(segment, head);
    parts.push(head);
  }

  /** Without its beginning nobody knows how its parts were numbered, nor which names they use. */
  #headless(frames: readonly Found[]): void {
    for (const { kind, payload } of frames) {
      if (kind !== Kind.part) continue;
      const { from, to, items } = readHead(payload);
      if (items > 0) this.#damage.push({ from, to: to + 1, records: items, reason: 'damaged' });
    }
  }

  result(): Recovered {
    for (const [number, through] of this.#settled) {
      const segment = this.#segments.get(number);
      if (segment === undefined) continue;
      segment.settled = through;
      segment.offered = true;
      for (const part of this.#parts.get(number) ?? []) if (part.number <= through) segment.items -= part.items;
    }
    return {
      segments: [...this.#segments.values()].filter((s) => s.parts > s.settled).sort(inOrder),
      files: this.#files,
      lost: [...this.#lost, ...this.#damage.filter((found) => !this.#isKnown(found))],
      damaged: this.#damaged,
      torn: this.#torn,
    };
  }

  /** The same damage is found again at every start. */
  #isKnown({ from, to }: LostInterval): boolean {
    return this.#lost.some((known) => known.reason === 'damaged' && known.from <= from && to <= known.to);
  }
}
