/** A fleet of random counters on a world: deliveries are stamped as ingest stamps them, operators interfere, jobs run. */
import type { ControlBody } from '../../domain/control-fact.ts';
import { counterRecords, followCounter } from '../../domain/delta.ts';
import { type Receipt, type SeriesReading, Stamp } from '../../domain/fact.ts';
import type { CounterRecord } from '../../domain/record.ts';
import { groupOf, type Series } from '../../domain/series.ts';
import { type LastReading, stampReading } from '../../domain/stamp.ts';
import { type Instant, WINDOW_MS, windowCeil, windowStart } from '../../domain/window.ts';
import type { ControlStore } from '../../store/control-store.ts';
import type { UsageStore } from '../../store/usage-store.ts';
import { counterStream, type Delivery, HOUR } from './counter-stream.ts';
import type { Random } from './random.ts';
import { openWorld, type SteppedClock, type World, type WorldOptions } from './world.ts';

export const T0 = 1_790_000_100_000 - (1_790_000_100_000 % 86_400_000);
export const SKEW_MS = 60_000;
const who = { tenant: '', author: 'operator', reason: 'test' };

/** Stamps in the order of arrival; what it remembers is read back from the store after a restart. */
class Stamps {
  private readonly last = new Map<number, LastReading>();

  static async open(store: UsageStore): Promise<Stamps> {
    const stamps = new Stamps();
    for (const [series, { t, value, epoch }] of await store.lastReadings())
      stamps.last.set(series, { t, value, epoch, run: '', sequence: 0 });
    return stamps;
  }

  stamp(d: Delivery, receipt: Receipt): SeriesReading {
    const { series, sourceTime, value, epoch, start, end, run, sequence } = d;
    const before = this.last.get(series.id) ?? null;
    const { width, lineBits } = series;
    const arrival = { sourceTime, sentAt: 0, receivedAt: d.at, skewLimitMs: SKEW_MS, last: before, run, sequence };
    const { t, stamps, isLast } = stampReading({ ...arrival, value, lineBits, epoch, width, end });
    if (isLast) {
      const kept = end && before !== null ? before : { value, epoch };
      this.last.set(series.id, { t, value: kept.value, epoch: kept.epoch, run, sequence });
    }
    return { series: series.id, t, sourceTime, value, epoch, start, receipt, stamps };
  }
}

export interface FleetTerms {
  series: number;
  hours: number;
  /** Operators interfere: voids, decisions, owners, quarantines. */
  operators: boolean;
}

export class Fleet {
  world: World;
  readonly random: Random;
  /** Every reading that was ever stored, by series. */
  readonly readings = new Map<number, SeriesReading[]>();
  readonly terms: FleetTerms;
  private readonly options: WorldOptions & { store: UsageStore; control: ControlStore; clock: SteppedClock };
  private stamps: Stamps;
  private queue: Delivery[] = [];
  series: Series[] = [];
  now: Instant = T0;

  private constructor(random: Random, terms: FleetTerms, options: Fleet['options'], world: World, stamps: Stamps) {
    this.random = random;
    this.terms = terms;
    this.options = options;
    this.world = world;
    this.stamps = stamps;
  }

  static async open(random: Random, terms: FleetTerms, more: WorldOptions): Promise<Fleet> {
    const world = await openWorld(T0, more);
    const { store, control, clock } = world;
    const fleet = new Fleet(random, terms, { ...more, store, control, clock }, world, await Stamps.open(store));
    fleet.series = await fleet.register();
    for (const series of fleet.series) fleet.queue.push(...counterStream(random, series, T0, T0 + terms.hours * HOUR));
    fleet.queue.sort((a, b) => a.at - b.at);
    return fleet;
  }

  private async register(): Promise<Series[]> {
    const { random, world } = this;
    const rows = Array.from({ length: this.terms.series }, (_, i) => ({
      tenant: '',
      source: `host-${i % 3}`,
      resource: `nic-${i % Math.max(1, this.terms.series - 2)}`,
      meter: random.pick(['network.bytes.sent', 'network.bytes.received']),
      dimensions: { n: String(i) },
      width: random.pick([32, 64, 64] as const),
      lineBits: random.pick([0, 0, 100_000_000]),
      period: random.pick([0, 60_000, 300_000]),
      layer: 'L2',
      witnessOf: 0,
      firstReceipt: 0,
    }));
    return world.registry.register(rows);
  }

