/**
 * What stands in the log: frames of [length u32][crc32 u32][payload], little endian, where the payload begins with a mark
 * and its kind, so that the next good frame can be found behind a damaged one.
 *
 *   snapshot   first of a segment: everything older segments still hold open; replaces what they said. In it may be frames
 *              that are composed and in no segment yet: both are there or neither
 *   sums       increments of one table since the flush before, with the keys that are new
 *   joined     a table has taken over another one
 *   portion    numbered records, ready to be sent
 *   settled    portions first .. last need not be sent any more
 *   lost       what could not be kept
 *   told       losses the server has
 *   stop       a clean end
 */
import { crc32 } from 'node:zlib';
import type { Writer } from './bytes.ts';

export const Kind = { snapshot: 1, sums: 2, portion: 3, settled: 4, lost: 5, stop: 6, joined: 7, told: 8 } as const;
const MARK = 0xa7;
const HEAD = 8;
/** Bytes of a frame before its content: head, mark and kind. */
export const FRAME_HEAD = HEAD + 2;
export const FRAME_MAX = 256 * 1024 * 1024;

/** Begins a frame, lets `fill` write its payload, and closes it. */
export function frame(writer: Writer, kind: number, fill: () => void): void {
  const at = writer.length;
  writer.u32(0);
  writer.u32(0);
  writer.byte(MARK);
  writer.byte(kind);
  fill();
  writer.setU32(at, writer.length - at - HEAD);
  writer.setU32(at + 4, crc32(writer.view(at + HEAD)));
}

/** A copy of whole frames with another mark in each. */
const marked = (frames: Uint8Array, mark: number): Buffer => {
  const copy = Buffer.from(frames);
  for (let at = 0; at + HEAD < copy.length; at += HEAD + copy.readUInt32LE(at)) copy[at + HEAD] = mark;
  return copy;
};

/** Frames that stand within another one. Without marks: a scan behind damage must not take them for frames of their own. */
export const hidden = (frames: Uint8Array): Buffer => marked(frames, 0);
export const shown = (frames: Uint8Array): Buffer => marked(frames, MARK);

export interface Found {
  kind: number;
  payload: Buffer;
  /** Of the payload in the file. */
  offset: number;
  /** Damaged bytes before it. */
  gap: number;
}

export interface Scan {
  frames: Found[];
  /** Length up to which the file is good: behind it there is only a torn tail. */
  end: number;
  /** Damaged stretches between good frames, in bytes. */
  damaged: number;
}

const frameAt = (file: Buffer, at: number): Found | null => {
  if (at + HEAD + 2 > file.length || file[at + HEAD] !== MARK) return null;
  const length = file.readUInt32LE(at);
  if (length < 2 || length > FRAME_MAX || at + HEAD + length > file.length) return null;
  const body = file.subarray(at + HEAD, at + HEAD + length);
  if (crc32(body) !== file.readUInt32LE(at + 4)) return null;
  return { kind: body[1] as number, payload: body.subarray(2), offset: at + HEAD + 2, gap: 0 };
};

export function scan(file: Buffer): Scan {
  const frames: Found[] = [];
  let end = 0;
  let damaged = 0;
  for (let at = 0; at < file.length; ) {
    const found = frameAt(file, at);
    if (found === null) {
      // The next mark that begins a good frame; without one it is the tail.
      const mark = file.indexOf(MARK, at + HEAD + 1);
      if (mark < 0) break;
      at = mark - HEAD;
      continue;
    }
    found.gap = at - end;
    damaged += found.gap;
    frames.push(found);
    end = found.offset + found.payload.length;
    at = end;
  }
  return { frames, end, damaged };
}
