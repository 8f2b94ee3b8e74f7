/** Usage as it is billed is the answer "as of S" to the same question, whatever arrived since and whenever the job ran. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Receipt } from '../domain/fact.ts';
import { formatQuantity } from '../domain/quantity.ts';
import { type Instant, windowStart } from '../domain/window.ts';
import { openChdb } from '../store/chdb/usage-chdb.ts';
import { UsageModel } from '../store/model/usage-model.ts';
import type { UsageStore } from '../store/usage-store.ts';
import type { MeteredAt, Usage, UsageRow } from './index.ts';
import type { Metered, MeteredAsk } from './metered.ts';
import { HOUR } from './testing/counter-stream.ts';
import { EventFleet } from './testing/event-fleet.ts';
import { Fleet, T0 } from './testing/fleet.ts';
import { Random } from './testing/random.ts';
import type { World } from './testing/world.ts';

const long = process.env.CI === 'true';
const seeds = (count: number): number[] =>
  process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: count }, (_, i) => i + 1);

type Ask = Omit<MeteredAsk, 'account' | 'meter' | 'from' | 'to'>;

interface Terms {
  meters: readonly string[];
  cuts: readonly Ask[];
}

const plain: Ask = { where: {}, by: [], events: false };

function anyAsks(random: Random, terms: Terms, end: Instant): MeteredAsk[] {
  const spans = Array.from({ length: 2 }, () => {
    const from = T0 - HOUR + random.below(end - T0);
    const to = from + 1 + random.below(40 * HOUR);
    return random.chance(0.6) ? [windowStart(from), windowStart(to) + 900_000] : [from, to];
  });
  return Array.from({ length: 8 }, () => {
    const [from = 0, to = 0] = random.pick(spans);
    const account = random.pick(['a', 'b', 'c', 'nobody']);
    return { account, meter: random.pick(terms.meters), from, to, ...random.pick(terms.cuts) };
  });
}

/** What the query says of an ask, in the words of Metered. */
async function asQueried(usage: Usage, ask: MeteredAsk, asOf: Receipt): Promise<unknown[]> {
  const { trafficType, resource, ...dimensions } = ask.where;
  const filter = {
    accounts: [ask.account],
    subtree: false,
    meters: [ask.meter],
    billable: true,
    trafficTypes: trafficType,
    resources: resource,
    dimensions,
  };
  const query = { filter, from: ask.from, to: ask.to, windowSize: 'total' as const, zone: 'UTC', groupBy: ask.by };
  const { rows } = await usage.query(query, null, asOf);
  return told(rows);
}

/** Rows of which nothing at all is known only say that there is a series: a query has none for them. */
const told = (rows: readonly Pick<UsageRow, 'group' | 'quantity' | 'unit' | 'state' | 'flags'>[]): unknown[] =>
  rows.flatMap(({ group, quantity, unit, state, flags }) =>
    quantity === null && state === 'known' && flags.length === 0 ? [] : [{ group, quantity, unit, state, flags }],
  );

async function check(reader: MeteredAt, world: World, asks: readonly MeteredAsk[], what: string): Promise<void> {
  const answers = await reader.read(asks);
  assert.equal(answers.length, asks.length);
  for (const [i, ask] of asks.entries()) {
    const expected = await asQueried(world.usage, ask, reader.frontier);
    const rows = (answers[i] ?? []).map((row) => ({
      ...row,
      quantity: row.quantity === null ? null : formatQuantity(row.quantity),
      flags: [...row.flags],
    }));
    assert.deepEqual(told(rows), expected, `${what}, S ${reader.frontier}: ${JSON.stringify(ask)}`);
  }
}

interface Life {
  world: World;
  random: Random;
  now: Instant;
  pass(ms: number): Promise<void>;
  interfere(): Promise<void>;
  finish(): Promise<void>;
}

/** Readers opened at any time, of any frontier, and read now or after the job went on. */
async function live(life: Life, terms: Terms, seed: number): Promise<void> {
  const { random } = life;
  const digests: { ask: MeteredAsk; series: string; figures: string; reader: MeteredAt }[] = [];
  const frontiers: Receipt[] = [];
  await life.world.usage.job.run();
  for (let i = 0; i < 5; i++) {
    await life.pass(random.below(random.pick([HOUR, 8 * HOUR, 20 * HOUR])));
    for (let n = random.below(3); n > 0; n--) await life.interfere();
    if (random.chance(0.7)) await life.finish();
    const { usage, receipts } = life.world;
    frontiers.push(receipts.frontier());
    const reader = await usage.meteredAt(random.chance(0.6) ? null : random.pick(frontiers));
    const asks = anyAsks(random, terms, life.now);
    if (random.chance(0.4)) {
      await life.pass(random.below(3 * HOUR));
      if (random.chance(0.5)) await life.interfere();
      await life.finish();
    }
    await check(reader, life.world, asks, `seed ${seed}, step ${i}`);
    const rows = await reader.read(asks);
    for (const [k, ask] of asks.entries())
      digests.push({ ask, series: seriesOf(rows[k]), figures: figuresOf(rows[k]), reader });
  }
  const last = await life.world.usage.meteredAt();
  for (const { ask, figures, reader } of digests) {
    // Without new closed windows the job's frontier may lie before the one that was asked for.
    if (ask.to > reader.closedTo || last.frontier < reader.frontier) continue;
    const changed = await last.changedSince(reader.frontier, ask.from, ask.to);
    if (changed.all || changed.has(ask.account)) continue;
    // Time to settle may have passed, and sources have declared: that changes states, and no figure.
    const [rows] = await last.read([ask]);
    assert.equal(figuresOf(rows), figures, `seed ${seed}: changed since ${reader.frontier}, ${JSON.stringify(ask)}`);
  }
  for (const { ask, series, reader } of digests) {
    if (ask.to > reader.closedTo) continue;
    const again = await life.world.usage.meteredAt(reader.frontier);
    const [rows] = await again.read([ask]);
    assert.equal(seriesOf(rows), series, `seed ${seed}: digests as of ${reader.frontier}, ${JSON.stringify(ask)}`);
    const then = (rows ?? []).flatMap((row) => row.series);
    assert.equal(await again.firstDifference(ask, then), null, `seed ${seed}: ${JSON.stringify(ask)}`);
  }
}

