/** Disks that fail, hang or return nonsense, and clocks that are set: what is lost then is said, and nothing else waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentName } from './log.ts';
import { Life } from './testing/life.ts';

const of = (subject: string, meter = 'm') => ({ meter, subject });
const slow = { bucketMs: 10_000, keysMax: 1000 };
const ofAll = (life: Life): bigint => [...life.totals().values()].reduce((x, y) => x + y, 0n);
const isTold = (life: Life, at: number): boolean =>
  life.spool.lostIntervals().some(({ from, to }) => from <= at && at < to);

const killed = async (life: Life, afterMs = 5000): Promise<void> => {
  life.disk.dead = true;
  life.disk.revive(() => Number.MAX_SAFE_INTEGER);
  life.clock.at += afterMs;
  await life.open();
};

test('levels whose write failed are all there after a crash that follows', async () => {
  const life = new Life({ portionRecords: 100 }, slow);
  await life.open();
  for (let i = 0; i < 250; i++) life.spool.sums.set(of(`k${i}`), i);
  life.disk.failingSyncs = 1;
  await life.tick(100);
  await life.tick(100);
  await killed(life, 0);
  await life.drain();
  assert.equal(life.server.size, 250);
});

test('after a clock was ahead nothing that is still measured is declared complete', async () => {
  const life = new Life({}, slow);
  await life.open();
  life.add(of('x'), 1);
  await life.tick(100);
  life.clock.set(86_400_000);
  await life.tick(100);
  life.clock.set(-86_400_000);
  life.add(of('x'), 1);
  await life.tick(100);
  await life.drain();
  life.add(of('y'), 5);
  await life.tick(10);
  const { at } = life.clock;
  assert.ok((life.spool.nothingToSay()?.completeThrough ?? 0) <= at);
  await life.tick(10_000);
  assert.ok((life.spool.nextBatch(10, 'fresh')?.completeThrough ?? 0) <= life.clock.at);
});

test('a portion of an earlier life that was made by a clock ahead declares nothing that is measured now', async () => {
  const life = new Life({}, slow);
  await life.open();
  life.clock.set(86_400_000);
  life.add(of('x'), 1);
  await life.tick(10_000);
  life.clock.set(-86_400_000);
  await killed(life);
  const { completeThrough = 0 } = life.spool.nextBatch(10, 'backlog') ?? {};
  assert.ok(completeThrough <= life.clock.at, `${completeThrough - life.clock.at} ms ahead`);
});

test('a bucket that has ended since the last flush is not declared over by a portion of a clock ahead', async () => {
  const life = new Life({}, slow);
  await life.open();
  life.clock.set(86_400_000);
  life.add(of('x'), 1);
  await life.tick(10_000);
  life.clock.set(-86_400_000);
  await life.tick(10);
  const { start, end } = life.spool.sums.open;
  life.add(of('y'), 5);
  life.clock.at = end;
  life.add(of('y'), 5);
  assert.equal(life.spool.nextBatch(10, 'fresh')?.completeThrough, start);
});

test('a batch that is repeated after the clock was set back declares nothing that is measured since', async () => {
  const life = new Life({}, slow);
  await life.open();
  life.add(of('x'), 1);
  await life.tick(10_000);
  const { completeThrough = 0 } = life.spool.nextBatch(10, 'fresh') ?? {};
  assert.equal(life.spool.mayDeclare(completeThrough), completeThrough);
  life.clock.set(-86_400_000);
  life.add(of('y'), 5);
  assert.equal(life.spool.mayDeclare(completeThrough), life.spool.sums.open.start);
});

test('what a crash cost after the clock was set back is told in the time the clock had then', async () => {
  const life = new Life({}, slow);
  await life.open();
  life.add(of('x'), 1);
  await life.tick(1300);
  life.clock.set(-3_600_000);
  for (let i = 0; i < 20; i++) await life.tick(200);
  const lostAt = life.clock.at;
  life.add(of('x'), 7);
  await killed(life);
  assert.ok(isTold(life, lostAt));
  assert.ok(life.spool.lostIntervals().every(({ from, to }) => to - from < 2000));
});

for (const ms of [-3_600_000, 3_600_000])
  test(`a crash right after the clock was set ${ms < 0 ? 'back' : 'ahead'} is told in the new time`, async () => {
    const life = new Life({}, slow);
    await life.open();
    await life.tick(100);
    life.clock.set(ms);
    await life.tick(100);
    const lostAt = life.clock.at;
    life.add(of('x'), 7);
    await killed(life);
    assert.ok(isTold(life, lostAt));
  });

test('damage behind which no frame is good is told up to the last sign of life', async () => {
  const life = new Life({}, slow);
  await life.open();
  await life.tick(100);
  const content = life.disk.files.get(segmentName(1));
  assert.ok(content);
  const before = content.bytes.length;
  const at = life.clock.at;
  life.add(of('x'), 1);
  await life.tick(100);
  // Speaks of a key that the first one defines.
  life.add(of('x'), 1);
  for (let i = 0; i < 30; i++) await life.tick(100);
  content.bytes[before + 12] = (content.bytes[before + 12] ?? 0) ^ 0xff;
  await killed(life);
  assert.ok(isTold(life, at), JSON.stringify(life.spool.lostIntervals()));
});

test('a frame that speaks of a damaged one is told like it, also when good ones lie between', async () => {
  const life = new Life({}, { bucketMs: 1000, keysMax: 1000 });
  await life.open();
  await life.tick(100);
  const content = life.disk.files.get(segmentName(1));
  assert.ok(content);
  const before = content.bytes.length;
  life.add(of('x'), 1);
  await life.tick(1);
  life.spool.acknowledge();
  life.add(of('x'), 1);
  await life.tick(50);
  const at = life.clock.at;
  life.add(of('x'), 1);
  await life.tick(50);
  content.bytes[before + 12] = (content.bytes[before + 12] ?? 0) ^ 0xff;
  await killed(life, 0);
  assert.ok(isTold(life, at));
});

test('a log that ends before what the heartbeat saw of it is told to be damaged', async () => {
  const life = new Life({}, slow);
  await life.open();
  await life.tick(100);
  const at = life.clock.at;
  life.add(of('x'), 1);
  await life.tick(50);
  for (let i = 0; i < 30; i++) await life.tick(100);
  const content = life.disk.files.get(segmentName(1));
  assert.ok(content);
  content.bytes = content.bytes.subarray(0, content.bytes.length - 1);
  await killed(life);
  assert.ok(isTold(life, at));
});

test('a portion whose frame is gone is told to be damaged, with about what it held', async () => {
  const life = new Life({ segmentBytes: 400 }, { bucketMs: 1000, keysMax: 1000 });
  await life.open();
  for (let i = 0; i < 40; i++) {
    life.add(of(`subject-${i}`), 1);
    await life.tick(1000);
  }
  const segments = [...life.disk.files.keys()].filter((name) => name.endsWith('.log'));
  assert.ok(segments.length > 1);
  life.disk.files.delete(segments[0] as string);
  await killed(life);
  const [interval] = life.spool.lostIntervals();
  assert.equal(interval?.reason, 'damaged');
  assert.ok(interval.records > 0);
  await life.drain();
  assert.equal(Number(ofAll(life)) + interval.records, 40);
});

test('a portion that can never be read is told to be damaged, and holds up what is behind it for a while only', async () => {
  const life = new Life({ cacheBytes: 0 }, { bucketMs: 1000, keysMax: 1000 });
  await life.open();
  for (const subject of ['x', 'y']) {
    life.add(of(subject), 1);
    await life.tick(1000);
    await life.tick(100);
  }
  const { readAt } = life.disk;
  const first = life.spool.nextBatch(1, 'fresh')?.portions[0];
  let isFirst = true;
  let reads = 0;
  life.disk.readAt = (...where) => {
    isFirst &&= first === life.spool.nextBatch(1, 'fresh')?.portions[0];
    reads++;
    return isFirst ? Promise.reject(new Error('EIO')) : readAt.apply(life.disk, where);
  };
  for (let i = 0; i < 20; i++) {
    await life.send('fresh', 1).catch(() => undefined);
    await life.tick(100);
  }
  assert.deepEqual([ofAll(life), reads], [1n, 9]);
  assert.deepEqual(
    life.spool.lostIntervals().map(({ from, records, reason }) => [from, records, reason]),
    [[first?.from, 1, 'damaged']],
  );
});

test('what is measured after the end is refused and counted: it would be neither kept nor told', async () => {
  const life = new Life({}, slow);
  const spool = await life.open();
  life.add(of('x'), 1);
  await spool.finish();
  await spool.close();
  spool.sums.add(of('x'), 5);
  spool.sums.set(of('x'), 5);
  assert.deepEqual([spool.sums.added, spool.sums.refused], [1, 2]);
});

test('a disk that is full at the start is waited for, in memory', async () => {
  const life = new Life({}, slow);
  await life.open();
  life.add(of('x'), 1);
  await life.tick(100);
  life.disk.room = life.disk.used;
  const crashedAt = life.clock.at;
  await killed(life);
  assert.match(String(life.spool.trouble), /ENOSPC/);
  life.add(of('x'), 2);
  await life.tick(1000);
  life.disk.room = Number.POSITIVE_INFINITY;
  await life.tick(10_000);
  assert.equal(life.spool.trouble, null);
  await life.drain();
  assert.deepEqual([ofAll(life), isTold(life, crashedAt)], [3n, true]);
});

test('a crash while the disk is full from the start on is told, together with the one before', async () => {
  const life = new Life({}, slow);
  await life.open();
  await life.tick(100);
  await life.spool.close();
  life.disk.room = life.disk.used;
  await life.open();
  const at = life.clock.at;
  life.add(of('x'), 2);
  for (let i = 0; i < 20; i++) await life.tick(100);
  life.disk.room = Number.POSITIVE_INFINITY;
  await killed(life);
  assert.ok(isTold(life, at));
});

test('a bound smaller than four segments makes the segments smaller, and is kept', async () => {
  const life = new Life({ maxBytes: 1024 * 1024 }, { bucketMs: 1000, keysMax: 100_000 });
  await life.open();
  let most = 0;
  for (let i = 0; i < 40; i++) {
    for (let k = 0; k < 1000; k++) life.spool.sums.add(of(`subject-number-${i}-${k}-${'x'.repeat(60)}`), 1);
    await life.tick(1000);
    most = Math.max(most, life.spool.bytes);
  }
  assert.ok(most < 2 * 1024 * 1024, `${most} bytes`);
});

test('while the disk hangs what waits is bounded, counted and told, and a portion that was composed is not declared', async () => {
  const life = new Life({ memoryRecords: 100 }, slow);
  const spool = await life.open();
  await life.tick(100);
  let release = (): void => undefined;
  life.disk.gate = new Promise((resolve) => {
    release = resolve;
  });
  life.add(of('first'), 1);
  const hanging = spool.flush();
  for (let bucket = 0; bucket < 50; bucket++) {
    for (let k = 0; k < 20; k++) life.add(of(`t${k}`), 1);
    life.clock.at += 10_000;
    assert.equal(spool.isHeldUp(), true);
  }
  assert.match(String(spool.trouble), /not answered/);
  assert.ok(spool.depth > 50 && spool.depth <= 100, `${spool.depth} wait`);
  release();
  await hanging;
  await life.tick(100);
  assert.equal(spool.isHeldUp(), false);
  await life.tick(20_000);
  await life.drain();
  const lost = spool.lostIntervals();
  assert.ok(lost.length > 0 && lost.every(({ reason }) => reason === 'full'));
  assert.deepEqual([...life.totals()].sort(), [...life.expected(lost)].sort());
});

test('a portion that is composed and not on disk is not passed over by a declaration', async () => {
  const life = new Life({}, { bucketMs: 1000, keysMax: 1000 });
  const spool = await life.open();
  life.add(of('x'), 1);
  await life.tick(100);
  life.disk.room = life.disk.used;
  await life.tick(1000);
  assert.deepEqual([spool.ready, spool.nothingToSay()], [0, null]);
});

test('a thousand crashes do not make one report over all that lies between', async () => {
  const life = new Life({}, { bucketMs: 1000, keysMax: 1000 });
  await life.open();
  for (let i = 0; i < 1010; i++) await killed(life, 3_600_000);
  const all = life.spool.lostIntervals();
  assert.ok(all.length > 800 && all.length <= 1000, `${all.length} intervals`);
  assert.ok(all.every(({ from, to }) => to - from < 10_000));
});

test('what the server was told is lost is forgotten by the log, and shown as long as the process lives', async () => {
  const life = new Life({}, slow);
  await life.open();
  await killed(life, 20_000);
  const told = life.spool.untold;
  assert.equal(told.length, 1);
  const [{ from = 0 } = {}] = told;
  assert.equal(life.spool.mayDeclare(from + 5), from);
  life.spool.told([...told]);
  assert.deepEqual([life.spool.untold.length, life.spool.lostIntervals().length], [0, 1]);
  assert.equal(life.spool.mayDeclare(from + 5), from + 5);
  await life.tick(100);
  await life.spool.close();
  await life.open();
  assert.deepEqual(life.spool.lostIntervals(), []);
});

test('what was forced out of memory is told once, and does not come again after a crash', async () => {
  const life = new Life({ memoryRecords: 3, portionRecords: 1 }, { bucketMs: 10_000, keysMax: 1000 });
  await life.open();
  for (let k = 0; k < 4; k++) life.add(of(`t${k}`), 1);
  await life.tick(100);
  life.disk.room = life.disk.used;
  // Composed, so that no portion is while it waits to be written.
  life.add(of('t0'), 1);
  await life.tick(100);
  await life.tick(10_000);
  life.disk.room = Number.POSITIVE_INFINITY;
  await life.tick(1);
  await killed(life, 0);
  await life.drain();
  const lost = life.spool.lostIntervals();
  assert.deepEqual([...life.totals()], [...life.expected(lost)]);
  assert.ok(lost.some(({ reason }) => reason === 'full'));
});
