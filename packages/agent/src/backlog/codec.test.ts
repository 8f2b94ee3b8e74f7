import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counterMax, limits } from '@tollgate/event';
import fc from 'fast-check';
import { Writer } from '../spool/bytes.ts';
import { scan } from '../spool/frames.ts';
import { PartReader, PartWriter } from './codec.ts';
import { type Item, type Part, partsOf, REQUEST_BYTES } from './pass.ts';

/** JSON makes plain objects. */
const plain = { noNullPrototype: true } as const;
const instant = fc.integer({ min: 1, max: 4_000_000_000_000 });
const head = fc.record(
  {
    resource: fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }),
    meter: fc.constantFrom('network.bytes.sent', 'network.bytes.received'),
    epoch: fc.constantFrom('e1', 'e2'),
  },
  plain,
);
const items = fc
  .tuple(
    fc.array(
      fc.record(
        { head, at: instant, value: fc.bigInt(0n, counterMax), start: fc.oneof(fc.constant(0), instant) },
        plain,
      ),
    ),
    fc.array(fc.record({ head, at: instant }, plain)),
  )
  .map(([samples, ended]): Item[] => [...samples, ...ended.map((end) => ({ ...end, value: null, start: 0 }))]);
const owners: { account: string | null; from: number }[] = [{ account: 'acme', from: 0 }];
const part = fc.record(
  {
    items,
    resources: fc.array(fc.record({ id: fc.string(), owners: fc.constant<typeof owners>(owners) }, plain), {
      maxLength: 2,
    }),
    completeThrough: fc.oneof(fc.constant(0), instant),
    size: fc.nat(REQUEST_BYTES),
  },
  plain,
);

test('what is written is read: any text, every value up to 2^64 - 1, any order of times', () =>
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const [writer, bytes] = [new PartWriter(), new Writer()];
      for (const one of parts) writer.write(bytes, { ...one, settled: () => undefined });
      const reader = new PartReader();
      const taken = scan(bytes.take()).frames.map(({ payload }) => reader.take(payload));
      const read = taken.map(({ read }) => {
        const { settled: _, ...rest } = read();
        return rest;
      });
      assert.deepEqual(read, parts);
      let first = 1;
      taken.forEach(({ head }, i) => {
        assert.deepEqual([head.number, head.first], [i + 1, first]);
        first += head.items;
      });
    }),
    { numRuns: 60 },
  ));

test('a reading of a series that was named before takes about ten bytes', () => {
  const series = {
    resource: 'host/edge1/eth0',
    meter: 'network.bytes.sent',
    epoch: 'b1/2',
    width: 64,
    layer: 'L2',
  } as const;
  const [writer, bytes] = [new PartWriter(), new Writer()];
  const pass = (value: bigint): Part =>
    partsOf({
      samples: Array.from({ length: 100 }, (_, i) => ({
        head: { ...series, resource: `r${i}` },
        at: 1_790_000_000_000,
        value,
        start: 0,
      })),
      ended: [],
      completeThrough: 1,
    })[0] as Part;
  writer.write(bytes, pass(1n));
  const before = bytes.length;
  writer.write(bytes, pass(2n ** 40n));
  assert.ok(bytes.length - before < 100 * 11, `${bytes.length - before} bytes`);
});

test('a pass is cut so that each part fits in a request: hints first, and only the last vouches for completeness', () => {
  const many = 25_000;
  const resources = Array.from({ length: many }, (_, i) => ({ id: `host/x/r${i}`, name: 'n'.repeat(100) }));
  const samples = resources.map(({ id }) => ({
    head: { resource: id, meter: 'm', epoch: 'e' },
    at: 5,
    value: 1n,
    start: 0,
  }));
  let kept = 0;
  const parts = partsOf({ samples, ended: [], resources, completeThrough: 5, settled: () => kept++ });
  assert.deepEqual(
    parts.flatMap((p) => p.resources),
    resources,
  );
  assert.deepEqual(
    parts.flatMap((p) => p.items.map((item) => item.head)),
    samples.map((s) => s.head),
  );
  for (const { items, resources, size } of parts) {
    assert.ok(items.length <= limits.itemsPerRequest);
    const bytes = Buffer.byteLength(
      JSON.stringify({ resources, items: items.map((i) => [i.head, i.at, String(i.value)]) }),
    );
    assert.ok(bytes <= size && size <= REQUEST_BYTES, `${bytes} ${size}`);
  }
  const told = parts.findIndex((p) => p.items.length > 0);
  assert.ok(parts.slice(told + 1).every((p) => p.resources.length === 0));
  assert.deepEqual(
    parts.map((p) => p.completeThrough),
    [...parts.slice(1).map(() => 0), 5],
  );
  for (const one of parts) one.settled(true);
  assert.equal(kept, 1);
});
