/** The counter engine against a device that knows the truth, and against input that knows nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CounterSpec, type Course, counterRecords, followCounter, type Piece, usageOf } from './delta.ts';
import { type Reading, Stamp } from './fact.ts';
import { State } from './record.ts';
import { stampReading } from './stamp.ts';
import { DAY, undecided } from './testing/counter-table.ts';
import { flow, move, play, poll, reboot, type Step, slip, vanish } from './testing/device.ts';
import { type Instant, WINDOW_MS, windowStart } from './window.ts';

const numRuns = process.env.CI === 'true' ? 20_000 : 400;
const spec: CounterSpec = { width: 64, lineBits: 0, period: 300_000 };
const steps = (...kinds: fc.Arbitrary<Step>[]) => fc.array(fc.oneof(flow, poll, poll, ...kinds), { maxLength: 40 });
const sum = (list: readonly { amount: bigint }[]): bigint => list.reduce((total, x) => total + x.amount, 0n);
const used = (list: readonly Piece[]): bigint => list.reduce((total, x) => total + x.used, 0n);
const follow = (readings: readonly Reading[], over: CounterSpec = spec): Course =>
  followCounter(readings, over, undecided);

test('the total is the truth less what is reported unobserved', () => {
  fc.assert(
    fc.property(steps(reboot, vanish, move), fc.boolean(), (rest, opens) => {
      const list: Step[] = opens ? [{ do: 'poll', fate: 'arrives', delay: 0 }, ...rest] : rest;
      const story = play(list, DAY, { width: 64, bytesPerSecond: 0 });
      const course = follow(story.readings);
      const unseen = story.traffic.filter(({ t }) => !seenBy(course, t, story.readings));
      const lost = unseen.reduce((total, x) => total + x.bytes, 0n);
      const counted = sum(course.segments);
      assert.ok(counted <= story.total, `${counted} counted of ${story.total}`);
      // What flowed while nothing is reported missing is counted; inside an unobserved interval some of it may be too.
      assert.ok(counted >= story.total - lost, `${story.total - counted} missing, ${lost} reported`);
      // Where every start is known and no two epochs live at once, what is reported is exactly what is missing.
      const plain = opens && list.every((step) => step.do !== 'move' && (!('known' in step) || step.known));
      if (plain) assert.equal(counted, story.total - lost);
      assert.deepEqual(course.setAside, []);
    }),
    { numRuns },
  );
});

/** Whether the course claims to have seen what flowed at `t`: within its reach and in no unobserved interval. */
function seenBy(course: Course, t: Instant, readings: readonly Reading[]): boolean {
  if (course.first === null || course.last === null) return false;
  const known = readings.some((r) => r.start > 0 && r.start === course.first);
  if (t < course.first || (t === course.first && !known) || t > course.last) return false;
  return !course.unobserved.some((i) => t > i.from && t <= i.to);
}

test('with every epoch read to its end nothing is lost at all', () => {
  fc.assert(
    fc.property(fc.array(fc.array(flow, { maxLength: 6 }), { maxLength: 6 }), (epochs) => {
      const read: Step = { do: 'poll', fate: 'arrives', delay: 0 };
      const list: Step[] = [read, ...epochs.flatMap((e): Step[] => [...e, read, { do: 'reboot', ms: 1, known: true }])];
      const story = play(list, DAY, { width: 64, bytesPerSecond: 0 });
      assert.equal(sum(follow(story.readings).segments), story.total);
    }),
    { numRuns },
  );
});

test('resets nobody tells about never count above the truth', () => {
  fc.assert(
    fc.property(steps(slip, reboot), (list) => {
      const story = play(list, DAY, { width: 64, bytesPerSecond: 0 });
      assert.ok(sum(follow(story.readings).segments) <= story.total);
    }),
    { numRuns },
  );
});

