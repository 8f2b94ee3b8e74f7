/** Answers against the pure functions over the whole history: any range, any zone, any owner, open or closed, now and as of S. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { followCounter, usageOf } from '../domain/delta.ts';
import { formatQuantity, SCALE } from '../domain/quantity.ts';
import { type Instant, windowStart } from '../domain/window.ts';
import { openChdb } from '../store/chdb/usage-chdb.ts';
import { UsageModel } from '../store/model/usage-model.ts';
import type { UsageStore } from '../store/usage-store.ts';
import { edgesOf, type UsageQuery, type UsageRow } from './index.ts';
import { HOUR } from './testing/counter-stream.ts';
import { EventFleet } from './testing/event-fleet.ts';
import { Fleet, T0 } from './testing/fleet.ts';
import { Random } from './testing/random.ts';

const long = process.env.CI === 'true';
const seeds = (count: number): number[] =>
  process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: count }, (_, i) => i + 1);

function anyQuery(random: Random, end: Instant, from?: Instant): UsageQuery {
  const size = random.pick(['total', 'minute', 'window', 'hour', 'day', 'month'] as const);
  const begin = from ?? T0 - HOUR + random.below(end - T0);
  const ms = size === 'minute' ? 3 * HOUR : 60 * HOUR;
  const to = begin + 1 + random.below(ms);
  const grid = (t: Instant): Instant => (random.chance(0.5) ? windowStart(t) : t);
  return {
    filter: random.chance(0.3) ? { accounts: [random.pick(['a', 'b', 'unattributed'])] } : {},
    from: grid(begin),
    to: Math.max(grid(to), grid(begin) + 900_000),
    windowSize: size,
    zone: random.pick(['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'Australia/Lord_Howe']),
    groupBy: random.pick([[], ['account'], ['account', 'resource'], ['series'], ['source', 'account']]),
  };
}

/** Sums per group and interval, from nothing but readings and the book. */
async function oracle(fleet: Fleet, query: UsageQuery): Promise<Map<string, string>> {
  const { log, receipts } = fleet.world;
  const frontier = receipts.frontier();
  const book = await log.bookAt(frontier);
  const edges = edgesOf(query);
  const sums = new Map<string, bigint>();
  for (const series of fleet.series) {
    const decisions = book.decisionsFor(series);
    const course = followCounter(
      (fleet.readings.get(series.id) ?? []).filter((r) => r.receipt <= frontier),
      series,
      decisions,
    );
    for (let i = 0; i + 1 < edges.length; i++) {
      const [a = 0, b = 0] = [edges[i], edges[i + 1]];
      for (const owned of book.ownerIntervals(series.tenant, series.resource, a, b)) {
        const account = owned.account ?? 'unattributed';
        if (query.filter.accounts !== undefined && !query.filter.accounts.includes(account)) continue;
        const used = usageOf(course, [owned.from, owned.to], decisions).reduce((n, p) => n + p.used, 0n);
        const names: Record<string, string> = {
          account,
          resource: series.resource,
          source: series.source,
          series: String(series.id),
        };
        const key = JSON.stringify([series.meter, query.groupBy.map((name) => names[name]), a]);
        sums.set(key, (sums.get(key) ?? 0n) + used);
      }
    }
  }
  return new Map([...sums].filter(([, n]) => n > 0n).map(([key, n]) => [key, formatQuantity(n * SCALE)]));
}

const figures = (rows: readonly UsageRow[]): Map<string, string> =>
  new Map(
    rows.flatMap((r) =>
      r.quantity === null || r.quantity === '0'
        ? []
        : [[JSON.stringify([r.meter, Object.values(r.group), r.from]), r.quantity]],
    ),
  );
const whole = (rows: readonly UsageRow[]) => rows.map(({ provisional: _, ...rest }) => rest);

async function ask(store: UsageStore, seed: number): Promise<void> {
  const random = new Random(seed);
  const fleet = await Fleet.open(random, { series: 6, hours: 30, operators: true }, { store, groups: 2 });
  const { usage } = fleet.world;
  await usage.job.run();
  const asked: { query: UsageQuery; frontier: number; rows: UsageRow[] }[] = [];
  for (let i = 0; i < 6; i++) {
    await fleet.pass(random.below(random.pick([HOUR, 8 * HOUR])));
    for (let n = random.below(3); n > 0; n--) await fleet.interfere();
    const { closedTo } = await usage.job.status();
    const open = anyQuery(random, fleet.now, Math.max(closedTo, T0));
    const said = figures((await usage.query(open, null)).rows);
    assert.deepEqual(said, await oracle(fleet, open), `seed ${seed}: open, ${JSON.stringify(open)}`);
    await fleet.finish();
    assert.deepEqual(
      figures((await usage.query(open, null)).rows),
      said,
      `seed ${seed}: closed, ${JSON.stringify(open)}`,
    );
    for (let n = 0; n < 3; n++) {
      const query = anyQuery(random, fleet.now);
      const answer = await usage.query(query, null);
      assert.deepEqual(figures(answer.rows), await oracle(fleet, query), `seed ${seed}: ${JSON.stringify(query)}`);
      asked.push({ query, ...answer });
    }
  }
  for (const { query, frontier, rows } of asked) {
    const again = await usage.query(query, null, frontier);
    assert.deepEqual(whole(again.rows), whole(rows), `seed ${seed}: as of ${frontier}, ${JSON.stringify(query)}`);
  }
}

for (const seed of seeds(long ? 20 : 1)) test(`model, answers, seed ${seed}`, () => ask(new UsageModel(), seed));

// Each takes ten seconds: the short form leaves them out.
for (const seed of seeds(long ? 5 : 0))
  test(`chDB, answers, seed ${seed}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tollgate-answers-'));
    const store = await openChdb({ directory: join(folder, 'store') });
    t.after(async () => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    });
    await ask(store, seed);
  });

/** Series are registered when their windows close: until then a row cannot be explained by their number. */
const unexplained = (rows: readonly UsageRow[]) => whole(rows).map(({ explain: _, ...rest }) => rest);

/** Event meters: what the records add up to is what the events say, asked as of the same S (no record is read then). */
async function askEvents(store: UsageStore, seed: number): Promise<void> {
  const random = new Random(seed);
  const fleet = await EventFleet.open(random, { store, groups: 1 });
  const { usage } = fleet.world;
  await usage.job.run();
  const asked: { query: UsageQuery; frontier: number; rows: UsageRow[] }[] = [];
  for (let i = 0; i < 6; i++) {
    await fleet.pass(random.below(random.pick([HOUR, 8 * HOUR])));
    for (let n = random.below(3); n > 0; n--) await fleet.interfere();
    await fleet.finish();
    for (let n = 0; n < 3; n++) {
      const query = { ...anyQuery(random, fleet.now), groupBy: random.pick([[], ['account'], ['resource', 'g']]) };
      const answer = await usage.query(query, null);
      const fromFacts = await usage.query(query, null, answer.frontier);
      assert.deepEqual(unexplained(answer.rows), unexplained(fromFacts.rows), `seed ${seed}: ${JSON.stringify(query)}`);
      asked.push({ query, ...answer });
    }
  }
  for (const { query, frontier, rows } of asked) {
    const again = await usage.query(query, null, frontier);
    assert.deepEqual(
      unexplained(again.rows),
      unexplained(rows),
      `seed ${seed}: as of ${frontier}, ${JSON.stringify(query)}`,
    );
  }
}

for (const seed of seeds(long ? 20 : 1))
  test(`model, answers of events, seed ${seed}`, () => askEvents(new UsageModel(), seed));
