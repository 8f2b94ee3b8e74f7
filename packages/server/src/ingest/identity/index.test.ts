import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BLOCK_WORDS, blocksFor, bloomAdd, bloomHas } from './bloom.ts';
import { IdentityIndex, type IdentitySettings, Known } from './identity-index.ts';
import { loadSegment, Segment, SegmentWriter, Verdict } from './segment.ts';
import { IdentityTable, ROW, sortedRows } from './table.ts';

const NOW = 1_795_253_400_000;
const log = { info: () => {}, warn: () => {}, error: (fields: object) => assert.fail(JSON.stringify(fields)) };

/** Repeatable numbers, evenly over 32 bits. */
const random = (seed: number): (() => number) => {
  let x = seed;
  return () => {
    x = (x + 0x9e3779b9) | 0;
    let z = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
};

const inFolder = async (work: (dir: string) => Promise<void> | void): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-identity-'));
  try {
    await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

test('the filter never forgets, and says perhaps to about one unknown id in a thousand', () => {
  const n = 200_000;
  const blocks = blocksFor(n);
  const words = new Uint32Array(blocks * BLOCK_WORDS);
  const next = random(1);
  const ids = Array.from({ length: n }, () => [next(), next()] as const);
  for (const [hi, lo] of ids) bloomAdd(words, blocks, hi, lo);
  for (const [hi, lo] of ids) assert.ok(bloomHas(words, blocks, hi, lo));
  let perhaps = 0;
  for (let i = 0; i < n; i++) if (bloomHas(words, blocks, next(), next())) perhaps++;
  assert.ok(perhaps / n < 0.002, `${((perhaps / n) * 100).toFixed(3)}% false`);
});

test('a table gives its rows sorted, without the dead, whatever runs its slots form', () => {
  const next = random(2);
  for (let round = 0; round < 50; round++) {
    const table = new IdentityTable(6);
    const expected: [number, number][] = [];
    for (let i = 0; i < 60; i++) {
      // A quarter of the hashes share their high half, so that runs grow across each other.
      const hi = i % 4 === 0 ? 0xfc00_0000 : next();
      const lo = next();
      const slot = table.insert(hi, lo, i, i, 1, 9);
      if (i % 7 === 0) table.kill(slot);
      else expected.push([hi, lo]);
      assert.equal(table.find(hi, lo) >= 0, i % 7 !== 0);
    }
    expected.sort(([a, b], [c, d]) => a - c || b - d);
    const rows = sortedRows(table);
    const got = Array.from({ length: rows.length / ROW }, (_, i) => [rows[i * ROW], rows[i * ROW + 1]]);
    assert.deepEqual(got, expected);
  }
});

test('a segment finds every row, also those that share a hash across its read borders', () =>
  inFolder(async (dir) => {
    const next = random(3);
    const rows: number[][] = [];
    for (let i = 0; i < 3000; i++) rows.push([next(), next(), next(), next(), 7]);
    // 700 rows with one high half: they fill more than two spans.
    for (let i = 0; i < 700; i++) rows.push([0x8000_0000, i, 1, i, 7]);
    // Two contents under one identity.
    rows.push([5, 5, 1, 1, 7], [5, 5, 2, 2, 7]);
    rows.sort((a, b) => (a[0] as number) - (b[0] as number) || (a[1] as number) - (b[1] as number));
    const writer = new SegmentWriter(join(dir, 'a.ids'), 'a.ids', rows.length);
    const flat = Uint32Array.from(rows.flat());
    for (let at = 0; at < flat.length; at += ROW) writer.add(flat, at);
    const { info, memory } = writer.finish();
    assert.deepEqual([info.ids, info.quarters], [rows.length, [[7, rows.length]]]);
    const loaded = loadSegment(join(dir, 'a.ids'), info);
    assert.deepEqual(new Uint32Array(loaded.bloom), new Uint32Array(memory.bloom));
    const segment = new Segment(join(dir, 'a.ids'), info, loaded);
    for (const [hi = 0, lo = 0, contentHi = 0, contentLo = 0] of rows) {
      assert.equal(segment.lookup(hi, lo, contentHi, contentLo), Verdict.same);
      assert.equal(await segment.lookupLater(hi, lo, contentHi, contentLo), Verdict.same);
      assert.equal(segment.lookup(hi, lo, contentHi ^ 1, contentLo), hi === 5 ? Verdict.other : Verdict.other);
    }
    for (let i = 0; i < 2000; i++) assert.equal(segment.lookup(next(), next(), 0, 0), Verdict.unknown);
    segment.retire();
  }));

const settingsOf = (dir: string, more: Partial<IdentitySettings> = {}): IdentitySettings => ({
  dir,
  secret: Buffer.from('0123456789abcdef'),
  windowMs: 35 * 86_400_000,
  maxIds: 1_000_000,
  tableBits: 10,
  background: 'in-place',
  ...more,
});
const nothing = { identities: async function* () {} };

test('the index agrees with a map over many groups, failed ones among them, flushes and merges', () =>
  inFolder(async (dir) => {
    const index = await IdentityIndex.open(settingsOf(dir), nothing, NOW, log);
    const truth = new Map<number, number>();
    const next = random(4);
    const identity = new Uint32Array(4 * 60);
    const known = (hi: number): [number, number, number, number] => [hi, hi ^ 0x5555_5555, hi, 1];
    for (let group = 1; group <= 300; group++) {
      index.beginGroup(group, group * 100);
      const claims: number[] = [];
      const table = index.current;
      const ids = Array.from({ length: 60 }, () => next());
      for (const hi of ids) claims.push(index.claim(...fix(known(hi >>> 0)), group));
      if (group % 5 === 0) index.unclaim(table, claims);
      else for (const hi of ids) truth.set(hi, group);
      index.settled(group, NOW + group * 1000);
      if (group % 20 !== 0) continue;
      await index.quiet();
      // 30 known ones and 30 unknown ones, asked together.
      const asked = [...truth.keys()].slice(-30).concat(Array.from({ length: 30 }, () => next()));
      asked.forEach((hi, p) => void identity.set(known(hi), p * 4));
      const answers = await index.askSegments(identity, new Uint8Array(60).fill(1), 60);
      asked.forEach((hi, p) => {
        const inTables = index.askTables(...fix(known(hi)));
        const found = inTables === Known.same || answers.verdicts?.[p] === Verdict.same;
        assert.equal(found, truth.has(hi), `id ${hi} after group ${group}`);
      });
    }
    const shape = index.shape();
    assert.ok(shape.segments > 0 && shape.segments < 12, JSON.stringify(shape));
    assert.ok(Math.abs(index.window(NOW).ids - truth.size) < 2 ** 10);
    await index.close();
  }));

const fix = (q: [number, number, number, number]): [number, number, number, number] =>
  q.map((x) => x >>> 0) as [number, number, number, number];

test('the worker does what is done in place, and another key throws the index away', () =>
  inFolder(async (dir) => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({
      idHi: (i * 858_993) >>> 0,
      idLo: i + 1,
      contentHi: i,
      contentLo: i,
      t: NOW,
      receipt: i + 1,
      receivedAt: NOW - i * 60_000,
    }));
    let reads = 0;
    const store = {
      identities: async function* (after: number) {
        reads++;
        yield rows.filter((r) => r.receipt > after);
      },
    };
    const check = async (index: IdentityIndex, there: boolean): Promise<void> => {
      await index.quiet();
      for (const { idHi, idLo, contentHi, contentLo } of rows.slice(0, 200)) {
        const answers = await index.askSegments(Uint32Array.of(idHi, idLo, contentHi, contentLo), Uint8Array.of(1), 1);
        const found =
          answers.verdicts?.[0] === Verdict.same || index.askTables(idHi, idLo, contentHi, contentLo) === Known.same;
        assert.equal(found, there);
      }
      await index.close();
    };
    await check(await IdentityIndex.open(settingsOf(dir, { background: 'worker' }), store, NOW, log), true);
    // Written out while repairing: the next start reads only what is newer.
    await check(await IdentityIndex.open(settingsOf(dir), { identities: async function* () {} }, NOW, log), true);
    const other = { ...settingsOf(dir), secret: Buffer.from('another secret') };
    await check(await IdentityIndex.open(other, { identities: async function* () {} }, NOW, log), false);
    assert.equal(reads, 1);
  }));

