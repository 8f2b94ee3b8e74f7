/** What a publisher says when a disk hangs, a server refuses, a life was lost, or an end comes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realClock, realRandomness } from '../real.ts';
import { folderDisk } from '../spool/folder.ts';
import { Spool } from '../spool/spool.ts';
import type { MemoryDisk } from '../spool/testing/memory-disk.ts';
import { answer, OK, type Posted, World } from './testing/world.ts';

const x = { meter: 'a', subject: 'x' };
const through = ({ headers }: Posted): number => Number(headers['tollgate-complete-through'] ?? 0);

/** What a machine has that was cut off now: the life goes on, and does not matter any more. */
const remains = (world: World, afterMs = 5000): World => {
  const next = new World();
  next.clock.at = world.clock.at + afterMs;
  next.lives = world.lives;
  copy(world.disk, next.disk);
  return next;
};
const copy = (from: MemoryDisk, to: MemoryDisk): void => {
  for (const [name, { bytes }] of from.files) to.files.set(name, { bytes: Buffer.from(bytes), synced: bytes.length });
};

/** A world whose life before was killed. */
const crashed = async (): Promise<World> => {
  const before = new World();
  const usage = await before.open();
  usage.recorder.add(x, 1);
  await before.clock.pass(350);
  return remains(before, 30_000);
};
const lostIn = ({ body }: Posted): { from: string; reason: string }[] =>
  (JSON.parse(body) as { lost: { from: string; reason: string }[] }).lost;

test('what is lost is told before anything behind it is declared complete', async () => {
  const world = await crashed();
  const usage = await world.open({ startupDelayMs: 0 });
  await world.clock.pass(30_000);
  const [report] = world.told;
  assert.ok(report);
  const from = Date.parse(lostIn(report)[0]?.from ?? '');
  const first = world.posted.find((posted) => through(posted) > from);
  assert.ok(first && first.at >= report.at, 'the report came first');
  assert.equal(usage.spool.untold.length, 0);
  await world.stop(usage);
});

test('a report that the server does not take holds declarations back, is tried again at growing waits, and is complained of', async () => {
  const world = await crashed();
  world.reportScript = () => answer(403, { detail: 'not for this key' });
  const usage = await world.open({ startupDelayMs: 0 });
  await world.clock.pass(200_000);
  const [{ from = 0 } = {}] = usage.spool.untold;
  assert.ok(from > 0);
  assert.ok(world.posted.length > 0 && world.posted.every((posted) => through(posted) <= from));
  assert.ok(world.told.length > 5 && world.told.length < 30, `${world.told.length} tries`);
  assert.equal(world.reports.filter(({ message }) => message.includes('not for this key')).length, 1);
  world.reportScript = () => OK;
  await world.clock.pass(60_000);
  assert.ok(through(world.posted.at(-1) as Posted) > from);
  await world.stop(usage);
});

test('of several losses the one that no server takes is found and said aloud, the others are told', async () => {
  let world = await crashed();
  for (let life = 0; life < 3; life++) {
    world.reportScript = () => 'lost';
    await world.open();
    await world.clock.pass(2000);
    world = remains(world);
  }
  world.reportScript = (posted) =>
    lostIn(posted).some(({ from }) => from === bad) ? answer(422, { detail: 'too old' }) : OK;
  const usage = await world.open();
  const intervals = usage.spool.untold;
  assert.equal(intervals.length, 4);
  const bad = new Date(intervals[1]?.from ?? 0).toISOString();
  await world.clock.pass(30_000);
  assert.equal(usage.spool.untold.length, 0);
  assert.ok(world.reports.some(({ level, message }) => level === 'error' && message.includes('too old')));
  const taken = world.told.filter((posted) => lostIn(posted).every(({ from }) => from !== bad)).flatMap(lostIn);
  assert.equal(taken.length, 3);
  await world.stop(usage);
});

test('the first batch after a clock that was ahead and an outage declares nothing that still comes', async () => {
  const world = new World();
  const usage = await world.open();
  usage.recorder.add(x, 1);
  await world.clock.pass(1000);
  let ahead = 86_400_000;
  world.clock.now = () => world.clock.at + ahead;
  await world.clock.pass(200);
  ahead = 0;
  world.script = () => answer(503);
  for (let i = 0; i < 60; i++) {
    usage.recorder.add(x, 1);
    await world.clock.pass(10_000);
  }
  world.posted.length = 0;
  world.script = () => OK;
  await world.clock.pass(60_000);
  let declared = 0;
  for (const posted of world.posted) {
    for (const { time } of posted.events) assert.ok(Date.parse(time) >= declared, `${time} after ${declared}`);
    declared = Math.max(declared, through(posted));
  }
  assert.ok(declared > world.clock.at - 30_000 && declared <= world.clock.at);
  await world.stop(usage);
});

test('in the grace of a stop what is measured is still written: a kill then loses nothing older than a flush', async () => {
  const world = new World();
  const usage = await world.open();
  world.script = () => answer(503);
  usage.recorder.add(x, 1);
  await world.clock.pass(12_000);
  void usage.stop(10_000);
  await world.clock.pass(8000);
  usage.recorder.add(x, 7);
  await world.clock.pass(500);
  const next = remains(world);
  const again = await next.open({ startupDelayMs: 0 });
  await next.clock.pass(30_000);
  assert.equal(next.totals().get('a x'), 8);
  await next.stop(again);
});

