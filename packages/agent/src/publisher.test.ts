import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadingsBatch } from '@tollgate/event';
import type { HttpAnswer } from './environment.ts';
import { outcomeOf } from './publish/testing/outcome.ts';
import { type Portion, Publisher, publisherDefaults, type Report } from './publisher.ts';

const OK: HttpAnswer = { status: 200, retryAfter: 0, body: outcomeOf(1) };
const answer = (status: number, retryAfter = 0, body = ''): HttpAnswer => ({ status, retryAfter, body });

/** `script`: one entry per request; 'lost' means no answer. After its end every request is accepted. */
const publisher = (script: (HttpAnswer | 'lost')[], settings: Partial<typeof publisherDefaults> = {}) => {
  const bodies: string[] = [];
  const sleeps: number[] = [];
  const reports: Report[] = [];
  const p = new Publisher(
    {
      network: {
        post: async (_path, body) => {
          bodies.push(body);
          const next = script.shift() ?? OK;
          if (next === 'lost') throw new Error('connection refused');
          return next;
        },
      },
      clock: {
        now: () => 5000,
        elapsed: () => 0,
        sleep: async (ms) => {
          sleeps.push(ms);
        },
      },
      random: { hex: () => 'run1', fraction: () => 0.5 },
    },
    { source: 'host/test', ...publisherDefaults, ...settings },
    (report) => reports.push(report),
  );
  const batches = (): ReadingsBatch[] => bodies.map((body) => JSON.parse(body) as ReadingsBatch);
  return { p, bodies, batches, sleeps, reports };
};

const head = (resource: string, epoch = 'e1') => ({ resource, meter: 'm', epoch });
const portion = (at: number, rows: [resource: string, value: bigint, epoch?: string, start?: number][]): Portion => ({
  samples: rows.map(([resource, value, epoch = 'e1', start = 0]) => ({
    head: head(resource, epoch),
    at,
    value,
    start,
  })),
  ended: [],
  completeThrough: at,
});

test('items are numbered without holes, values travel as text', async () => {
  const { p, batches } = publisher([]);
  p.offer(
    portion(10, [
      ['a', 2n ** 64n - 1n],
      ['b', 5n, 'e9', 7],
    ]),
  );
  assert.equal(await p.drain(), true);
  p.offer({ ...portion(20, [['a', 1n]]), ended: [{ head: head('b', 'e9'), at: 19 }] });
  await p.drain();
  const [first, second] = batches();
  assert.deepEqual(first?.readings, [
    [0, 10, '18446744073709551615'],
    [1, 10, '5', 7],
  ]);
  assert.deepEqual([first?.sequence, first?.completeThrough, first?.run], [1, 10, 'run1']);
  assert.deepEqual([second?.sequence, second?.ended], [3, [[1, 19]]]);
});

test('a batch is repeated byte for byte until it is acknowledged, and nothing overtakes it', async () => {
  const { p, bodies, sleeps } = publisher(['lost', answer(503, 4000), answer(429), OK]);
  p.offer(portion(10, [['a', 1n]]));
  const done = p.drain();
  p.offer(portion(20, [['a', 2n]]));
  await done;
  assert.equal(bodies.length, 5);
  assert.equal(new Set(bodies.slice(0, 4)).size, 1);
  assert.match(bodies[4] ?? '', /"sequence":2/);
  assert.deepEqual(sleeps, [187.5, 4000, 750]);
});

test('an answer that no repetition changes is reported and does not block what follows', async () => {
  const { p, batches, reports } = publisher([answer(400, 0, '{"code":"reading.invalid","detail":"bad field"}')]);
  p.offer(portion(10, [['a', 1n]]));
  await p.drain();
  p.offer(portion(20, [['a', 2n]]));
  await p.drain();
  assert.equal(p.lost, 1);
  assert.equal(batches().at(-1)?.sequence, 2);
  assert.ok(reports.some((r) => r.level === 'error' && r.message.includes('bad field')));
});