test('32-bit counters on a line that fits: never above the truth, exact while no wrap can hide between readings', () => {
  const terms = { width: 32 as const, bytesPerSecond: 12_500_000 };
  const narrow: CounterSpec = { width: 32, lineBits: 100_000_000, period: 10_000 };
  const busy = fc.record({ do: fc.constant('flow' as const), bytes: fc.constant(2 ** 40), ms: fc.nat(200_000) });
  fc.assert(
    fc.property(steps(busy, reboot), (list) => {
      const story = play(list, DAY, terms);
      assert.ok(sum(follow(story.readings, narrow).segments) <= story.total);
    }),
    { numRuns },
  );
  const read: Step = { do: 'poll', fate: 'arrives', delay: 0 };
  fc.assert(
    fc.property(fc.array(busy, { maxLength: 30 }), (flows) => {
      const story = play([read, ...flows.flatMap((f) => [f, read])], DAY, terms);
      assert.equal(sum(follow(story.readings, narrow).segments), story.total);
    }),
    { numRuns },
  );
});

test('a clock that steps moves usage in time, never in size', () => {
  const jump = fc.record({
    ms: fc.integer({ min: 1, max: 20_000 }),
    bytes: fc.nat(1000),
    step: fc.oneof(fc.constant(0), fc.integer({ min: -7_200_000, max: 7_200_000 })),
  });
  fc.assert(
    fc.property(fc.array(jump, { minLength: 1, maxLength: 30 }), (jumps) => {
      let [now, skew, value] = [DAY, 0, 1000n];
      let last: Parameters<typeof stampReading>[0]['last'] = null;
      const readings = jumps.map(({ ms, bytes, step }, i): Reading => {
        now += ms;
        skew += step;
        value += BigInt(bytes);
        const sourceTime = now + skew;
        const arrival = {
          sourceTime,
          sentAt: sourceTime,
          receivedAt: now,
          skewLimitMs: 60_000,
          last,
          run: 'r',
          sequence: i,
          value,
          lineBits: 0,
        };
        const { t, stamps } = stampReading(arrival);
        last = { t, value, epoch: 1, run: 'r', sequence: i };
        assert.equal(stamps & Stamp.late, 0);
        assert.ok(Math.abs(t - now) <= 60_000 + jumps.length);
        return { t, value, epoch: 1, start: 0, receipt: i + 1, stamps };
      });
      const course = follow(readings);
      assert.deepEqual(course.setAside, []);
      assert.equal(sum(course.segments), value - (readings[0]?.value ?? 0n));
    }),
    { numRuns },
  );
});

/** Input from anywhere: few distinct times and values, so that everything collides with everything. */
const anything = fc
  .array(
    fc.record({
      t: fc.oneof(fc.nat(40), fc.nat(4 * WINDOW_MS)),
      value: fc.bigInt({ min: 0n, max: 30n }),
      epoch: fc.integer({ min: 1, max: 3 }),
      start: fc.oneof(fc.constant(0), fc.nat(60)),
      stamps: fc.constantFrom(0, 0, 0, Stamp.end, Stamp.clockBack, Stamp.late),
    }),
    { maxLength: 25 },
  )
  .map((list) =>
    list.map((r, i): Reading => ({ ...r, t: DAY + r.t, start: r.start && DAY + r.start, receipt: i + 1 })),
  );
const spans = fc.constantFrom<CounterSpec>(
  spec,
  { width: 32, lineBits: 8, period: 0 },
  { width: 64, lineBits: 8000, period: 1 },
);

test('the order readings are handed over in does not matter', () => {
  fc.assert(
    fc.property(
      anything.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
      spans,
      ([list, shuffled], over) => {
        const [a, b] = [follow(list, over), follow(shuffled, over)];
        assert.deepEqual(a.segments, b.segments);
        assert.deepEqual(a.unobserved, b.unobserved);
        assert.deepEqual(new Map([...a.verdicts].sort(byKey)), new Map([...b.verdicts].sort(byKey)));
      },
    ),
    { numRuns },
  );
});
const byKey = ([a]: [number, unknown], [b]: [number, unknown]): number => a - b;

