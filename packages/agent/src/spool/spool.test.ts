import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realRandomness } from '../real.ts';
import { folderDisk } from './folder.ts';
import { Spool } from './spool.ts';
import { HandClock, Life, START } from './testing/life.ts';

const a = { meter: 'm', subject: 'a' };
const sum = (life: Life): bigint => [...life.totals().values()].reduce((x, y) => x + y, 0n);

test('at the end of a bucket its sums are one record a key, with the instant of the last flush in the bucket', async () => {
  const life = new Life();
  await life.open();
  for (let i = 0; i < 5; i++) life.add(a, 10);
  await life.tick(300);
  const flushedAt = life.clock.at - 1;
  assert.equal(life.spool.nextBatch(1, 'fresh'), null);
  await life.tick(1000);
  const portion = life.spool.nextBatch(1, 'fresh')?.portions[0];
  assert.ok(portion);
  assert.deepEqual(await life.spool.records(portion), [
    { key: { meter: 'm', subject: 'a', dimensions: [] }, at: flushedAt, count: 5, value: 50 },
  ]);
  assert.equal(portion.completeThrough, portion.to);
});

test('a level is a record of its own, with its time, the last one of each flush, and goes before its bucket is over', async () => {
  const life = new Life();
  const spool = await life.open();
  spool.sums.set(a, 7);
  life.clock.at += 10;
  spool.sums.set(a, 9);
  await life.tick(50);
  spool.sums.set(a, 8);
  await life.tick(50);
  const [first, second] = spool.nextBatch(100, 'fresh')?.portions ?? [];
  assert.ok(first && second);
  const records = [...(await spool.records(first)), ...(await spool.records(second))];
  assert.deepEqual(
    records.map(({ at, value, count }) => [at - START, value, count]),
    [
      [10, 9, 0],
      [61, 8, 0],
    ],
  );
});

test('a source is complete through a bucket with its last portion, or when there is nothing to say', async () => {
  const life = new Life({ portionRecords: 2 });
  const spool = await life.open();
  for (let i = 0; i < 5; i++) life.add({ meter: 'm', subject: `s${i}` }, 1);
  const { start, end } = spool.sums.open;
  await life.tick(1000);
  for (let i = 0; i < 4; i++) await life.tick(1);
  const portions = spool.nextBatch(100, 'fresh')?.portions ?? [];
  assert.deepEqual(
    portions.map(({ first, records, completeThrough }) => [first, records, completeThrough]),
    [
      [1, 2, start],
      [3, 2, start],
      [5, 1, end],
    ],
  );
  assert.equal(spool.nothingToSay(), null);
  spool.acknowledge(...portions);
  await life.tick(5000);
  assert.deepEqual(spool.nothingToSay(), {
    run: 'life1',
    first: 6,
    portions: [],
    completeThrough: spool.sums.open.start,
  });
});

test('a clean stop loses nothing: open sums and portions are there again, under the numbers they had', async () => {
  const life = new Life();
  let spool = await life.open();
  life.add(a, 1);
  await life.tick(1100);
  const before = spool.nextBatch(100, 'fresh');
  life.add(a, 2);
  await spool.close();
  spool = await life.open();
  assert.deepEqual(spool.lostIntervals(), []);
  const again = spool.nextBatch(100, 'backlog');
  assert.deepEqual([again?.run, again?.first], [before?.run, before?.first]);
  await life.drain();
  assert.equal(sum(life), 3n);
});

test('a declaration waits for portions of the other line that were made before', async () => {
  const life = new Life();
  await life.open();
  life.add(a, 1);
  await life.tick(1100);
  await life.spool.close();
  const spool = await life.open();
  life.add(a, 2);
  await life.tick(1100);
  assert.equal(spool.nextBatch(100, 'fresh')?.completeThrough, 0);
  await life.send('backlog');
  assert.ok((spool.nextBatch(100, 'fresh')?.completeThrough ?? 0) > 0);
});

test('segments go when their portions are acknowledged and their sums are in portions', async () => {
  const life = new Life({ segmentBytes: 2000 });
  await life.open();
  let most = 0;
  for (let i = 0; i < 300; i++) {
    for (let key = 0; key < 5; key++) life.add({ meter: 'm', subject: `s${key}` }, i);
    await life.tick(100);
    await life.send('fresh');
    most = Math.max(most, life.disk.files.size);
  }
  assert.ok(life.disk.written > 20_000, `${life.disk.written} bytes were written`);
  assert.ok(most <= 5, `${most} files`);
  await life.tick(1100);
  await life.drain();
  assert.equal(sum(life), (299n * 300n * 5n) / 2n);
});