test('a disk that hangs is told, and holds up neither the service nor its stop', async () => {
  const world = new World();
  const usage = await world.open({ memoryRecords: 100 });
  await world.clock.pass(500);
  world.disk.gate = new Promise(() => undefined);
  for (let bucket = 0; bucket < 20; bucket++) {
    for (let k = 0; k < 20; k++) usage.recorder.add({ meter: 'a', subject: `t${k}` }, 1);
    await world.clock.pass(10_000);
  }
  const { depth, trouble, lost } = usage.status();
  assert.ok(depth > 0 && depth <= 120, `${depth} wait`);
  assert.match(trouble, /not answered/);
  assert.ok(lost.length > 0);
  assert.equal(world.reports.filter(({ message }) => /not answered/.test(message)).length, 1);
  let isStopped = false;
  void usage.stop(3000).then(() => {
    isStopped = true;
  });
  await world.clock.pass(10_000);
  assert.equal(isStopped, true);
});

test('a batch cut short for its bytes declares nothing before the rest is sent', async () => {
  const world = new World();
  world.script = () => 'lost';
  const usage = await world.open({ requestBytes: 1000, portionRecords: 5 });
  for (let i = 0; i < 100; i++) usage.recorder.add({ meter: 'a', subject: `s${i}` }, 1);
  await world.clock.pass(15_000);
  world.script = () => OK;
  world.posted.length = 0;
  await world.clock.pass(60_000);
  const sent = world.posted.filter(({ events }) => events.length > 0);
  assert.ok(sent.length > 3 && sent.every(({ body }) => body.length <= 1000), sent.map((p) => p.body.length).join(' '));
  let declared = 0;
  for (const posted of sent) {
    for (const { time } of posted.events) assert.ok(Date.parse(time) >= declared);
    declared = Math.max(declared, through(posted));
  }
  assert.equal(world.taken.size, 100);
  await world.stop(usage);
});

test('a piece of a batch that was cut declares nothing before the last one', async () => {
  const world = new World();
  world.script = ({ events }) => (events.length > 20 ? answer(413) : OK);
  const usage = await world.open();
  for (let i = 0; i < 100; i++) usage.recorder.add({ meter: 'a', subject: `s${i}` }, 1);
  await world.clock.pass(12_000);
  const pieces = world.posted.filter(({ events }) => events.length > 0 && events.length <= 20);
  assert.ok(pieces.length > 4);
  const time = Date.parse(pieces[0]?.events[0]?.time ?? '');
  assert.deepEqual(
    pieces.map((piece) => through(piece) > time),
    pieces.map((_, i) => i === pieces.length - 1),
  );
  await world.stop(usage);
});

test('what an earlier life left and what is measured now take turns', async () => {
  const before = new World();
  before.script = () => 'lost';
  const left = await before.open({ portionRecords: 5 });
  for (let i = 0; i < 200; i++) left.recorder.add({ meter: 'a', subject: `s${i}` }, 1);
  await before.clock.pass(25_000);
  await before.stop(left);
  const world = remains(before, 0);
  const usage = await world.open({ startupDelayMs: 0, portionRecords: 5, requestRecords: 5, bucketMs: 1000 });
  for (let i = 0; i < 200; i++) usage.recorder.add({ meter: 'a', subject: `f${i}` }, 1);
  await world.clock.pass(2500);
  const runs = world.posted.filter(({ events }) => events.length > 0).map(({ headers }) => headers['tollgate-run']);
  const late = runs.slice(-6);
  assert.equal(new Set(late).size, 2, runs.join(' '));
  for (let i = 1; i < late.length; i++) assert.notEqual(late[i], late[i - 1], runs.join(' '));
  await world.stop(usage);
});

test('at a signal all usages of a process stop, and then it ends by the signal', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-two-'));
  const module = JSON.stringify(fileURLToPath(new URL('./usage.js', import.meta.url)));
  const program = `
    const { openUsage } = await import(${module});
    const make = async (source) => {
      const usage = await openUsage({ url: 'http://127.0.0.1:9', key: 'k', source, spool: process.argv[1] + '/' + source,
        bucketMs: 1000, graceMs: source === 'b' ? 0 : 500, signals: ['SIGTERM'] });
      usage.start();
      return usage;
    };
    const [a] = [await make('a'), await make('b')];
    a.recorder.add({ meter: 'm', subject: 'x' }, 1);
    setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50);
    setTimeout(() => undefined, 20_000);`;
  try {
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program, folder], { encoding: 'utf8' });
    assert.equal(ended.signal, 'SIGTERM', ended.stderr);
    for (const name of ['a', 'b']) {
      const world = { clock: realClock, random: realRandomness, disk: folderDisk(join(folder, name)) };
      const spool = await Spool.open(world);
      assert.deepEqual(spool.lostIntervals(), [], name);
      await spool.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
