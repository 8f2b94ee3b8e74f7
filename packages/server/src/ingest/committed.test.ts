import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommittedBatch } from '../domain/committed.ts';
import type { Meter } from '../domain/meter.ts';
import { event, NOW, World } from './testing/world.ts';

const meter = (key: string, change: Partial<Meter> = {}): Meter => ({
  ...{ key, version: 1, name: '', kind: 'delta', eventType: 'request', aggregation: 'sum', valuePath: '$.bytes' },
  ...{ epochPath: '', startPath: '', groupBy: {}, filters: [], unit: 'By', validFor: 0, rank: 0, of: [] },
  ...{ direction: 'max-of-percentiles', billable: true, deleted: false, receipt: 0 },
  ...change,
});

/** What is told of committed groups, with these meters watched. */
async function told(watched: string[], body: (w: World) => Promise<void>): Promise<CommittedBatch[]> {
  const w = await World.open({}, () => new Set(watched));
  const batches: CommittedBatch[] = [];
  w.ingest.onCommitted((batch) => void batches.push(batch));
  const region = { groupBy: { region: '$.region' } };
  const eu = { filters: [{ path: '$.region', in: ['eu'] }] };
  const made: Meter[] = [
    meter('bytes', region),
    meter('calls', { aggregation: 'count', valuePath: '' }),
    meter('peak', { aggregation: 'max' }),
    meter('eu', eu),
  ];
  const who = { tenant: '', author: 'test', reason: '' };
  await w.log.append(
    made.map(({ receipt: _, ...m }) => ({ kind: 'meter' as const, meter: m })),
    who,
  );
  try {
    await body(w);
  } finally {
    await w.close();
  }
  return batches;
}
const worths = (batches: readonly CommittedBatch[]) => batches.flatMap((b) => b.worths);

test('nothing is said of meters that nobody watches', async () => {
  const batches = await told(['other'], async (w) => void (await w.send([event()])));
  assert.deepEqual([batches.length, worths(batches)], [1, []]);
});

test('a committed event is told with what it is worth to each watched meter, its dimensions and its receipt', async () => {
  const batches = await told(['bytes', 'calls', 'peak', 'eu'], async (w) => {
    await w.send([
      event({ data: { bytes: '1.5', region: 'us' } }),
      event({ subject: 's', time: '2026-11-21T08:00:00Z' }),
    ]);
  });
  const first = batches[0]?.first ?? 0;
  assert.deepEqual(
    worths(batches).map((x) => [x.meter, x.subject, x.dimensions, x.receipt - first, x.value]),
    [
      ['bytes', 'customer-1', { region: 'us' }, 0, 1_500_000_000_000n],
      ['calls', 'customer-1', {}, 0, 1_000_000_000_000n],
      ['peak', 'customer-1', {}, 0, null],
      ['bytes', 's', { region: 'eu' }, 1, 10_000_000_000_000n],
      ['calls', 's', {}, 1, 1_000_000_000_000n],
      ['peak', 's', {}, 1, null],
      ['eu', 's', {}, 1, 10_000_000_000_000n],
    ],
  );
  assert.equal(worths(batches).at(-1)?.t, Date.UTC(2026, 10, 21, 8));
});

test('duplicates, conflicts, rejected events and groups that failed add nothing', async () => {
  const batches = await told(['bytes'], async (w) => {
    const one = event();
    await w.send([one]);
    await w.send([one, { ...one, data: { bytes: 99 } }, event({ data: { bytes: 'x' } }), event({ time: 'never' })]);
    w.failures.push(0);
    await assert.rejects(w.send([event({ data: { bytes: 5 } })]));
  });
  assert.deepEqual(
    worths(batches).map((x) => x.value),
    [10_000_000_000_000n],
  );
});

test('events of a numbered batch are told once, however often it comes', async () => {
  const batches = await told(['bytes'], async (w) => {
    const one = event();
    for (let i = 0; i < 3; i++) await w.send([one], { run: 'r', sequence: 0 });
  });
  assert.equal(worths(batches).length, 1);
});

test('a reading is told with the newest one before it', async () => {
  const batches = await told([], async (w) => {
    const series = [{ resource: 'nic', meter: 'network.bytes.sent', epoch: 'boot' }];
    const send = (sequence: number, ...readings: [number, number, string][]) =>
      w.report({ source: 'host', run: 'r', sequence, sentAt: NOW, series, readings });
    await send(0, [0, NOW - 9000, '5']);
    await send(1, [0, NOW - 8000, '7'], [0, NOW - 7000, '8']);
  });
  assert.deepEqual(
    batches.flatMap((b) => b.readings).map(({ reading, previous }) => [reading.value, previous?.value, previous?.t]),
    [
      [5n, undefined, undefined],
      [7n, 5n, NOW - 9000],
      [8n, 7n, NOW - 8000],
    ],
  );
});
