/** Facts go in, come out as they were, and count once. */
import assert from 'node:assert/strict';
import { Stamp } from '../../domain/fact.ts';
import type { IdentityRow, UsageStore } from '../usage-store.ts';
import { Range } from '../usage-store.ts';
import {
  ALL,
  ALL_TIME,
  DAY,
  declarationAt,
  eventAt,
  eventsOf,
  hashOf,
  MINUTE,
  readingAt,
  texts,
  U64_MAX,
  type UsageCases,
  W,
  write,
} from './usage-cases.ts';

export const usageFactCases: UsageCases = {
  'an event comes back byte for byte, whatever is in its fields': async ({ store, again }) => {
    const events = texts.flatMap((text, i) => [
      eventAt(10 * i + 1, { tenant: text, type: 'api.call' }),
      eventAt(10 * i + 2, { source: text }),
      eventAt(10 * i + 3, { id: text }),
      eventAt(10 * i + 4, { subject: text }),
      eventAt(10 * i + 5, { data: JSON.stringify({ text }) }),
      eventAt(10 * i + 6, { data: text, set: text }),
      eventAt(10 * i + 7, { type: `t${text}` }),
    ]);
    await write(store, { events });
    const types = ['api.call', ...texts.map((text) => `t${text}`)];
    assert.deepEqual(await eventsOf(store, { types }), events);
    for (const text of texts) {
      const by = { tenant: text, ...(text.length % 2 === 0 ? { source: 'app' } : { subject: 'shop' }) };
      assert.deepEqual(
        await eventsOf(store, by),
        events.filter((e) => e.tenant === text && e.type === 'api.call'),
      );
      assert.deepEqual(
        await store.findEvent('acme', 'app', text),
        events.filter((e) => e.id === text),
      );
    }
    assert.deepEqual(await eventsOf(await again(), { types }), events);
  },

  'a declaration comes back whatever is in its fields': async ({ store }) => {
    const declarations = texts.flatMap((text, i) => [
      declarationAt(3 * i + 1, { tenant: text, source: `s${i}` }),
      declarationAt(3 * i + 2, { source: text }),
      declarationAt(3 * i + 3, { run: text, source: `r${i}` }),
    ]);
    await write(store, { declarations });
    const found = (await store.acceptedNumbers()).map((m) => JSON.stringify(m)).sort();
    const told = declarations.map(({ tenant, source, run, firstSequence: first, lastSequence: last }) =>
      JSON.stringify({ tenant, source, run, first, last }),
    );
    assert.deepEqual(found, told.sort());
  },

  'events given as bytes are stored as those given as objects': async ({ store }) => {
    const body = Buffer.from('src-1id-1api.callshop{"a": [1, 2]}src-2id\\2api.call{"t":"a\\u0000\\n"}ignored');
    const ranges = new Int32Array(3 * Range.width);
    const put = (p: number, field: number, text: string, from: number): number => {
      const at = body.indexOf(text, from);
      ranges[p * Range.width + field] = at;
      ranges[p * Range.width + field + 1] = at + text.length;
      return at + text.length;
    };
    let end = put(
      0,
      Range.data,
      '{"a": [1, 2]}',
      put(
        0,
        Range.subject,
        'shop',
        put(0, Range.type, 'api.call', put(0, Range.id, 'id-1', put(0, Range.source, 'src-1', 0))),
      ),
    );
    end = put(1, Range.type, 'api.call', put(1, Range.id, 'id\\2', put(1, Range.source, 'src-2', end)));
    put(1, Range.data, '{"t":"a\\u0000\\n"}', end);
    const writer = store.writer();
    if (writer.rawEvents === undefined) return;
    const identity = new Uint32Array(12).fill(5);
    writer.rawEvents({
      bytes: body,
      count: 3,
      ranges,
      take: Uint8Array.of(1, 1, 0),
      t: Float64Array.of(DAY, DAY + 1, DAY + 2),
      sourceTime: Float64Array.of(DAY + 7, DAY - 7, DAY),
      stamps: Uint8Array.of(0, 4, 0),
      identity,
      tenant: 'ac\tme',
      set: "o'set",
      receivedAt: DAY + 50,
      firstReceipt: 100,
    });
    body.fill(0);
    await writer.commit();
    const common = { tenant: 'ac\tme', set: "o'set", receivedAt: DAY + 50 };
    assert.deepEqual(await eventsOf(store), [
      eventAt(100, { ...common, source: 'src-1', id: 'id-1', data: '{"a": [1, 2]}', t: DAY, sourceTime: DAY + 7 }),
      eventAt(101, {
        ...common,
        source: 'src-2',
        id: 'id\\2',
        subject: '',
        data: '{"t":"a\\u0000\\n"}',
        t: DAY + 1,
        sourceTime: DAY - 7,
        stamps: 4,
      }),
    ]);
  },

  'of events with one tenant, source, id, type and time the lowest receipt stays': async ({ store }) => {
    const id = 'same';
    await write(store, { events: [eventAt(20, { id, data: '"second"' }), eventAt(21, { id, t: DAY + 1 })] });
    await write(store, { events: [eventAt(10, { id, data: '"first"' }), eventAt(22, { id, tenant: 'other' })] });
    await write(store, { events: [eventAt(30, { id, data: '"third"' })] });
    assert.deepEqual(
      (await eventsOf(store)).map((e) => e.receipt),
      [10, 22, 21],
    );
    assert.deepEqual(
      (await store.findEvent('acme', 'app', id)).map((e) => e.receipt),
      [10, 21],
    );
    assert.deepEqual((await eventsOf(store, { frontier: 9 })).length, 0);
    // What is not yet known at S does not hide what is.
    await write(store, { events: [eventAt(5, { id: 'x', data: '"a"' }), eventAt(50, { id: 'x', data: '"b"' })] });
    assert.deepEqual(
      (await eventsOf(store, { frontier: 5 })).map((e) => e.data),
      ['"a"'],
    );
  },

  'a voided event or an undone set is gone, and its duplicate does not step in': async ({ store }) => {
    await write(store, { events: [eventAt(1), eventAt(2, { id: 'e-1' }), eventAt(3, { set: 'oops' }), eventAt(4)] });
    assert.deepEqual(
      (await eventsOf(store, { voided: [1] })).map((e) => e.receipt),
      [3, 4],
    );
    assert.deepEqual(
      (await eventsOf(store, { undoneSets: ['oops', "o'x"] })).map((e) => e.receipt),
      [1, 4],
    );
  },

  'many events come in pages, in time and receipt order, both ways and up to a limit': async ({ store }) => {
    const events = Array.from({ length: 2500 }, (_, i) =>
      eventAt(1 + ((i * 7919) % 2500), { t: DAY + (i % 50) * 3 * MINUTE }),
    );
    await write(store, { events });
    const ordered = [...events].sort((a, b) => a.t - b.t || a.receipt - b.receipt).map((e) => e.receipt);
    assert.deepEqual(
      (await eventsOf(store)).map((e) => e.receipt),
      ordered,
    );
    assert.deepEqual(
      (await eventsOf(store, { descending: true })).map((e) => e.receipt),
      [...ordered].reverse(),
    );
    assert.deepEqual(
      (await eventsOf(store, { descending: true, limit: 70 })).map((e) => e.receipt),
      ordered.slice(-70).reverse(),
    );
    const some = events.filter((e) => e.t >= DAY + MINUTE && e.t < DAY + 40 * MINUTE);
    assert.equal((await eventsOf(store, { from: DAY + MINUTE, to: DAY + 40 * MINUTE })).length, some.length);
  },

  'events of many subjects are found each in windows of its own': async ({ store }) => {
    const subjects = ['vm-1', 'vm-2', ...texts];
    const events = subjects.flatMap((subject, k) =>
      Array.from({ length: 12 }, (_, i) => eventAt(1 + i * subjects.length + k, { subject, t: DAY + i * 5 * MINUTE })),
    );
    events.sort((a, b) => a.receipt - b.receipt);
    await write(store, { events });
    const within = [
      { subject: 'vm-1', window: DAY },
      { subject: 'vm-1', window: DAY + 2 * W },
      { subject: 'vm-2', window: DAY + W },
      ...texts.map((subject) => ({ subject, window: DAY + 3 * W })),
      { subject: 'nobody', window: DAY },
    ];
    const own = events.filter((e) => within.some((w) => w.subject === e.subject && w.window === e.t - (e.t % W)));
    assert.equal(own.length, 9 + 3 * texts.length);
    assert.deepEqual(
      (await eventsOf(store, { within })).map((e) => e.receipt),
      own.map((e) => e.receipt),
    );
    const [from, to] = [DAY + 5 * MINUTE, DAY + 40 * MINUTE];
    assert.deepEqual(
      (await eventsOf(store, { within, from, to, descending: true })).map((e) => e.receipt),
      own.flatMap((e) => (e.t >= from && e.t < to ? [e.receipt] : [])).reverse(),
    );
    assert.deepEqual(await eventsOf(store, { within: [] }), []);
    for (const some of [texts, ['vm-2', 'nobody'], []]) {
      assert.deepEqual(
        (await eventsOf(store, { subjects: some, to })).map((e) => e.receipt),
        events.flatMap((e) => (some.includes(e.subject) && e.t < to ? [e.receipt] : [])),
      );
    }
  },

  'events over more months than one insert may touch are all written': async ({ store }) => {
    const month = 31 * 86_400_000;
    const events = Array.from({ length: 101 }, (_, i) => eventAt(i + 1, { t: (i + 1) * month }));
    await write(store, { events });
    assert.equal((await eventsOf(store)).length, 101);
    assert.equal(await store.extent(ALL), month);
  },

  'an instant no column can hold is refused by name, and the rest of the store goes on': async ({ store }) => {
    await assert.rejects(
      async () => {
        const writer = store.writer();
        writer.reading(readingAt(1, 1, { t: -1 }));
        await writer.commit();
      },
      { code: 'store.number_range' },
    );
    await write(store, { events: [eventAt(2)] });
    assert.equal((await eventsOf(store)).length, 1);
  },

  'a reading that is no 64-bit count is refused by name, not wrapped': async ({ store }) => {
    for (const value of [-1n, -2n, U64_MAX + 1n]) {
      await assert.rejects(
        async () => {
          const writer = store.writer();
          writer.reading(readingAt(1, 1, { value }));
          await writer.commit();
        },
        { code: 'store.number_range' },
        String(value),
      );
    }
    await write(store, { readings: [readingAt(1, 2, { value: U64_MAX })] });
    assert.deepEqual((await store.readings([1], DAY, DAY + 1, ALL)).get(1), [readingAt(1, 2, { value: U64_MAX })]);
  },

  'readings come back exactly, by series, in receipt order': async ({ store }) => {
    const edges = [0n, 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, U64_MAX];
    const readings = edges.map((value, i) =>
      readingAt(i % 2, 100 - i, {
        t: DAY + i,
        value,
        epoch: 2 ** 52 - 1 - i,
        start: i % 2 === 0 ? 0 : DAY - 5,
        stamps: i * 13,
        sourceTime: DAY + 9 - i * i,
      }),
    );
    await write(store, { readings });
    const found = await store.readings([0, 1, 2], DAY, DAY + 6, ALL);
    for (const id of [0, 1]) {
      const own = readings.filter((r) => r.series === id).sort((a, b) => a.receipt - b.receipt);
      assert.deepEqual(found.get(id), own);
    }
    assert.equal(found.has(2), false);
    assert.deepEqual(
      [...(await store.readings([0], DAY + 2, DAY + 4, ALL)).values()].flat().map((r) => r.t),
      [DAY + 2],
    );
    assert.deepEqual(await store.findReceipt(100), { reading: readings[0] });
    assert.equal(await store.findReceipt(7), null);
  },

  'equal readings collapse to the lowest receipt; another value, epoch or end marker stays': async ({ store }) => {
    const at = { t: DAY, value: 5n };
    await write(store, { readings: [readingAt(1, 9, at), readingAt(1, 8, { ...at, value: 6n })] });
    await write(store, { readings: [readingAt(1, 3, at), readingAt(1, 4, { ...at, epoch: 8 }), readingAt(2, 1, at)] });
    await write(store, {
      readings: [
        readingAt(1, 12, at),
        readingAt(1, 5, { t: DAY, value: 0n }),
        readingAt(1, 6, { t: DAY, stamps: Stamp.end }),
      ],
    });
    const receipts = async (frontier: number): Promise<number[]> =>
      ((await store.readings([1], DAY, DAY + 1, frontier)).get(1) ?? []).map((r) => r.receipt);
    assert.deepEqual(await receipts(ALL), [3, 4, 5, 6, 8]);
    assert.deepEqual(await receipts(5), [3, 4, 5]);
    assert.deepEqual(await receipts(2), []);
  },

  'the nearest readings are found across days, and only up to the frontier': async ({ store, again }) => {
    const day = 86_400_000;
    await write(store, {
      readings: [
        readingAt(1, 10, { t: DAY - 40 * day }),
        readingAt(1, 90, { t: DAY - 2 * day }),
        readingAt(1, 11, { t: DAY + 5 }),
        readingAt(1, 12, { t: DAY + 70 * day }),
        readingAt(2, 13, { t: DAY - 1 }),
        readingAt(3, 95, { t: DAY + 9 * day }),
      ],
    });
    for (const reopened of [false, true]) {
      const s = reopened ? await again() : store;
      const found = async (side: 'readingBefore' | 'readingAfter', t: number, frontier: number) =>
        Object.fromEntries(await s[side]([1, 2, 3, 4], t, frontier));
      assert.deepEqual(await found('readingBefore', DAY, ALL), { 1: DAY - 2 * day, 2: DAY - 1 });
      assert.deepEqual(await found('readingBefore', DAY, 80), { 1: DAY - 40 * day, 2: DAY - 1 });
      assert.deepEqual(await found('readingBefore', DAY + 5, 80), { 1: DAY - 40 * day, 2: DAY - 1 });
      assert.deepEqual(await found('readingBefore', DAY + 6, 80), { 1: DAY + 5, 2: DAY - 1 });
      assert.deepEqual(await found('readingAfter', DAY + 5, ALL), { 1: DAY + 5, 3: DAY + 9 * day });
      assert.deepEqual(await found('readingAfter', DAY + 6, ALL), { 1: DAY + 70 * day, 3: DAY + 9 * day });
      assert.deepEqual(await found('readingAfter', DAY + 6, 80), { 1: DAY + 70 * day });
    }
  },

  'epochs are found with the windows of their first and last readings, day by day': async ({ store, again }) => {
    const day = 86_400_000;
    const at = (series: number, receipt: number, t: number, epoch: number) => readingAt(series, receipt, { t, epoch });
    await write(store, {
      readings: [
        at(1, 10, DAY - 3 * day, 7),
        at(1, 11, DAY + W + 5, 7),
        at(1, 99, DAY + 3 * W, 7),
        at(1, 12, DAY + 2 * W + 1, 8),
        at(1, 13, DAY + day, 8),
        at(2, 14, DAY, 9),
      ],
    });
    for (const reopened of [false, true]) {
      const s = reopened ? await again() : store;
      const found = async (from: number, to: number) =>
        new Map(
          [...(await s.epochExtents([1, 3], from, to))].map(([id, l]) => [id, l.sort((a, b) => a.epoch - b.epoch)]),
        );
      const first = { epoch: 7, first: DAY + W, last: DAY + 3 * W };
      const today = [first, { epoch: 8, first: DAY + 2 * W, last: DAY + 2 * W }];
      assert.deepEqual(await found(DAY + 9, DAY + 10), new Map([[1, today]]));
      const all = [
        { ...first, first: DAY - 3 * day },
        { epoch: 8, first: DAY + 2 * W, last: DAY + day },
      ];
      assert.deepEqual(await found(DAY - 3 * day, DAY + day), new Map([[1, all]]));
    }
  },

  'the last reading of a series is the latest by time that was not too fast': async ({ store }) => {
    await write(store, {
      readings: [
        readingAt(1, 1, { t: DAY, value: 1n }),
        readingAt(1, 4, { t: DAY + 2 * W, value: 3n }),
        readingAt(1, 3, { t: DAY + 2 * W, value: U64_MAX }),
        readingAt(1, 5, { t: DAY + W, value: 2n, stamps: Stamp.late }),
        readingAt(2, 6, { t: DAY, value: 4n }),
        readingAt(2, 7, { t: DAY + 9 * W, value: 9n, stamps: Stamp.fast }),
        readingAt(3, 8, { t: DAY + 1, stamps: Stamp.end }),
      ],
    });
    const last = await store.lastReadings();
    assert.deepEqual(
      [...last].sort(([a], [b]) => a - b).map(([id, r]) => [id, r.t, r.value, r.epoch, r.receipt]),
      [
        [1, DAY + 2 * W, U64_MAX, 7, 3],
        [2, DAY, 4n, 7, 6],
        [3, DAY + 1, 0n, 7, 8],
      ],
    );
  },

  'identities come back for repair, from a receipt and a moment on': async ({ store }) => {
    await write(store, {
      events: [eventAt(1), eventAt(2, { t: DAY - 5 * W, receivedAt: DAY + 5 }), eventAt(3, { receivedAt: DAY + 2000 })],
    });
    const collect = async (after: number, since?: number): Promise<IdentityRow[]> => {
      const out: IdentityRow[] = [];
      for await (const page of store.identities(after, since)) out.push(...page);
      return out.sort((a, b) => a.receipt - b.receipt);
    };
    assert.deepEqual(await collect(1), [
      { ...hashOf(eventAt(2)), t: DAY - 5 * W, receipt: 2, receivedAt: DAY + 5 },
      { ...hashOf(eventAt(3)), t: DAY, receipt: 3, receivedAt: DAY + 2000 },
    ]);
    assert.deepEqual(
      (await collect(0, DAY + 1000)).map((r) => r.receipt),
      [1, 3],
    );
    assert.deepEqual(await collect(3), []);
  },

  'many identities are found in one pass, each with all its times': async ({ store }) => {
    const events = Array.from({ length: 60 }, (_, i) => eventAt(i + 1, { t: DAY + i * W }));
    await write(store, { events: [...events, eventAt(101, { id: 'e-1', t: DAY + 1 })] });
    if (store.findEvents === undefined) return;
    const wanted = [1, 2, 30, 60, 7].map((n) => ({
      tenant: 'acme',
      source: 'app',
      id: `e-${n}`,
      ...hashOf(eventAt(n)),
    }));
    const nobody = { tenant: 'acme', source: 'app', id: "n'one", ...hashOf(eventAt(3)) };
    const found = await store.findEvents([...wanted, nobody]);
    assert.deepEqual(
      found.map((list) => list.map((e) => e.receipt)),
      [[1, 101], [2], [30], [60], [7], []],
    );
    assert.deepEqual(await store.findEvents([]), []);
  },

  'windows touched by events since a receipt are named once each': async ({ store }) => {
    await write(store, {
      events: [
        eventAt(1),
        eventAt(2, { t: DAY + 5 }),
        eventAt(3, { t: DAY + 3 * W }),
        eventAt(4, { type: 'x', t: DAY - 1 }),
        eventAt(5, { t: DAY + 9 * W }),
      ],
    });
    const touched = await store.touchedEvents(['api.call', 'x'], DAY + 9 * W, 1, 5);
    assert.deepEqual(touched.map((t) => `${t.type} ${(t.window - DAY) / W}`).sort(), [
      'api.call 0',
      'api.call 3',
      'x -1',
    ]);
    assert.deepEqual(await store.touchedEvents(['api.call'], DAY + 9 * W, 3, 5), []);
    assert.deepEqual(await store.touchedEvents([], ALL_TIME, 0, ALL), []);
  },

  'a source is complete as far as its highest declaration up to the frontier': async ({ store }) => {
    const seen = async (frontier: number) =>
      (await store.declarations(frontier)).map((d) => [d.tenant, d.source, d.completeThrough, d.receivedAt]).sort();
    await write(store, {
      declarations: [
        declarationAt(1, { completeThrough: DAY + 9, receivedAt: DAY + 1 }),
        declarationAt(2, { receivedAt: DAY + 2 }),
      ],
    });
    assert.deepEqual(await seen(2), [['acme', 'app', DAY + 9, DAY + 2]]);
    await write(store, {
      declarations: [
        declarationAt(3, { completeThrough: DAY + 20, run: 'run-2', lastSequence: 1 }),
        declarationAt(4, { source: 'b', completeThrough: 0 }),
      ],
    });
    assert.deepEqual(await seen(3), [['acme', 'app', DAY + 20, DAY + 2]]);
    assert.deepEqual(await seen(4), [
      ['acme', 'app', DAY + 20, DAY + 2],
      ['acme', 'b', 0, DAY],
    ]);
    // Asked again as of an earlier frontier, the same as then.
    assert.deepEqual(await seen(1), [['acme', 'app', DAY + 9, DAY + 1]]);
  },

  'the extent begins with the earliest time or declared start': async ({ store }) => {
    assert.equal(await store.extent(ALL), null);
    await write(store, { events: [eventAt(3, { t: DAY + 7 })] });
    assert.equal(await store.extent(ALL), DAY + 7);
    assert.equal(await store.extent(2), null);
    await write(store, { readings: [readingAt(1, 4, { t: DAY + 5, start: DAY + 2 }), readingAt(1, 9, { t: DAY })] });
    assert.equal(await store.extent(4), DAY + 2);
    assert.equal(await store.extent(ALL), DAY);
  },

  'a writer that took nothing commits nothing': async ({ store }) => {
    const writer = store.writer();
    assert.equal(writer.size, 0);
    await writer.commit();
    assert.deepEqual(await healthOf(store), { writable: true });
  },

  'commits side by side are all kept': async ({ store }) => {
    const commits = Array.from({ length: 20 }, (_, i) =>
      write(store, {
        events: [eventAt(i + 1)],
        readings: [readingAt(i, i + 100)],
        declarations: [declarationAt(i + 200)],
      }),
    );
    await Promise.all(commits);
    assert.equal((await eventsOf(store)).length, 20);
    assert.equal((await store.lastReadings()).size, 20);
  },
};

const healthOf = async (store: UsageStore): Promise<{ writable: boolean }> => ({
  writable: (await store.health()).writable,
});