test('ids leave the index when their receipt is older than the window', () =>
  inFolder(async (dir) => {
    const day = 86_400_000;
    const index = await IdentityIndex.open(settingsOf(dir, { windowMs: 10 * day }), nothing, NOW, log);
    let group = 0;
    const fill = async (now: number, from: number): Promise<void> => {
      for (let k = 0; k < 10; k++) {
        index.settled(group, now);
        index.beginGroup(++group, group * 100);
        for (let i = 0; i < 100; i++) index.claim(((from + k * 100 + i) * 2_654_435) >>> 0, i, 1, 1, group);
      }
      index.settled(group, now);
      await index.quiet();
    };
    await fill(NOW, 0);
    for (let d = 1; d <= 20; d++) await fill(NOW + d * day, d * 1000);
    const window = index.window(NOW + 20 * day);
    assert.equal(window.reason, 'declared');
    // Ten days of 1,000 ids stay; half as many again may wait for a merge that is worth it.
    assert.ok(window.ids <= 16_500, `${window.ids} ids are kept`);
    await index.close();
  }));

test('identities that lie close together are read back whole, however many there are', () =>
  inFolder(async (dir) => {
    // As the event table gives them: a quarter of an hour at a time, by hash. All these would go to a table's last slots.
    const rows = Array.from({ length: 20_000 }, (_, i) => ({
      idHi: 0xffff_0000 + (i % 60_000),
      idLo: (i * 7919) >>> 0,
      contentHi: i,
      contentLo: i,
      t: NOW,
      receipt: i + 1,
      receivedAt: NOW,
    }));
    const store = {
      identities: async function* () {
        for (let at = 0; at < rows.length; at += 3000) yield rows.slice(at, at + 3000);
      },
    };
    for (const background of ['in-place', 'worker'] as const) {
      const index = await IdentityIndex.open(
        settingsOf(join(dir, background), { tableBits: 13, background }),
        store,
        NOW,
        log,
      );
      for (const { idHi, idLo, contentHi, contentLo } of rows.filter((_, i) => i % 97 === 0)) {
        const answers = await index.askSegments(Uint32Array.of(idHi, idLo, contentHi, contentLo), Uint8Array.of(1), 1);
        assert.equal(answers.verdicts?.[0], Verdict.same);
      }
      assert.equal(index.window(NOW).ids, rows.length);
      await index.close();
    }
  }));
