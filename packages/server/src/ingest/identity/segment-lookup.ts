/** Which of many identities the segments know: every segment's filter, then one read for each that says "perhaps". */
import { bloomHas } from './bloom.ts';
import { type Segment, Verdict } from './segment.ts';

/** Reads made while the request waits; more go through the thread pool, so that a storm of repeats pauses nobody. */
const READS_AT_ONCE = 32;
const READERS = 16;

/** `count` identities of four words each; asked for where `take` is 1. */
export interface Question {
  identity: Uint32Array;
  take: Uint8Array;
  count: number;
}
export interface SegmentAnswers {
  /** Of the index when it was asked: segments may have changed since. */
  generation: number;
  /** A Verdict for each position; null when no filter said "perhaps". */
  verdicts: Uint8Array | null;
}

export function askSegments(
  segments: readonly Segment[],
  generation: number,
  question: Question,
): SegmentAnswers | Promise<SegmentAnswers> {
  const { identity } = question;
  const asked = perhaps(segments, question);
  if (asked === null) return { generation, verdicts: null };
  const verdicts = new Uint8Array(question.count);
  if (asked.length > READS_AT_ONCE * 2)
    return readLater(segments, asked, identity, verdicts).then(() => ({ generation, verdicts }));
  for (let k = 0; k < asked.length; k += 2) {
    const p = asked[k + 1] as number;
    const segment = segments[asked[k] as number] as Segment;
    note(verdicts, p, segment.lookup(...quad(identity, p)));
  }
  return { generation, verdicts };
}

/** Index of segment and position, one behind the other, for every filter that does not say no; null when all do. */
function perhaps(segments: readonly Segment[], { identity, take, count }: Question): number[] | null {
  let asked: number[] | null = null;
  for (let s = segments.length - 1; s >= 0; s--) {
    const { bloom, info } = segments[s] as Segment;
    for (let p = 0; p < count; p++) {
      if (take[p] === 0) continue;
      if (!bloomHas(bloom, info.blocks, identity[p * 4] as number, identity[p * 4 + 1] as number)) continue;
      asked ??= [];
      asked.push(s, p);
    }
  }
  return asked;
}

async function readLater(
  segments: readonly Segment[],
  asked: readonly number[],
  identity: Uint32Array,
  verdicts: Uint8Array,
): Promise<void> {
  for (const segment of segments) segment.hold();
  try {
    let next = 0;
    const reader = async (): Promise<void> => {
      while (next < asked.length) {
        const segment = segments[asked[next] as number] as Segment;
        const p = asked[next + 1] as number;
        next += 2;
        note(verdicts, p, await segment.lookupLater(...quad(identity, p)));
      }
    };
    await Promise.all(Array.from({ length: READERS }, reader));
  } finally {
    for (const segment of segments) segment.release();
  }
}

const quad = (identity: Uint32Array, p: number): [number, number, number, number] => {
  const at = p * 4;
  return [identity[at] as number, identity[at + 1] as number, identity[at + 2] as number, identity[at + 3] as number];
};
const note = (verdicts: Uint8Array, p: number, verdict: number): void => {
  if (verdicts[p] !== Verdict.same && verdict !== Verdict.unknown) verdicts[p] = verdict;
};