  get done(): boolean {
    return this.queue.length === 0;
  }

  /** What arrives in the next `ms` is stored, in batches. */
  async pass(ms: number): Promise<void> {
    this.now += ms;
    const end = this.queue.findIndex((d) => d.at > this.now);
    const due = this.queue.splice(0, end < 0 ? this.queue.length : end);
    while (due.length > 0) await this.store(due.splice(0, this.random.between(1, this.random.pick([20, 2000]))));
    this.world.clock.at = this.now;
  }

  private async store(batch: readonly Delivery[]): Promise<void> {
    const { receipts, store } = this.world;
    const taken = await receipts.take(batch.length);
    const writer = store.writer();
    for (const [i, delivery] of batch.entries()) {
      const reading = this.stamps.stamp(delivery, taken.first + i);
      writer.reading(reading);
      const list = this.readings.get(reading.series);
      if (list === undefined) this.readings.set(reading.series, [reading]);
      else list.push(reading);
    }
    await writer.commit();
    taken.done();
    if (this.random.chance(0.2)) await this.declare(batch);
  }

  private async declare(batch: readonly Delivery[]): Promise<void> {
    const last = batch.at(-1);
    if (last !== undefined) await this.world.declare(last.at - this.random.below(HOUR), last.series.source);
  }

  /** The process ends and another one begins on the same stores. */
  async restart(): Promise<void> {
    this.world = await openWorld(this.now, this.options);
    this.world.clock.at = this.now;
    this.stamps = await Stamps.open(this.options.store);
  }

  /** Someone decides something. */
  async interfere(): Promise<void> {
    const { random, world } = this;
    const series = random.pick(this.series);
    const at = this.someTime();
    const what = random.below(8);
    if (what === 0) await this.own(series, at);
    else if (what === 1) await this.voidOne(series);
    else if (what <= 3) await this.decideOne();
    else if (what === 4) await world.append({ kind: 'quarantine', series: series.id, from: at, code: 'test' });
    else if (what === 5) await this.decideSeries();
    else if (what === 6) await this.unobserved(series, at);
    else await this.settleAfter(series);
  }

  private someTime(): Instant {
    const t = T0 + this.random.below(this.terms.hours * HOUR);
    return this.random.chance(0.4) ? windowStart(t) : t;
  }

  private async own(series: Series, at: Instant): Promise<void> {
    for (const id of ['a', 'b', 'c'])
      if (this.world.log.book.account(id) === undefined)
        await this.world.append({
          kind: 'account',
          id,
          parent: null,
          name: '',
          zone: 'UTC',
          currency: 'EUR',
          state: 'active',
        });
    const facts: ControlBody[] = Array.from({ length: this.random.between(1, 4) }, () => {
      const account = this.random.pick(['a', 'b', 'c', null]);
      return {
        kind: 'owner',
        resource: series.resource,
        account,
        from: this.random.chance(0.3) ? at : this.someTime(),
      };
    });
    await this.world.append(...facts);
  }

  private async voidOne(series: Series): Promise<void> {
    const list = this.readings.get(series.id);
    if (list === undefined) return;
    const { receipt } = this.random.pick(list);
    const found = await this.world.store.findReceipt(receipt);
    // A duplicate collapsed with the one that came first: it cannot be named any more.
    if (found !== null) await this.world.usage.corrections.voidReading(receipt, who);
  }

  private async decideOne(): Promise<void> {
    const open = await this.world.control.setAside({ state: 'open', limit: 100 });
    if (open.length === 0) return;
    await this.world.usage.corrections.decide(this.random.pick(open).id, this.random.pick(['release', 'drop']), who);
  }

