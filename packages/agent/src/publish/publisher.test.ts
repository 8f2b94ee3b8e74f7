import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, OK, type Posted, type Script, World } from './testing/world.ts';

const isLong = process.env.CI === 'true';

const a = { meter: 'm', subject: 'a' };
const header = (posted: Posted | undefined, name: string): string | undefined => posted?.headers[`tollgate-${name}`];
const withEvents = ({ posted }: World): Posted[] => posted.filter(({ events }) => events.length > 0);
const notes = (world: World, name: string): Record<string, unknown>[] =>
  (world.disk.notes.get(name) ?? []).map((line) => JSON.parse(line) as Record<string, unknown>);

test('a bucket that is over is published as one CloudEvent a key, numbered, with what it is complete through', async () => {
  const world = new World();
  const usage = await world.open();
  usage.recorder.add(a, 5);
  usage.recorder.add({ meter: 'm', subject: '', dimensions: { kind: 'x"y' } }, 2n ** 64n);
  await world.clock.pass(10_300);
  const [posted] = withEvents(world);
  const at = new Date(1_790_000_000_101).toISOString();
  assert.deepEqual(posted?.events, [
    {
      specversion: '1.0',
      id: 'run1-1',
      source: 'test',
      type: 'm',
      subject: 'a',
      time: at,
      data: { value: '5', count: '1' },
    },
    {
      specversion: '1.0',
      id: 'run1-2',
      source: 'test',
      type: 'm',
      time: at,
      data: { value: '18446744073709551616', count: '1', kind: 'x"y' },
    },
  ]);
  assert.deepEqual(
    ['run', 'sequence', 'source', 'complete-through', 'sent-at'].map((name) => header(posted, name)),
    ['run1', '1', 'test', '1790000010000', String(posted?.at)],
  );
  assert.equal(usage.status().depth, 0);
  assert.deepEqual(
    notes(world, 'acknowledged.ndjson').map(({ run, first, last, receipts }) => [run, first, last, receipts]),
    [['run1', 1, 2, { first: 5, last: 9 }]],
  );
  await world.stop(usage);
});

test('a repetition is byte for byte the same but for the clock, and waits longer each time', async () => {
  const world = new World();
  let failures = 5;
  world.script = ({ events }) => (events.length > 0 && failures-- > 0 ? 'lost' : OK);
  const usage = await world.open();
  usage.recorder.add(a, 5);
  await world.clock.pass(30_000);
  const tries = withEvents(world);
  assert.equal(tries.length, 6);
  assert.equal(new Set(tries.map(({ body }) => body)).size, 1);
  const constant = tries.map(({ headers }) => JSON.stringify({ ...headers, 'tollgate-sent-at': '' }));
  assert.equal(new Set(constant).size, 1);
  assert.deepEqual(
    tries.map(({ at, headers }) => Number(headers['tollgate-sent-at']) - at),
    [0, 0, 0, 0, 0, 0],
  );
  const waits = tries.slice(1).map(({ at }, i) => at - (tries[i]?.at ?? 0));
  assert.deepEqual(
    waits.map((ms, i) => ms >= 187.5 * 2 ** i),
    [true, true, true, true, true],
    waits.join(' '),
  );
  await world.stop(usage);
});

test('Retry-After is waited for, up to a bound', async () => {
  const world = new World();
  const answers = [answer(503, {}, 7000), answer(429, {}, 86_400_000), OK];
  world.script = ({ events }) => (events.length > 0 ? (answers.shift() ?? OK) : OK);
  const usage = await world.open();
  usage.recorder.add(a, 5);
  await world.clock.pass(400_000);
  const [first, second, third] = withEvents(world).map(({ at }) => at);
  assert.ok(first && second && third);
  assert.deepEqual([second - first, third - second], [7000, 300_000]);
  await world.stop(usage);
});