test('pieces telescope: for any boundaries they add up to what the course moved', () => {
  const cuts = fc.uniqueArray(fc.integer({ min: -10, max: 5 * WINDOW_MS }), { maxLength: 20 });
  fc.assert(
    fc.property(anything, cuts, spans, (list, inner, over) => {
      const course = follow(list, over);
      const ends = [DAY - 100, DAY + 6 * WINDOW_MS];
      const edges = [...new Set([...ends, ...inner.map((b) => DAY + b)])].sort((a, b) => a - b);
      const pieces = usageOf(course, edges, undecided);
      assert.equal(used(pieces), sum(course.segments));
      assert.equal(used(pieces), used(usageOf(course, ends, undecided)));
      assert.equal(
        pieces.reduce((n, p) => n + p.n, 0),
        course.chains.reduce((n, c) => n + c.kept.length, 0),
      );
      for (const p of pieces) {
        assert.ok(p.used >= 0n && p.seen >= 0 && p.seen <= p.to - p.from);
        assert.ok(p.state !== State.known || p.seen > 0 || p.n > 0);
      }
    }),
    { numRuns },
  );
});

test('inside an epoch without falls usage is last minus first, and the first too when its start is known', () => {
  fc.assert(
    fc.property(anything, (list) => {
      const course = follow(list.filter((r) => r.stamps !== Stamp.end));
      course.chains.forEach((chain, i) => {
        const own = course.segments.filter((s) => s.epoch === chain.epoch);
        if (own.some((s) => s.case === 9)) return;
        const opened = own[0]?.from.receipt === null;
        assert.equal(sum(own), chain.last.value - (opened ? 0n : chain.first.value));
        if (!opened) assert.ok(i === 0 || course.chains[0]?.first.t === chain.first.t);
      });
    }),
    { numRuns },
  );
});

test('every reading has one verdict, and what is kept, repeated, set aside or a marker adds up', () => {
  fc.assert(
    fc.property(anything, spans, (list, over) => {
      const course = follow(list, over);
      assert.deepEqual(
        [...course.verdicts.keys()].sort((a, b) => a - b),
        list.map((r) => r.receipt),
      );
      const kept = course.chains.reduce((n, c) => n + c.kept.length, 0);
      const others = [...course.verdicts.values()].filter((v) => v.code !== 'counted' && v.code !== 'baseline').length;
      assert.equal(kept + others, list.length);
    }),
    { numRuns },
  );
});

test('what was judged stays judged when more comes', () => {
  fc.assert(
    fc.property(anything, spans, fc.nat(25), (list, over, upTo) => {
      const before = follow(list.slice(0, upTo), over);
      const after = follow(list, over);
      const early = after.setAside.filter((s) => s.receipt <= upTo);
      assert.deepEqual(before.setAside, early);
    }),
    { numRuns },
  );
});

test('records are the pieces of the window grid, and parts add up to their window', () => {
  const breaks = fc.array(fc.nat(4 * WINDOW_MS), { maxLength: 4 });
  fc.assert(
    fc.property(anything, breaks, (list, inner) => {
      const course = follow(list);
      const [from, to] = [DAY - WINDOW_MS, DAY + 8 * WINDOW_MS];
      const whole = counterRecords(7, course, from, to, [], undecided);
      const parts = counterRecords(
        7,
        course,
        from,
        to,
        inner.map((b) => DAY + b),
        undecided,
      );
      const edges = Array.from({ length: 10 }, (_, i) => from + i * WINDOW_MS);
      assert.deepEqual(
        whole.map((r) => [r.window, r.used, r.n, r.seen, r.flags, r.state]),
        usageOf(course, edges, undecided).map((p) => [p.from, p.used, p.n, p.seen, p.flags, p.state]),
      );
      for (const record of whole) {
        const own = parts.filter((p) => p.window === record.window);
        assert.equal(
          own.reduce((total, p) => total + p.used, 0n),
          record.used,
        );
        assert.equal(
          own.reduce((total, p) => total + p.seen, 0),
          record.seen,
        );
        assert.ok(own.every((p) => windowStart(p.window + p.part) === p.window));
      }
    }),
    { numRuns },
  );
});