for (const [status, body, who] of [
  [404, '<html>not found</html>', 'a proxy whose server is being deployed'],
  [404, '{"code":"route.unknown"}', 'a server that does not know the path yet'],
  [301, '', 'a proxy that has moved'],
  [405, '', 'a page that is shown meanwhile'],
  [400, '<html>plain HTTP to an HTTPS port</html>', 'a proxy that does not like the connection'],
  [413, '<html>too large</html>', 'a proxy with a bound of its own'],
] as const)
  test(`${status} of ${who} loses no reading: the batch is repeated until a server takes it`, async () => {
    const { p, bodies, sleeps, reports } = publisher([answer(status, 0, body), answer(status, 0, body), OK]);
    p.offer(portion(10, [['a', 1n]]));
    assert.equal(await p.drain(), true);
    assert.deepEqual([bodies.length, new Set(bodies).size, sleeps.length, p.lost], [3, 1, 2, 0]);
    assert.ok(reports.some(({ level, message }) => level === 'warn' && message.includes(String(status))));
  });

for (const body of ['', '<html>Please log in</html>', 'null', '[]', '{"error":"x"}'])
  test(`a 2xx with ${body === '' ? 'nothing' : body} in it acknowledges nothing, and is told`, async () => {
    const { p, bodies, reports } = publisher([answer(200, 0, body)]);
    let settled = 0;
    p.offer({ ...portion(10, [['a', 1n]]), settled: () => settled++ });
    await p.drain();
    assert.deepEqual([bodies.length, settled, p.lost], [2, 1, 0]);
    assert.equal(bodies[0], bodies[1]);
    assert.ok(reports.some(({ message }) => /not a Tollgate server/.test(message)));
  });

test('a pass larger than one request is cut, and only its last part vouches for completeness', async () => {
  const { p, batches } = publisher([]);
  let acknowledged = 0;
  p.offer({
    ...portion(
      10,
      Array.from({ length: 25_000 }, (_, i) => [`r${i}`, BigInt(i)] as [string, bigint]),
    ),
    settled: () => acknowledged++,
  });
  await p.drain();
  assert.deepEqual(
    batches().map((b) => [b.sequence, b.readings.length, b.completeThrough]),
    [
      [1, 10_000, undefined],
      [10_001, 10_000, undefined],
      [20_001, 5_000, 10],
    ],
  );
  assert.equal(acknowledged, 1);
});

test('with the server away memory is bounded, and first and last value of every epoch survive', async () => {
  const { p, batches } = publisher([], { bufferMax: 200 });
  let remembered = 0;
  for (let k = 1; k <= 1000; k++) {
    const epoch = k <= 500 ? 'e1' : 'e2';
    p.offer({
      ...portion(k * 10, [
        ['a', BigInt(k), epoch, k === 501 ? 5000 : 0],
        ['b', BigInt(k)],
      ]),
      settled: () => remembered++,
    });
    assert.ok(p.waiting <= 210, `waiting ${p.waiting}`);
  }
  await p.drain();
  const rows = batches().flatMap((b) => b.readings.map(([i, t, v, s]) => ({ ...b.series[i], t, v, s })));
  const values = (resource: string, epoch: string) => rows.filter((r) => r.resource === resource && r.epoch === epoch);
  assert.deepEqual([values('a', 'e1')[0]?.v, values('a', 'e1').at(-1)?.v], ['1', '500']);
  assert.deepEqual(
    [values('a', 'e2')[0]?.v, values('a', 'e2')[0]?.s, values('a', 'e2').at(-1)?.v],
    ['501', 5000, '1000'],
  );
  assert.deepEqual([values('b', 'e1')[0]?.v, values('b', 'e1').at(-1)?.v], ['1', '1000']);
  assert.equal(batches().at(-1)?.completeThrough, 10_000);
  assert.equal(remembered, 1000);
});

test('what the server did not take is said aloud', async () => {
  const { p, reports } = publisher([
    answer(200, 0, '{"accepted":0,"duplicates":0,"rejected":1,"conflicts":0,"items":[{"message":"no such meter"}]}'),
  ]);
  p.offer(portion(10, [['a', 1n]]));
  await p.drain();
  assert.ok(reports.some((r) => r.message.includes('no such meter')));
});

test('a stop ends the wait for a server that is away', async () => {
  const { p } = publisher(Array.from({ length: 3 }, () => 'lost' as const));
  p.offer(portion(10, [['a', 1n]]));
  assert.equal(await p.drain(AbortSignal.abort()), false);
  assert.equal(p.waiting, 1);
});
