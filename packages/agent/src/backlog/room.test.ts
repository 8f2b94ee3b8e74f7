/** A backlog at its bound: what goes, what stays, and a crash in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lives, START } from './testing/lives.ts';
import { QUARTER } from './thin.ts';

const opened = async (settings: ConstructorParameters<typeof Lives>[0] = {}): Promise<Lives> => {
  const lives = new Lives(settings);
  await lives.open();
  return lives;
};

test('at its bound the oldest are thinned to the last reading of every 15 minutes; totals stay exact', async () => {
  const maxBytes = 64 * 1024;
  const lives = await opened({ maxBytes });
  lives.mood = () => 'away';
  const passes = 3000;
  for (let pass = 1; pass <= passes; pass++) {
    lives.offer(8);
    if (pass % 50 === 0) await lives.backlog.flush();
    // It was offered, and is never thinned.
    if (pass === 100) await lives.send(1);
    if (pass % 1001 === 0) await lives.kill(0);
  }
  await lives.backlog.flush();
  assert.ok(lives.disk.used <= maxBytes + 10_000, `${lives.disk.used} bytes`);
  assert.ok(lives.backlog.state.thinned > 1000, 'since the last start');
  assert.equal(lives.publisher.lost, 0);
  lives.mood = () => 'answer';
  assert.equal(await lives.send(), true);
  assert.deepEqual([lives.server.twice, lives.server.faults], [0, []]);
  assert.equal(lives.server.completeThrough, lives.at);
  assert.equal(lives.server.totals().get('r7 m e'), 8n * BigInt(10_000 * (passes - 1)));
  const of = lives.server.taken.filter(({ series }) => series === 'r7 m').map(({ at }) => at);
  const windows = new Map(of.map((at) => [Math.floor(at / QUARTER), at]));
  const [first, last] = [Math.floor((START + 10_000) / QUARTER), Math.floor(lives.at / QUARTER)];
  for (let window = first; window < last; window++)
    assert.ok((windows.get(window) ?? 0) > (window + 1) * QUARTER - 10_001, `window ${window} lost its last reading`);
});

test('when thinning is not enough first and last values stay, and then the oldest go and are reported', async () => {
  const lives = await opened({ maxBytes: 8 * 1024 });
  lives.mood = () => 'away';
  for (let pass = 1; pass <= 1000; pass++) {
    lives.offer(1, QUARTER);
    if (pass % 20 === 0) await lives.backlog.flush();
  }
  assert.equal(lives.publisher.lost, 0, 'one counter needs two readings');
  // A new counter each time: nothing stands between first and last.
  for (let pass = 1; pass <= 1000; pass++) {
    const head = { resource: `short-${pass}`, meter: 'm', epoch: 'e' };
    const [at, value] = [lives.at + 10_000, BigInt(pass)];
    lives.offer(0, 10_000, { samples: [{ head, at, value, start: 0 }] });
    if (pass % 20 === 0) await lives.backlog.flush();
  }
  const { lost } = lives.publisher;
  assert.ok(lost > 100, `${lost}`);
  const intervals = lives.backlog.lostIntervals();
  assert.equal(
    intervals.reduce((sum, { records }) => sum + records, 0),
    lost,
  );
  await lives.backlog.close();
  await lives.open({ maxBytes: 1024 ** 2 });
  assert.deepEqual(lives.backlog.lostIntervals(), intervals);
  lives.mood = () => 'answer';
  await lives.send();
  assert.deepEqual([lives.server.twice, lives.server.faults], [0, []]);
});

test('killed at any byte of a thinning, the next life finds what there was before or after it', async () => {
  const step = process.env.CI === 'true' ? 11 : 61;
  for (let bytes = 0; ; bytes += step) {
    const lives = await opened({ maxBytes: 4000, segmentBytes: 400 });
    while (lives.disk.used < 3900) {
      lives.offer(3, QUARTER / 5);
      await lives.backlog.flush();
    }
    // The second of these segments is thinned with the next pass.
    lives.disk.diesAfter = bytes;
    for (let i = 0; i < 3; i++) {
      lives.offer(3, QUARTER / 5);
      await lives.backlog.flush();
    }
    const hasDied = lives.disk.dead;
    await lives.kill(1);
    assert.equal(await lives.send(), true);
    assert.deepEqual([lives.server.twice, lives.server.faults], [0, []], `killed after ${bytes} bytes`);
    const last = [...lives.kept].at(-1);
    assert.ok(
      lives.server.taken.some(({ series, at }) => `${series} ${at}` === last),
      `killed after ${bytes} bytes`,
    );
    assert.ok(lives.server.taken.some(({ series, at }) => `${series} ${at}` === `r0 m ${START + QUARTER / 5}`));
    const windows = new Set([...lives.kept].map((name) => Math.floor(Number(name.split(' ')[2]) / QUARTER)));
    const there = new Set(lives.server.taken.map(({ at }) => Math.floor(at / QUARTER)));
    assert.deepEqual([...there], [...windows], `killed after ${bytes} bytes`);
    if (!hasDied) break;
  }
});

test('a thinned segment stands for those it was made of, also when they could not be removed', async () => {
  const lives = await opened({ maxBytes: 4000, segmentBytes: 400 });
  const removed: typeof lives.disk.files = new Map();
  const remove = lives.disk.remove.bind(lives.disk);
  lives.disk.remove = async (name) => {
    const content = lives.disk.files.get(name);
    if (content !== undefined) removed.set(name, content);
    await remove(name);
  };
  while (lives.backlog.state.thinned === 0) {
    lives.offer(3);
    await lives.backlog.flush();
  }
  assert.ok(removed.size > 0);
  for (const [name, content] of removed) lives.disk.files.set(name, content);
  await lives.kill();
  await lives.send();
  assert.deepEqual([lives.server.twice, lives.server.faults], [0, []]);
  assert.ok(lives.server.taken.length < lives.kept.size);
});

test('what an earlier life may have sent is not thinned: it would come under two numbers', async () => {
  const lives = await opened({ maxBytes: 4000, segmentBytes: 400 });
  while (lives.disk.used < 1500) {
    lives.offer(3);
    await lives.backlog.flush();
  }
  await lives.send(3);
  assert.ok(lives.server.taken.length > 0);
  // Before the log has heard of the last answer.
  await lives.kill();
  while (lives.backlog.state.thinned === 0) {
    lives.offer(3);
    await lives.backlog.flush();
  }
  await lives.send();
  assert.deepEqual([lives.server.twice, lives.server.faults], [0, []]);
});
