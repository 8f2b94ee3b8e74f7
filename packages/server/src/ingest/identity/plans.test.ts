/** What the index decides without a file: what is forgotten, what is merged, what a repair writes out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IdentityRow } from '../../store/usage-store.ts';
import { nextMerge } from './merge-plan.ts';
import { repair } from './repair.ts';
import { cutoffFor, QUARTER_MS } from './retention.ts';
import type { Segment, SegmentInfo } from './segment.ts';
import { IdentityTable } from './table.ts';

const info = (quarters: [number, number][]): SegmentInfo => ({
  file: '',
  ids: quarters.reduce((sum, [, ids]) => sum + ids, 0),
  blocks: 0,
  quarters,
});

const keeps = (name: string, quarters: [number, number][][], maxIds: number, expected: number): void => {
  test(`of ${name}, ${expected === 0 ? 'nothing is forgotten' : `what came before quarter ${expected} is forgotten`}`, () => {
    assert.equal(cutoffFor(quarters.map(info), 3, 9, maxIds), expected);
  });
};
const two: [number, number][][] = [
  [
    [2, 50],
    [3, 10],
    [4, 10],
  ],
  [
    [4, 10],
    [5, 10],
  ],
];
keeps('as many ids as fit', two, 40, 0);
keeps('one id too many', two, 39, 4);
keeps('a quarter of an hour in two segments', two, 29, 5);
keeps('a quarter of an hour in progress that does not fit', [[[9, 100]]], 10, 0);
keeps('quarters before one in progress that does not fit', [[[8, 1]], [[9, 100]]], 10, 9);

/** Segments of so many tables' worth of ids, the oldest first; `stale`: how much of each is too old. */
const merges = (name: string, sizes: number[], expected: number[] | null, stale: number[] = []): void => {
  test(`${name}: ${expected === null ? 'no merge' : `segments ${expected} are merged`}`, () => {
    const segments = sizes.map((size, i): Pick<Segment, 'info'> => {
      const old = stale[i] ?? 0;
      return {
        info: info([
          [1, old],
          [5, size * 8 - old],
        ]),
      };
    }) as Segment[];
    const chosen = nextMerge(segments, 5, 4);
    assert.deepEqual(chosen?.map((s) => segments.indexOf(s)) ?? null, expected);
  });
};
merges('three of one size', [1, 1, 1], null);
merges('four of one size', [1, 1, 1, 1], [0, 1, 2, 3]);
merges('five of one size', [1, 1, 1, 1, 1], [0, 1, 2, 3]);
merges('four of one size behind a larger one', [4, 1, 1, 1, 1], [1, 2, 3, 4]);
merges('four with a larger one among them', [1, 1, 4, 1, 1], null);
merges('four larger ones', [4, 4, 4, 4, 1], [0, 1, 2, 3]);
merges('one of which more than half is too old', [4, 1], [1], [16, 5]);
merges('one of which half is too old', [4, 1], null, [16, 4]);

const row = (receipt: number, quarter: number): IdentityRow =>
  ({
    idHi: receipt,
    idLo: 1,
    contentHi: 1,
    contentLo: 1,
    receipt,
    t: 0,
    receivedAt: quarter * QUARTER_MS,
  }) as IdentityRow;

/** Repairs an index that knows receipts up to 10 and keeps quarters from 3 on, in segments of eight. */
const repaired = async (pages: IdentityRow[][]) => {
  const spilled: [rows: number, frontier: number][] = [];
  const table = new IdentityTable(4);
  async function* identities(after: number, since: number): AsyncIterable<IdentityRow[]> {
    assert.deepEqual([after, since], [10, 3 * QUARTER_MS]);
    yield* pages;
  }
  const spill = async (rows: { count: number }, frontier: number) => void spilled.push([rows.count, frontier]);
  const gap = { after: 10, oldest: 3, now: 4 * QUARTER_MS, most: 8, table, spill, progress: () => undefined };
  const found = await repair({ identities }, gap);
  return { found, spilled, table: table.size };
};
const rows = (count: number, first = 11): IdentityRow[] => Array.from({ length: count }, (_, i) => row(first + i, 4));

test('a repair of few ids fills the table, and leaves out what is too old', async () => {
  assert.deepEqual(await repaired([rows(3), [row(14, 2)], rows(1, 15)]), { found: 4, spilled: [], table: 4 });
});
test('a repair of more than half a table writes them out, and is then complete', async () => {
  assert.deepEqual(await repaired([rows(5)]), { found: 5, spilled: [[5, 15]], table: 0 });
});
test('a repair is complete only with its last segment: until then it would begin again', async () => {
  const { found, spilled } = await repaired([rows(10, 17), rows(6)]);
  assert.deepEqual(
    [found, spilled],
    [
      16,
      [
        [8, 10],
        [8, 10],
        [0, 26],
      ],
    ],
  );
});
