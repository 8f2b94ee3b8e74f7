import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinMeters, defineMeter, type Meter } from './meter.ts';

const requests = { key: 'api.requests', eventType: 'request', aggregation: 'count' };
const defined = (input: unknown, previous?: Meter): Meter => {
  const got = defineMeter(input, previous);
  assert.ok(!Array.isArray(got), JSON.stringify(got));
  return got;
};

/** The pointers of what is wrong, in the order of the fields. */
function check(input: unknown, pointers: readonly string[], previous?: Meter): void {
  const got = defineMeter(input, previous);
  assert.ok(Array.isArray(got), `accepted: ${JSON.stringify(input)}`);
  assert.deepEqual([...new Set(got.map((p) => p.pointer))].sort(), [...pointers].sort(), JSON.stringify(got));
}

test('a short definition is filled in with defaults', () => {
  const meter = defined({ key: 'egress', eventType: 'egress', valuePath: '$.bytes', unit: 'By' });
  assert.equal(meter.kind, 'delta');
  assert.equal(meter.aggregation, 'sum');
  assert.equal(meter.version, 1);
  assert.equal(meter.billable, true);
  assert.deepEqual(meter.groupBy, {});
});

test('each kind is accepted with what it needs', () => {
  for (const aggregation of ['sum', 'avg', 'min', 'max', 'unique', 'latest']) {
    defined({ ...requests, aggregation, valuePath: '$.v' });
  }
  defined(requests);
  defined({ key: 'disk', kind: 'gauge', eventType: 'disk', valuePath: '$.size', validFor: 600_000, unit: 'By' });
  defined({ key: 'c', kind: 'cumulative', eventType: 'c', valuePath: '$.value', epochPath: '$.epoch' });
  const burst = defined({ key: 'burst', kind: 'percentile', of: ['network.bytes.sent'], unit: 'bit/s' });
  assert.equal(burst.rank, 950);
  defined({ key: 'burst', kind: 'percentile', of: ['a', 'b'], direction: 'percentile-of-sum', rank: 900 });
});

test('all that is wrong is named at once, by field', () => {
  check(null, ['']);
  check([], ['']);
  check({}, ['/key', '/eventType', '/valuePath']);
  check({ ...requests, valueProperty: '$.x' }, ['/valueProperty']);
  check({ ...requests, key: 'No spaces!' }, ['/key']);
  check({ ...requests, key: 'a\nb' }, ['/key']);
  check({ ...requests, aggregation: 'median' }, ['/aggregation', '/valuePath']);
  check({ ...requests, valuePath: '$.x' }, ['/valuePath']);
  check({ ...requests, aggregation: 'sum', valuePath: 'bytes' }, ['/valuePath']);
  check({ ...requests, kind: 'gauge' }, ['/aggregation', '/valuePath']);
  check({ ...requests, kind: 'counter' }, ['/kind']);
  check({ ...requests, epochPath: '$.epoch' }, ['/epochPath']);
  check({ ...requests, validFor: 1000 }, ['/validFor']);
  check({ ...requests, rank: 950, of: ['x'] }, ['/rank', '/of']);
  check({ ...requests, name: 'x'.repeat(201) }, ['/name']);
  check({ ...requests, unit: 7, billable: 'yes' }, ['/unit', '/billable']);
  check({ key: 'p', kind: 'percentile' }, ['/of']);
  check({ key: 'p', kind: 'percentile', of: ['p'], rank: 1001 }, ['/of', '/rank']);
  check({ key: 'p', kind: 'percentile', of: ['a', 'a'] }, ['/of']);
  check({ key: 'p', kind: 'percentile', of: ['a'], direction: 'up', eventType: 'x' }, ['/direction', '/eventType']);
});

test('group-by and filters are read strictly, and dimensions come sorted', () => {
  const meter = defined({
    ...requests,
    groupBy: { zone: '$.zone', method: '$.http.method' },
    filters: [{ path: '$.status', in: ['200', '204'] }],
  });
  assert.deepEqual(Object.keys(meter.groupBy), ['method', 'zone']);
  check({ ...requests, groupBy: { 'a/b': '$.x', ok: 'x' } }, ['/groupBy/a~1b', '/groupBy/ok']);
  check({ ...requests, groupBy: JSON.parse('{"__proto__":"$.x"}') }, ['/groupBy/__proto__']);
  check({ ...requests, groupBy: ['$.x'] }, ['/groupBy']);
  check({ ...requests, filters: [{ path: '$.a', in: [] }, { path: 'a', in: ['x'], not: 1 }, 3] }, [
    '/filters/0/in',
    '/filters/1/path',
    '/filters/1/not',
    '/filters/2/path',
    '/filters/2/in',
  ]);
});

test('a new version keeps key and kind and counts up', () => {
  const first = defined(requests);
  assert.equal(defined({ ...requests, name: 'Requests' }, first).version, 2);
  check({ ...requests, key: 'other' }, ['/key'], first);
  check({ ...requests, kind: 'gauge', aggregation: 'max', valuePath: '$.v' }, ['/kind'], first);
});

test('the built-in meters are definitions anyone could have written', () => {
  for (const { version: _, receipt: __, ...input } of builtinMeters()) {
    assert.deepEqual(defined(input), { ...input, version: 1, receipt: 0 });
  }
  assert.deepEqual(
    builtinMeters().map((m) => `${m.key} ${m.unit}`),
    [
      'network.bytes.received By',
      'network.bytes.sent By',
      'network.packets.received {packet}',
      'network.packets.sent {packet}',
      'network.encapsulation.bytes By',
    ],
  );
});