test('what a stopped life left waits for the startup delay, what is measured now goes at once and declares nothing early', async () => {
  const world = new World();
  world.script = () => 'lost';
  let usage = await world.open();
  usage.recorder.add(a, 1);
  await world.clock.pass(11_000);
  await world.stop(usage);
  world.script = () => OK;
  world.posted.length = 0;
  const restarted = world.clock.at;
  usage = await world.open();
  usage.recorder.add(a, 2);
  await world.clock.pass(59_000);
  assert.deepEqual(
    withEvents(world).map((p) => [header(p, 'run'), header(p, 'complete-through')]),
    [['run2', undefined]],
  );
  await world.clock.pass(12_000);
  const backlog = withEvents(world)[1];
  assert.equal(header(backlog, 'run'), 'run1');
  assert.ok((backlog?.at ?? 0) >= restarted + 60_000);
  await world.clock.pass(15_000);
  assert.ok(Number(header(world.posted.at(-1), 'complete-through')) > restarted + 60_000);
  assert.equal(world.totals().get('m a'), 3);
  await world.stop(usage);
});

test('with nothing to publish it still says through when all is told, now and then', async () => {
  const world = new World();
  const usage = await world.open();
  await world.clock.pass(65_000);
  const said = world.posted.map((p) => [p.body, Number(header(p, 'complete-through')) - 1_790_000_000_000]);
  assert.equal(said.length, 7);
  assert.deepEqual(said.at(-1), ['[]', 60_000]);
  await world.stop(usage);
});

const fill = (usage: { recorder: { add(m: typeof a, n: number): void } }, count: number): void => {
  for (let i = 0; i < count; i++) usage.recorder.add({ meter: 'm', subject: `s${i}` }, 1);
};

const refusing =
  (bad: (id: string) => boolean, named: boolean): Script =>
  ({ events }) => {
    const position = events.findIndex(({ id }) => bad(id));
    if (position < 0) return OK;
    return answer(400, { code: 'request.invalid', detail: 'no', ...(named ? { pointer: `/${position}/source` } : {}) });
  };

for (const named of [true, false]) {
  test(`events that no server takes are found (${named ? 'named' : 'by halving'}), set aside, and the rest is delivered`, async () => {
    const world = new World();
    world.script = refusing((id) => /-(1|37|38|90)$/.test(id), named);
    const usage = await world.open();
    fill(usage, 90);
    await world.clock.pass(20_000);
    assert.deepEqual([usage.status().depth, usage.status().setAside, world.taken.size], [0, 4, 86]);
    const aside = notes(world, 'refused.ndjson').map(({ event }) => (event as { id: string }).id);
    assert.deepEqual(aside, ['run1-1', 'run1-37', 'run1-38', 'run1-90']);
    await world.stop(usage);
  });
}

test('a server that refuses everything, also an empty batch, is misconfigured: nothing is set aside', async () => {
  const world = new World();
  world.script = () => answer(400, { code: 'request.invalid', detail: 'a header is missing' });
  const usage = await world.open();
  fill(usage, 5);
  await world.clock.pass(120_000);
  assert.deepEqual([usage.status().setAside, usage.status().depth], [0, 5]);
  world.script = () => OK;
  await world.clock.pass(60_000);
  assert.equal(world.taken.size, 5);
  await world.stop(usage);
});

test('items that the server judged and did not take are set aside with its reason, duplicates are not', async () => {
  const world = new World();
  world.script = () =>
    answer(200, {
      ...{ accepted: 0, duplicates: 1, conflicts: 0, rejected: 1, receipts: null },
      items: [
        { position: 0, outcome: 'duplicate', code: 'event.duplicate', message: '' },
        { position: 1, outcome: 'rejected', code: 'event.too_old', message: 'too old' },
      ],
    });
  const usage = await world.open();
  fill(usage, 2);
  await world.clock.pass(11_000);
  assert.deepEqual(
    notes(world, 'refused.ndjson').map(({ code, event }) => [code, (event as { id: string }).id]),
    [['event.too_old', 'run1-2']],
  );
  await world.stop(usage);
});

for (const body of ['', '<html>Please log in</html>', 'null', '[]', '{"error":"x"}', '{"accepted":1,"items":[]}']) {
  test(`a 2xx with ${body === '' ? 'nothing' : body} in it acknowledges nothing, and is told`, async () => {
    const world = new World();
    world.script = () => ({ ...OK, body });
    const usage = await world.open();
    fill(usage, 3);
    await world.clock.pass(60_000);
    const { depth, events, setAside, completeThrough, lastAcknowledgedAt } = usage.status();
    assert.deepEqual([depth, events, setAside, completeThrough, lastAcknowledgedAt], [3, 0, 0, 0, 0]);
    assert.ok(world.reports.some(({ message }) => /not a Tollgate server/.test(message)));
    world.script = () => OK;
    await world.clock.pass(60_000);
    assert.deepEqual([usage.status().depth, world.taken.size], [0, 3]);
    await world.stop(usage);
  });
}