const seriesOf = (rows: readonly Metered[] | undefined): string =>
  (rows ?? []).flatMap((row) => row.series.map((s) => `${s.series} ${s.quantity} ${s.digest}`)).join('\n');

/** Without rows of which nothing is known: a series that is met elsewhere makes one. */
const figuresOf = (rows: readonly Metered[] | undefined): string =>
  (rows ?? [])
    .flatMap((row) => (row.quantity === null ? [] : `${JSON.stringify(row.group)} ${row.quantity} ${row.count}`))
    .join('\n');

const counterTerms: Terms = {
  meters: ['network.bytes.sent', 'network.bytes.sent', 'network.bytes.received', 'p95'],
  cuts: [
    plain,
    { ...plain, by: ['resource'] },
    { ...plain, by: ['trafficType', 'n'] },
    { ...plain, where: { trafficType: ['public', ''] } },
    { ...plain, where: { resource: ['nic-1', 'nic-2', 'nic-3'], n: ['1', '2'] } },
  ],
};

async function counters(store: UsageStore, seed: number): Promise<void> {
  const random = new Random(seed);
  const fleet = await Fleet.open(random, { series: 7, hours: 40, operators: true }, { store, groups: 2 });
  const described = ['public', 'storage', 'guest'] as const;
  await fleet.world.append(
    ...described.map((trafficType, i) => resource(`nic-${i}`, trafficType)),
    { kind: 'meter', meter: p95 },
    ...['a', 'b', 'c'].map((id) => account(id)),
    ...fleet.series.map((s, i) => ({
      kind: 'owner' as const,
      resource: s.resource,
      account: ['a', 'b'][i % 2] ?? '',
      from: 0,
    })),
  );
  await live(fleet, counterTerms, seed);
}

const eventTerms: Terms = {
  meters: ['m1', 'm2', 'm3', 'm4'],
  cuts: [plain, { ...plain, by: ['g'] }, { ...plain, by: ['resource'] }, { ...plain, where: { g: ['x', ''] } }],
};

async function events(store: UsageStore, seed: number): Promise<void> {
  const random = new Random(seed);
  const fleet = await EventFleet.open(random, { store, groups: 1 });
  const keys = new Set(fleet.world.log.book.meters());
  const meters = eventTerms.meters.filter((key) => [...keys].some((m) => m.key === key));
  await fleet.world.append({ ...resource('s1', 'storage'), id: 's1' });
  await live(fleet, { ...eventTerms, meters }, seed);
}

const resource = (id: string, trafficType: 'public' | 'storage' | 'guest') => ({
  kind: 'resource' as const,
  id,
  name: '',
  tag: '',
  trafficType,
  billable: null,
});
const account = (id: string) => ({
  kind: 'account' as const,
  id,
  parent: null,
  name: '',
  zone: 'UTC',
  currency: 'EUR',
  state: 'active' as const,
});
const p95 = {
  key: 'p95',
  version: 1,
  name: '',
  kind: 'percentile' as const,
  eventType: '',
  aggregation: 'max' as const,
  valuePath: '',
  epochPath: '',
  startPath: '',
  groupBy: {},
  filters: [],
  unit: 'bit/s',
  validFor: 0,
  rank: 950,
  of: ['network.bytes.sent', 'network.bytes.received'],
  direction: 'max-of-percentiles' as const,
  billable: true,
  deleted: false,
};

for (const seed of seeds(long ? 25 : 4))
  test(`model, counters as billed, seed ${seed}`, () => counters(new UsageModel(), seed));
for (const seed of seeds(long ? 25 : 4))
  test(`model, events as billed, seed ${seed}`, () => events(new UsageModel(), seed));

// Each takes seconds: the short form leaves them out.
for (const [name, run] of Object.entries({ counters, events }))
  for (const seed of seeds(long ? 1 : 0))
    test(`chDB, ${name} as billed, seed ${seed}`, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'tollgate-metered-'));
      const store = await openChdb({ directory: join(folder, 'store') });
      t.after(async () => {
        await store.close();
        await rm(folder, { recursive: true, force: true });
      });
      await run(store, seed);
    });
