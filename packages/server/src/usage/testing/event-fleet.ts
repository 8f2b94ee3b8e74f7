/** Random events, meters, corrections and owners on a world; event-oracle.ts says what the records should be. */
import type { ControlBody, Replacement } from '../../domain/control-fact.ts';
import type { Receipt, StoredEvent } from '../../domain/fact.ts';
import type { Meter } from '../../domain/meter.ts';
import { type Instant, WINDOW_MS, windowStart } from '../../domain/window.ts';
import { HOUR, MINUTE } from './counter-stream.ts';
import { type Cell, E12, type Known, keyOf, type Of, Oracle, textOf } from './event-oracle.ts';
import { T0 } from './fleet.ts';
import type { Random } from './random.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

const cell = (json: string, value: bigint | null, text: string): Cell => ({ json, value, text });

const ODD: readonly Cell[] = [
  cell('1e3', 1000n * E12, '1e3'),
  cell('-2.5E-2', -25n * 10n ** 9n, '-2.5E-2'),
  cell('"0.10"', 10n ** 11n, '0.10'),
  cell('0.10', 10n ** 11n, '0.10'),
  cell('-0', 0n, '-0'),
  cell('9007199254740993', 9007199254740993n * E12, '9007199254740993'),
  cell('123456789.000000001', 123456789000000001n * 1000n, '123456789.000000001'),
  cell('0.1234567890123', null, '0.1234567890123'),
  cell('1e40', null, '1e40'),
  cell('99999999999999999999999999', 99999999999999999999999999n * E12, '99999999999999999999999999'),
  cell('-99999999999999999999999999.5', -999999999999999999999999995n * 10n ** 11n, '-99999999999999999999999999.5'),
  cell('true', null, 'true'),
  cell('false', null, 'false'),
  cell('null', null, ''),
  cell('"many"', null, 'many'),
  cell('""', null, ''),
  cell('" 1"', null, ' 1'),
  cell('"1\\u0030"', 10n * E12, '10'),
  cell('{"v":1}', null, ''),
  cell('[1]', null, ''),
  cell('18446744073709551616', 18446744073709551616n * E12, '18446744073709551616'),
];
const NOTHING = cell('', null, '');

export class EventFleet {
  world: World;
  now: Instant = T0;
  readonly random: Random;
  readonly known: Known[] = [];
  private readonly voided = new Map<Receipt, Receipt>();
  private readonly sources: Of[];
  private readonly options: WorldOptions;
  private readonly metersMade: Meter[] = [];
  private next = 0;

  private constructor(random: Random, world: World, options: WorldOptions) {
    this.random = random;
    this.world = world;
    this.options = options;
    this.sources = Array.from({ length: 5 }, (_, i) => ({
      tenant: ['', 'a', 'b'][i % 3] ?? '',
      source: `app-${i % 2}`,
      subject: `s${i % 4}`,
    }));
  }

  static async open(random: Random, more: WorldOptions): Promise<EventFleet> {
    const world = await openWorld(T0, more);
    const { store, control, clock } = world;
    const fleet = new EventFleet(random, world, { ...more, store, control, clock });
    await world.append(...['a', 'b'].map((id) => account(id)));
    for (let i = 0; i < 4; i++) await fleet.defineMeter();
    return fleet;
  }

  async restart(): Promise<void> {
    this.world = await openWorld(this.now, this.options);
    this.world.clock.at = this.now;
  }

  /** Time passes; events of it and of before arrive. */
  async pass(ms: number): Promise<void> {
    const from = this.now;
    this.now += ms;
    this.world.clock.at = this.now;
    for (let n = this.random.below(60); n > 0; n--) {
      const late = this.random.chance(0.2) ? this.random.below(20 * HOUR) : 0;
      await this.send(Math.max(T0, from + this.random.below(ms + 1) - late));
    }
    if (this.random.chance(0.5)) await this.declare();
  }

