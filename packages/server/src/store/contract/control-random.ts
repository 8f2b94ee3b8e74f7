/**
 * Random calls to two control stores: whatever is called in whatever order, both answer the same, or refuse with the same
 * code. This is what makes the model a model. Ids of set-aside items are left out: only their order is promised.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ControlStore, Lease, Progress, SetAside } from '../control-store.ts';
import { codeOf } from '../errors.ts';
import { hostile, unstorable } from './control-cases.ts';
import { fact } from './control-facts.ts';
import { key } from './control-registry.ts';

const T = 1_795_000_000_000;

/** What a call may use: answers of earlier calls, so that rows and leases are sometimes current and sometimes stale. */
interface Memory {
  leases: Lease[];
  rows: Progress[];
}
type Call = (store: ControlStore, memory: Memory) => Promise<unknown>;

const small = fc.nat(6);
const text = fc.oneof(fc.constantFrom(...hostile, ...unstorable), fc.constantFrom('a', 'b'));
const pick = <A>(list: readonly A[], at: number): A | undefined => list[at % Math.max(1, list.length)];
const someone = fc.constantFrom('a', 'b', 'c');
const group = fc.nat(1);
const instant = fc.nat(60).map((s) => T + s * 10_000);

const lease = fc.tuple(group, someone, instant).map(
  ([g, who, now]): Call =>
    async (store, memory) => {
      const got = await store.acquireLease(g, who, now, 60_000);
      if (got !== null) memory.leases.push(got);
      return got;
    },
);
const release = small.map(
  (at): Call =>
    async (store, memory) => {
      const held = pick(memory.leases, at);
      return held && store.releaseLease(held);
    },
);
const create = fc
  .record({
    g: group,
    from: instant,
    closed: small,
    length: fc.option(small),
    stream: fc.constantFrom('counter', 'event'),
  })
  .map(
    ({ g, from, closed, length, stream }): Call =>
      async (store, memory) => {
        const to = length === null ? null : from + length * 20_000;
        const row = { stream: stream as 'counter', group: g, from, closedTo: from + closed * 10_000, to, frontier: 0 };
        const made = await store.createProgress(row);
        memory.rows.push(made);
        return made;
      },
  );
const look: fc.Arbitrary<Call> = fc.constant(async (store, memory) => {
  const rows = await store.progress();
  memory.rows.push(...rows);
  return rows;
});
const move = fc
  .record({
    row: fc.nat(40),
    other: fc.nat(40),
    held: fc.nat(20),
    by: small,
    s: fc.nat(5),
    now: instant,
    how: fc.nat(2),
  })
  .map(
    ({ row, other, held, by, s, now, how }): Call =>
      async (store, memory) => {
        // Counted from the newest, which are more often current.
        const [p, q] = [memory.rows.at(-1 - (row % 8)), memory.rows.at(-1 - (other % 8))];
        const l = memory.leases.at(-1 - (held % 4));
        if (!p || !q || !l) return 'nothing to move';
        if (how === 0) return store.advance(p, p.closedTo + by * 10_000, p.frontier + s, l, now);
        if (how === 1) return store.splitProgress(p, p.closedTo + by * 10_000, l, now);
        return store.mergeProgress(p, q, l, now);
      },
  );
const append = fc.tuple(small, text, fc.constantFrom('', 'r')).map(([n, name, reason]): Call => {
  const facts = [fact(n + 1, { tenant: name.slice(0, 100), reason }), fact(n + 2)];
  return (store) => store.appendFacts(facts);
});
const read = fc
  .record({
    after: small,
    limit: small,
    tenant: fc.option(text, { nil: undefined }),
    upTo: fc.option(small, { nil: undefined }),
  })
  .map(({ after, limit, tenant, upTo }): Call => {
    const filter = { ...(tenant === undefined ? {} : { tenant }), ...(upTo === undefined ? {} : { upTo }) };
    return (store) => store.facts(after, limit, filter);
  });
const register = fc.array(fc.tuple(small, text), { maxLength: 4 }).map((keys): Call => {
  const wanted = keys.map(([n, name]) => key(`r${n}`, { dimensions: { d: name } }));
  return (store) => store.registerSeries(wanted);
});
const aside = fc.tuple(small, text).map(([n, name]): Call => {
  const { receipt, tenant } = fact(n + 1);
  const item = {
    identity: name,
    tenant,
    kind: 'event',
    code: 'c',
    reason: `${n}`,
    series: null,
    receipt,
    at: T,
  } as const;
  return (store) => store.addSetAside([{ ...item, content: name, state: 'open', recordedAt: T }]);
});
const list: fc.Arbitrary<Call> = fc.constant(async (store) => {
  const items = await store.setAside({ limit: 50 });
  return items.map(({ id: _, ...item }: SetAside) => item);
});
const block = small.map(
  (n): Call =>
    (store) =>
      store.leaseReceipts(n),
);

const calls = fc.array(
  fc.oneof(
    { arbitrary: lease, weight: 4 },
    { arbitrary: move, weight: 8 },
    { arbitrary: create, weight: 3 },
    { arbitrary: look, weight: 3 },
    fc.oneof(release, append, read, register, aside, list, block),
  ),
  { minLength: 5, maxLength: 40 },
);

const answer = async (call: Call, store: ControlStore, memory: Memory): Promise<unknown> => {
  try {
    return (await call(store, memory)) ?? null;
  } catch (error) {
    return codeOf(error) || error;
  }
};

/** `open` gives two empty stores. */
export const sameAnswers = (open: () => Promise<[ControlStore, ControlStore]>, numRuns: number): Promise<void> =>
  fc.assert(
    fc.asyncProperty(calls, async (program) => {
      const [a, b] = await open();
      const memories: [Memory, Memory] = [
        { leases: [], rows: [] },
        { leases: [], rows: [] },
      ];
      try {
        for (const call of program)
          assert.deepEqual(await answer(call, a, memories[0]), await answer(call, b, memories[1]));
        assert.deepEqual(await a.progress(), await b.progress());
        assert.deepEqual(await a.leases(), await b.leases());
        assert.deepEqual(await a.facts(0, 100), await b.facts(0, 100));
        assert.deepEqual(await a.series(), await b.series());
      } finally {
        await Promise.all([a.close(), b.close()]);
      }
    }),
    { numRuns },
  );