test('a full disk: measuring goes on, and all is there when it has room again', async () => {
  const life = new Life();
  await life.open();
  life.add(a, 1);
  await life.tick(100);
  life.disk.room = life.disk.used + 30;
  for (let i = 0; i < 50; i++) {
    life.add(a, 1);
    await life.tick(100);
  }
  assert.match(String(life.spool.trouble), /ENOSPC/);
  life.disk.room = Number.POSITIVE_INFINITY;
  await life.tick(1100);
  assert.equal(life.spool.trouble, null);
  await life.tick(1100);
  await life.drain();
  assert.deepEqual([sum(life), life.spool.lostIntervals()], [51n, []]);
});

test('what a full disk forces out is the oldest, counted and remembered; the rest is delivered', async () => {
  const life = new Life({ memoryRecords: 10 });
  await life.open();
  life.disk.room = life.disk.used;
  for (let i = 0; i < 30; i++) {
    for (let key = 0; key < 2; key++) life.add({ meter: 'm', subject: `s${key}` }, 1);
    await life.tick(1000);
  }
  life.disk.room = Number.POSITIVE_INFINITY;
  await life.tick(2000);
  await life.drain();
  const lost = life.spool.lostIntervals();
  assert.ok(lost.length > 0);
  assert.ok(lost.every(({ reason }) => reason === 'full'));
  assert.equal(
    sum(life),
    [...life.expected(lost).values()].reduce((x, y) => x + y, 0n),
  );
  assert.equal(Number(sum(life)) + lost.reduce((n, { records }) => n + records, 0), 60);
  await life.spool.close();
  await life.open();
  assert.deepEqual(life.spool.lostIntervals(), lost);
});

test('a spool at its bound gives up its oldest segment, and says which time it was about', async () => {
  const life = new Life({ segmentBytes: 1000, maxBytes: 10_000 });
  await life.open();
  for (let i = 0; i < 200; i++) {
    for (let key = 0; key < 10; key++) life.add({ meter: 'm', subject: `subject-${key}` }, 1);
    await life.tick(500);
  }
  assert.ok(life.spool.bytes < 14_000, `${life.spool.bytes} bytes`);
  await life.tick(2000);
  const lost = life.spool.lostIntervals();
  assert.ok(lost.length > 0 && lost.every(({ reason }) => reason === 'full'));
  await life.drain();
  assert.deepEqual([...life.totals()].sort(), [...life.expected(lost)].sort());
});

test('a damaged frame in the middle is skipped and reported, the frames behind it are read', async () => {
  const life = new Life();
  await life.open();
  for (let i = 0; i < 5; i++) {
    life.add(a, 2 ** i);
    await life.tick(20);
  }
  await life.spool.close();
  const [name, content] = [...life.disk.files].find(([file]) => file.endsWith('.log')) ?? [];
  assert.ok(name && content);
  // Somewhere in the third flush.
  const at = Math.floor(content.bytes.length * 0.6);
  content.bytes[at] = (content.bytes[at] ?? 0) ^ 0xff;
  const spool = await life.open();
  assert.ok(spool.damaged > 0);
  assert.equal(spool.lostIntervals()[0]?.reason, 'damaged');
  await life.drain();
  assert.ok([15n, 23n, 27n, 29n].includes(sum(life)), `${sum(life)} of 31`);
});

test('a slow disk holds nobody up, and what was measured meanwhile is one flush', async () => {
  const life = new Life();
  const spool = await life.open();
  let release = (): void => undefined;
  life.disk.gate = new Promise((resolve) => {
    release = resolve;
  });
  life.add(a, 1);
  const flushing = spool.flush();
  for (let i = 0; i < 1000; i++) life.add(a, 1);
  assert.equal(spool.busy, true);
  const next = [spool.flush(), spool.flush()];
  release();
  await Promise.all([flushing, ...next]);
  await life.tick(1100);
  await life.drain();
  assert.equal(sum(life), 1001n);
});

test('a real folder is private, belongs to one process, and a lock of a dead one is taken over', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-spool-'));
  try {
    await chmod(folder, 0o755);
    const open = () => Spool.open({ clock: new HandClock(), random: realRandomness, disk: folderDisk(folder) });
    const spool = await open();
    spool.sums.add(a, 1);
    await spool.flush();
    await assert.rejects(open(), /in use/);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    for (const name of await readdir(folder)) assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name);
    await spool.close();
    // A process of another's: pid 1 lives, but began at another time.
    await writeFile(join(folder, 'lock'), '1 12345678901\n');
    const again = await open();
    assert.deepEqual(again.lostIntervals(), []);
    await again.note('refused.ndjson', '{}');
    await again.close();
    await writeFile(join(folder, 'lock'), `${process.ppid}\n`);
    await assert.rejects(open(), /in use by process/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