  private async send(t: Instant): Promise<void> {
    const { random, world } = this;
    const at = random.chance(0.1) ? windowStart(t) : t;
    const known = this.make(random.pick(this.sources), random.pick(['use', 'use', 'level', 'other']), at);
    const copies = random.chance(0.1) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const { receipt: _, ...event } = known.event;
      const [receipt = 0] = await world.events([event]);
      if (i === 0) this.known.push({ ...known, event: { ...known.event, receipt } });
    }
  }

  private make(of: Of, type: string, t: Instant): Known {
    const { random } = this;
    const value = (): Cell => {
      if (random.chance(0.08)) return random.pick(ODD);
      if (random.chance(0.03)) return NOTHING;
      const n = random.between(-50, 1000);
      return random.chance(0.5) ? cell(String(n), BigInt(n) * E12, String(n)) : tenths(n);
    };
    const [v, nested] = [value(), value()];
    const g = random.chance(0.1)
      ? random.pick(ODD)
      : random.pick([cell('"x"', null, 'x'), cell('"y"', null, 'y'), NOTHING]);
    const members = [
      ...(v === NOTHING ? [] : [`"v":${v.json}`]),
      ...(g === NOTHING ? [] : [`"g" : ${g.json}`]),
      ...(nested === NOTHING ? [] : [`"a":{"v":${nested.json}}`]),
    ];
    const broken = random.chance(0.02);
    const data = broken ? random.pick(['{"v":1,"v":2}', '', 'no json']) : `{${members.join(',')}}`;
    const set = random.chance(0.15) ? random.pick(['old', 'older']) : '';
    const event: StoredEvent = {
      ...of,
      id: `e${this.next++}`,
      type,
      t,
      sourceTime: t,
      receivedAt: this.now,
      data,
      receipt: 0,
      stamps: 0,
      set,
    };
    return { event, v, nested, g, broken };
  }

  private declare(): Promise<void> {
    const { tenant, source } = this.random.pick(this.sources);
    return this.world.declare(this.now - this.random.below(6 * HOUR), source, tenant);
  }

  async interfere(): Promise<void> {
    const what = this.random.below(6);
    if (what === 0) await this.defineMeter();
    else if (what === 1) await this.own();
    else if (what === 2) await this.voidOne();
    else if (what === 3) await this.amendOne();
    else if (what === 4) await this.undoOne();
    else await this.describeSource();
  }

  private async defineMeter(): Promise<void> {
    const { random } = this;
    const key = random.pick(['m1', 'm2', 'm3', 'm4']);
    const gauge = key === 'm3' || key === 'm4';
    const meter: Omit<Meter, 'receipt'> = {
      key,
      version: this.world.log.book.versions(key).length + 1,
      name: '',
      kind: gauge ? 'gauge' : 'delta',
      eventType: gauge ? 'level' : random.pick(['use', 'use', 'other']),
      aggregation: gauge
        ? random.pick(['integral', 'max', 'last'])
        : random.pick(['sum', 'count', 'avg', 'min', 'max', 'unique', 'latest']),
      valuePath: random.pick(['$.v', '$.a.v']),
      epochPath: '',
      startPath: '',
      groupBy: random.chance(0.5) ? { g: '$.g' } : {},
      filters: random.chance(0.3) ? [{ path: '$.g', in: ['x', '0.10', ''] }] : [],
      unit: '1',
      validFor: gauge && random.chance(0.5) ? random.pick([20 * MINUTE, 3 * HOUR]) : 0,
      rank: 0,
      of: [],
      direction: 'percentile-of-sum',
      billable: true,
      deleted: false,
    };
    if (meter.aggregation === 'count') meter.valuePath = '';
    await this.world.append({ kind: 'meter', meter });
    this.metersMade.push({ ...meter, receipt: 0 });
  }

  private async own(): Promise<void> {
    const { tenant, subject } = this.random.pick(this.sources);
    const facts: ControlBody[] = Array.from({ length: this.random.between(1, 3) }, () => {
      const t = T0 + this.random.below(this.now - T0 + 1);
      const from = this.random.chance(0.3) ? windowStart(t) : t;
      return { kind: 'owner', resource: subject, account: this.random.pick(['a', 'b', null]), from };
    });
    await this.world.log.append(facts, { tenant, author: 'test', reason: '' });
  }

  private pickCounting(): Known | null {
    const list = this.known.filter(({ event }) => !this.voided.has(event.receipt) && !event.id.includes('#'));
    return list.length === 0 ? null : this.random.pick(list);
  }

  private async voidOne(): Promise<void> {
    const known = this.pickCounting();
    if (known === null) return;
    const { tenant, source, id, receipt } = known.event;
    const fact = await this.world.usage.corrections.voidEvent({ tenant, source, id }, { ...who, tenant });
    this.voided.set(receipt, fact.receipt);
  }

  private async amendOne(): Promise<void> {
    const known = this.pickCounting();
    if (known === null) return;
    const { tenant, source, id, receipt, subject, type, t } = known.event;
    const made = this.make(
      { tenant, source, subject },
      type,
      this.random.chance(0.5) ? t : t + this.random.below(HOUR),
    );
    const change = { t: made.event.t, data: made.event.data };
    const fact = await this.world.usage.corrections.amendEvent({ tenant, source, id }, change, { ...who, tenant });
    this.voided.set(receipt, fact.receipt);
    const replacement = (fact.body as { replacement: Replacement }).replacement;
    this.known.push({ ...made, event: { ...made.event, ...replacement, receipt: fact.receipt, set: '' } });
  }

  private async undoOne(): Promise<void> {
    const { random, world } = this;
    if (!random.chance(0.3)) return;
    const name = random.pick(['old', 'older']);
    const author = { ...who, tenant: '' };
    if (world.log.book.set(name) === undefined) await world.usage.corrections.openSet(name, author);
    else if (world.log.book.set(name)?.state === 'open') await world.usage.corrections.undoSet(name, author);
  }

  private async describeSource(): Promise<void> {
    const { random } = this;
    const { tenant, source } = random.pick(this.sources);
    const body: ControlBody = {
      kind: 'source',
      id: source,
      completeness: random.pick(['assumed', 'assumed', 'declared']),
      graceMs: random.pick([15 * MINUTE, 2 * HOUR]),
      settleAfterMs: random.pick([3, 24, 200]) * HOUR,
    };
    await this.world.log.append([body], { tenant, author: 'test', reason: '' });
  }

  async finish(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await this.world.usage.job.run();
      if ((await this.world.control.progress()).every((r) => r.to === null)) return;
    }
    throw new Error('the backlog does not end');
  }

  async differences(): Promise<string[]> {
    const { control, store, registry, log, usage } = this.world;
    const { frontier } = await usage.job.status();
    const book = await log.bookAt(frontier);
    const rows = (await control.progress()).filter((r) => r.stream === 'event');
    const closed = (w: Instant): boolean => rows.some((r) => w >= r.from && w < r.closedTo);
    const edge = Math.max(...rows.map((r) => r.closedTo));
    const oracle = new Oracle(this.known, this.voided, book, await store.declarations(frontier), frontier);
    const out: string[] = [];
    for (const meter of book.meters()) {
      if (meter.kind !== 'delta' && meter.kind !== 'gauge') continue;
      const want = oracle.records(meter, edge);
      const have = new Map<string, string>();
      const series = [...registry.all()].filter((s) => s.meter === meter.key);
      for (const r of await store.tallyRecords(
        series.map((s) => s.id),
        0,
        edge,
      )) {
        const of = series.find((s) => s.id === r.series);
        if (r.isVoid || of === undefined) continue;
        have.set(keyOf(of.tenant, of.source, of.resource, Object.values(of.dimensions), r.window, r.part), textOf(r));
      }
      for (const key of new Set([...want.keys(), ...have.keys()])) {
        const [a, b] = [want.get(key) ?? 'nothing', have.get(key) ?? 'nothing'];
        if (a === b || !closed(T0 + Number(JSON.parse(key)[4]) * WINDOW_MS)) continue;
        out.push(
          `${meter.key} v${meter.version} ${meter.aggregation} ${key} (closed to ${(edge - T0) / WINDOW_MS}): ${b}, should be ${a}`,
        );
      }
    }
    return out;
  }
}

const who = { author: 'operator', reason: 'test' };
const account = (id: string): ControlBody => ({
  kind: 'account',
  id,
  parent: null,
  name: '',
  zone: 'UTC',
  currency: 'EUR',
  state: 'active',
});
const tenths = (n: number): Cell => {
  const text = (n / 10).toFixed(1);
  return cell(text, BigInt(n) * 10n ** 11n, text);
};