test('a batch that is too large is halved until it fits', async () => {
  const world = new World();
  world.script = ({ events }) => (events.length > 20 ? answer(413) : OK);
  const usage = await world.open();
  fill(usage, 100);
  await world.clock.pass(12_000);
  assert.deepEqual([world.taken.size, usage.status().setAside], [100, 0]);
  await world.stop(usage);
});

test('the collector away for an hour: the totals are those of an uninterrupted run, small portions before and after', async () => {
  const live = async (away: boolean): Promise<World> => {
    const world = new World();
    // A turn of a tenth of a second each is ten times the work: in the long form.
    const beat = isLong ? {} : { flushMs: 1000, intervalMs: 1000, portionRecords: 1000 };
    const usage = await world.open({ startupDelayMs: 0, ...beat });
    let lot = 7;
    for (let s = 0; s < 4000; s += 5) {
      const gone = away && s >= 200 && s < 3800;
      world.script = ({ at }) => (gone ? (at % 3 === 0 ? 'taken and lost' : 'lost') : OK);
      for (let i = 0; i < 10; i++) {
        lot = (lot * 48_271) % 2_147_483_647;
        usage.recorder.add({ meter: 'm', subject: `s${lot % 40}` }, lot % 1000);
      }
      await world.clock.pass(5000);
    }
    await world.clock.pass(60_000);
    assert.equal(usage.status().depth, 0);
    await world.stop(usage, 3000);
    return world;
  };
  const [calm, storm] = [await live(false), await live(true)];
  assert.deepEqual([...storm.totals()].sort(), [...calm.totals()].sort());
  assert.deepEqual(
    [...storm.taken.values()].map(({ time }) => time).sort(),
    [...calm.taken.values()].map(({ time }) => time).sort(),
  );
});

test('20,000 records a second, all with keys of their own, do not diverge, over a server that takes 50 ms', async () => {
  const world = new World();
  world.latency = 50;
  const usage = await world.open({ bucketMs: 1000 });
  let key = 0;
  const depths: number[] = [];
  const seconds = isLong ? 60 : 7;
  for (let tick = 0; tick < seconds * 10; tick++) {
    for (let i = 0; i < 2000; i++) usage.recorder.add({ meter: 'm', subject: `s${key++ % 50_000}` }, 1);
    await world.clock.pass(100);
    if (tick % 10 === 9) depths.push(usage.status().depth);
  }
  assert.ok(Math.max(...depths.slice(-5)) < 60_000, depths.join(' '));
  await world.stop(usage, 3000);
  assert.equal(
    [...world.totals().values()].reduce((x, y) => x + y, 0),
    seconds * 20_000,
  );
  assert.ok(Math.max(...world.posted.map(({ events }) => events.length)) <= 10_000);
});

test('the agent says what waits and what it lost, once', async () => {
  const world = new World();
  const usage = await world.open();
  usage.recorder.add(a, 1);
  await world.clock.pass(50);
  world.disk.dead = true;
  await world.clock.pass(1000);
  world.disk.revive(() => 1);
  const again = new World(world.clock, world.disk);
  const second = await again.open({ source: 'host/a b' });
  await world.clock.pass(150_000);
  assert.equal(again.told[0]?.path, '/api/v1/sources/host%2Fa%20b/report');
  const lost = again.told.flatMap(({ body }) => (JSON.parse(body) as { lost: { reason: string }[] }).lost);
  assert.deepEqual(
    lost.map(({ reason }) => reason),
    ['crash'],
  );
  await again.stop(second);
});

test('the clock of the server is compared with ours at every answer', async () => {
  const world = new World();
  world.script = ({ at }) => ({ ...OK, date: Math.floor((at + 42_000) / 1000) * 1000 });
  const usage = await world.open();
  await world.clock.pass(11_000);
  assert.ok(Math.abs((usage.status().clockOffsetMs ?? 0) - 42_000) <= 500);
  await world.stop(usage);
});

test('a bucket that would cross a window is refused', async () => {
  await assert.rejects(new World().open({ bucketMs: 7000 }), RangeError);
});
