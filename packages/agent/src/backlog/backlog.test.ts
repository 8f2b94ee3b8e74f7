/** Readings that outlive the process: on a disk in memory that can die, be full, refuse to sync and lose bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentNumber } from '../spool/log.ts';
import { Lives, START } from './testing/lives.ts';

const opened = async (settings: ConstructorParameters<typeof Lives>[0] = {}): Promise<Lives> => {
  const lives = new Lives(settings);
  await lives.open();
  return lives;
};
const segments = (lives: Lives): string[] => [...lives.disk.files.keys()].filter((name) => segmentNumber(name) > 0);

test('what was offered is kept once it is on disk, and is sent by the next life under the numbers it had', async () => {
  const lives = await opened();
  lives.mood = () => 'take and say nothing';
  lives.offer(3);
  assert.equal(lives.kept.size, 0);
  await lives.backlog.flush();
  assert.equal(lives.kept.size, 3);
  assert.equal(await lives.send(2), false);
  await lives.kill(0);
  lives.mood = () => 'answer';
  assert.equal(lives.backlog.waiting, 3);
  assert.equal(await lives.send(), true);
  lives.offer(3);
  assert.equal(await lives.send(), true);
  assert.deepEqual(
    [...lives.server.items.keys()],
    ['life1.1-1-1', 'life1.1-1-2', 'life1.1-1-3', 'life2.1-2-1', 'life2.1-2-2', 'life2.1-2-3'],
  );
  assert.deepEqual([lives.server.twice, lives.server.faults], [0, []]);
});

test('a day without the server, with a kill every few hours, is sent whole and in order', async () => {
  const lives = await opened({ maxBytes: 64 * 1024 ** 2 });
  for (let pass = 1; pass <= 8640; pass++) {
    lives.offer(2);
    if (pass % 2000 === 0) {
      await lives.backlog.flush();
      await lives.kill(0);
    }
  }
  assert.equal(lives.backlog.waiting, 2 * 8640);
  assert.equal(await lives.send(), true);
  assert.deepEqual([lives.server.taken.length, lives.server.twice, lives.server.faults], [2 * 8640, 0, []]);
  assert.equal(lives.server.completeThrough, lives.at);
  lives.offer(1);
  await lives.send();
  await lives.backlog.flush();
  assert.ok(segments(lives).length <= 2, `${segments(lives).length} segments are left`);
});

test('what is acknowledged is not sent again after a clean stop, and only what the log had not heard of after a kill', async () => {
  const lives = await opened();
  for (let i = 0; i < 5; i++) lives.offer(2);
  await lives.send();
  await lives.backlog.close();
  await lives.open();
  assert.equal(lives.backlog.waiting, 0);
  for (let i = 0; i < 5; i++) lives.offer(2);
  await lives.send();
  await lives.kill();
  assert.equal(lives.backlog.waiting, 10);
  await lives.send();
  assert.deepEqual([lives.server.taken.length, lives.server.twice, lives.server.faults], [20, 0, []]);
});

test('end markers and readings of several passes keep their numbers however they are put together', async () => {
  const lives = await opened();
  const head = { resource: 'gone', meter: 'm', epoch: 'e' };
  lives.mood = () => 'take and say nothing';
  lives.offer(2, 10_000, { ended: [{ head, at: START }] });
  await lives.send(2);
  lives.offer(2);
  await lives.backlog.flush();
  await lives.kill();
  lives.mood = () => 'answer';
  await lives.send();
  assert.equal(lives.server.taken.length, 5);
  assert.deepEqual([lives.server.twice, lives.server.faults], [0, []]);
});

test('a full disk: readings are sent from memory, and go to the disk again when there is room', async () => {
  const lives = await opened();
  lives.offer(2);
  await lives.backlog.flush();
  lives.disk.room = lives.disk.used;
  lives.offer(2);
  await lives.backlog.flush();
  assert.match(lives.backlog.state.trouble, /ENOSPC/);
  assert.equal(lives.kept.size, 2);
  assert.equal(lives.backlog.waiting, 4);
  assert.equal(await lives.send(), true);
  assert.equal(lives.kept.size, 4);
  lives.offer(2);
  await lives.backlog.flush();
  lives.disk.room = Number.POSITIVE_INFINITY;
  lives.offer(2);
  await lives.backlog.flush();
  assert.equal(lives.backlog.state.trouble, '');
  await lives.kill(0);
  await lives.send();
  assert.deepEqual([lives.server.taken.length, lives.server.twice, lives.server.faults], [8, 0, []]);
  assert.deepEqual(
    lives.reports.filter((r) => r.includes('disk')),
    ['error the backlog of readings cannot use its disk: ENOSPC', 'info the disk takes readings again'],
  );
});

test('a disk that was full while the server was away has everything once there is room, also what was on its way', async () => {
  const lives = await opened();
  lives.mood = () => 'away';
  lives.disk.room = 0;
  lives.offer(2);
  await lives.send(2);
  lives.disk.room = Number.POSITIVE_INFINITY;
  lives.offer(2);
  await lives.backlog.flush();
  assert.equal(lives.kept.size, 4);
  await lives.send(2);
  await lives.kill(0);
  lives.mood = () => 'answer';
  assert.equal(await lives.send(), true);
  assert.deepEqual([lives.server.taken.length, lives.server.twice, lives.server.faults], [4, 0, []]);
});

test('what was put on the disk while it was on its way from memory leaves no hole in the numbers of memory', async () => {
  const lives = await opened();
  lives.mood = () => 'take and say nothing';
  lives.disk.room = 0;
  lives.offer(2);
  await lives.send(2);
  lives.disk.room = Number.POSITIVE_INFINITY;
  lives.offer(2);
  await lives.backlog.flush();
  lives.mood = () => 'answer';
  await lives.send();
  lives.disk.room = lives.disk.used;
  lives.offer(2);
  await lives.send();
  // The first two came twice: from memory, where nobody answered, and from the disk.
  assert.deepEqual([lives.server.taken.length, lives.server.twice, lives.server.faults], [6, 2, []]);
});

test('while neither disk nor server takes anything memory is bounded, and totals stay exact', async () => {
  const lives = await opened({ memoryMax: 200 });
  lives.disk.room = 0;
  for (let pass = 0; pass < 1000; pass++) {
    lives.offer(2);
    await lives.backlog.flush();
    assert.ok(lives.backlog.waiting <= 202, `${lives.backlog.waiting}`);
  }
  assert.ok(lives.backlog.state.thinned > 1000);
  await lives.send();
  assert.deepEqual(
    [...lives.server.totals()],
    [
      ['r0 m e', BigInt(lives.at - START - 10_000)],
      ['r1 m e', 2n * BigInt(lives.at - START - 10_000)],
    ],
  );
});

test('a damaged stretch is reported, and what lies behind it is sent under a run of its own', async () => {
  const lives = await opened();
  for (let i = 0; i < 10; i++) {
    lives.offer(3);
    await lives.backlog.flush();
  }
  const [name = ''] = segments(lives);
  const content = lives.disk.files.get(name);
  const at = Math.floor((content?.bytes.length ?? 0) / 2);
  content?.bytes.writeUInt8((content.bytes[at] ?? 0) ^ 255, at);
  await lives.kill();
  const [interval, ...others] = lives.backlog.lostIntervals();
  assert.deepEqual([interval?.reason, interval?.records, others], ['damaged', 3, []]);
  // Part of what is behind it, and then once more.
  await lives.send();
  await lives.kill();
  await lives.send();
  assert.deepEqual([lives.server.taken.length, lives.server.twice, lives.server.faults], [27, 0, []]);
  assert.ok([...lives.server.items.keys()].some((key) => key.startsWith('life1.1-1.')));
  assert.equal(lives.backlog.lostIntervals().length, 1);
});

test('a torn tail costs what was not yet kept, and nothing else', async () => {
  const lives = await opened();
  lives.offer(3);
  await lives.backlog.flush();
  lives.disk.diesAfter = 20;
  lives.offer(3);
  await lives.backlog.flush();
  await lives.kill(1);
  assert.ok(lives.reports.some((r) => r.includes('20 bytes torn off')));
  await lives.send();
  assert.deepEqual([lives.server.taken.length, lives.server.faults], [3, []]);
});

test('a segment that is gone holds back nothing', async () => {
  const lives = await opened();
  lives.offer(3);
  await lives.backlog.flush();
  await lives.kill();
  lives.offer(2);
  await lives.backlog.flush();
  lives.disk.files.delete(segments(lives)[0] ?? '');
  await lives.send();
  await lives.send();
  assert.deepEqual([lives.server.taken.length, lives.publisher.lost], [2, 3]);
  assert.equal(lives.backlog.lostIntervals()[0]?.reason, 'damaged');
});

test('readings of another source are sent as its own', async () => {
  const lives = await opened({ source: 'host/before' });
  lives.offer(1);
  await lives.backlog.flush();
  const batch = await lives.backlog.next();
  assert.equal(batch?.source, 'host/before');
  await lives.backlog.close();
  await lives.open({ source: 'host/now' });
  assert.equal((await lives.backlog.next())?.source, 'host/before');
});

test('what the server refuses for good is counted and makes way', async () => {
  const lives = await opened();
  lives.mood = () => 'refuse';
  lives.offer(3);
  await lives.send();
  lives.mood = () => 'answer';
  lives.offer(2);
  assert.equal(await lives.send(), true);
  assert.deepEqual([lives.publisher.lost, lives.server.taken.length], [3, 2]);
});

test('two do not share a folder', async () => {
  const lives = await opened();
  await assert.rejects(lives.open(), /in use/);
});

test('what is settled of an old segment is remembered when the segment that said so goes', async () => {
  const lives = await opened();
  // Nothing is put behind end markers: each pass is a request.
  const ended = [{ head: { resource: 'gone', meter: 'm', epoch: 'e' }, at: START }];
  for (let i = 0; i < 3; i++) {
    lives.offer(1, 10_000, { ended });
    await lives.backlog.flush();
  }
  await lives.kill();
  await lives.send(1);
  await lives.backlog.close();
  await lives.open();
  assert.equal(lives.backlog.waiting, 4);
  lives.offer(1);
  await lives.backlog.flush();
  assert.equal(segments(lives).length, 2, 'the first of the passes, and the last');
  await lives.kill();
  assert.equal(lives.backlog.waiting, 5);
});