  private async decideSeries(): Promise<void> {
    const [found] = [...this.world.log.book.quarantinedSeries()];
    if (found === undefined) return;
    const action = this.random.pick(['release', 'drop'] as const);
    await this.world.append({ kind: 'decision', action, target: null, series: found.series, at: found.from });
  }

  private async unobserved(series: Series, from: Instant): Promise<void> {
    const span = { from, to: from + 1 + this.random.below(20 * HOUR) };
    const about = this.random.chance(0.5)
      ? { series: series.id, source: null }
      : { series: null, source: series.source };
    await this.world.append({ kind: 'unobserved', ...about, ...span });
  }

  private async settleAfter(series: Series): Promise<void> {
    const settleAfterMs = this.random.pick([2, 6, 24, 200]) * HOUR;
    await this.world.append({
      kind: 'source',
      id: series.source,
      completeness: 'assumed',
      graceMs: 900_000,
      settleAfterMs,
    });
  }

  /** Runs the job until no backlog is left. */
  async finish(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await this.world.usage.job.run();
      const rows = await this.world.control.progress();
      if (rows.every((r) => r.to === null)) return;
    }
    throw new Error('the backlog does not end');
  }

  /** What the records should be, by the whole history and the pure functions alone: [what is missing, what is wrong]. */
  async differences(): Promise<string[]> {
    const { control, store, log } = this.world;
    const { frontier } = await this.world.usage.job.status();
    const book = await log.bookAt(frontier);
    const rows = (await control.progress()).filter((r) => r.stream === 'counter');
    const out: string[] = [];
    const ids = this.series.map((s) => s.id);
    const stored = new Map<number, CounterRecord[]>();
    for (const { frontier: _, ...r } of await store.counterRecords(ids, 0, 2 ** 32 * 1000 - WINDOW_MS)) {
      if (r.isVoid) continue;
      const list = stored.get(r.series);
      if (list === undefined) stored.set(r.series, [r]);
      else list.push(r);
    }
    for (const series of this.series) {
      const spans = rows.filter((r) => r.group === groupOf(series.id));
      const closed = (r: CounterRecord) => spans.some((s) => r.window >= s.from && r.window < s.closedTo);
      const expected = this.expected(series, book, frontier).filter(closed);
      out.push(...compare(expected, stored.get(series.id) ?? [], series, rows[0]?.closedTo ?? 0));
    }
    return out;
  }

  expected(series: Series, book: World['log']['book'], frontier: Receipt): CounterRecord[] {
    const readings = (this.readings.get(series.id) ?? []).filter((r) => r.receipt <= frontier);
    if (readings.length === 0) return [];
    const decisions = book.decisionsFor(series);
    const course = followCounter(readings, series, decisions);
    const times = readings.flatMap((r) => [r.t, r.start > 0 ? r.start : r.t]);
    const from = windowStart(Math.min(...times));
    const to = windowCeil(Math.max(...times) + 1);
    const breakpoints = book.ownerChanges(series.tenant, series.resource, from, to);
    return counterRecords(series.id, course, from, to, breakpoints, decisions);
  }
}

const keyOf = (r: CounterRecord): string => `${(r.window - T0) / WINDOW_MS}+${r.part}`;
const textOf = (r: CounterRecord | undefined): string =>
  r === undefined ? 'nothing' : `used ${r.used} n${r.n} seen ${r.seen} f${r.flags} s${r.state}`;

function compare(
  expected: readonly CounterRecord[],
  actual: readonly CounterRecord[],
  series: Series,
  closedTo: Instant,
): string[] {
  const by = (list: readonly CounterRecord[]) => new Map(list.map((r) => [keyOf(r), r]));
  const [want, have] = [by(expected), by(actual)];
  const out: string[] = [];
  for (const key of new Set([...want.keys(), ...have.keys()])) {
    const [a, b] = [textOf(want.get(key)), textOf(have.get(key))];
    if (a !== b)
      out.push(`series ${series.id} window ${key} (closed to ${(closedTo - T0) / WINDOW_MS}): ${b}, should be ${a}`);
  }
  return out;
}

export const isLate = (r: SeriesReading): boolean => (r.stamps & Stamp.late) !== 0;
