/**
 * One run of the simulation: hosts with counters and our own publisher, services that send events, a server that crashes
 * and comes back, a disk that fails, a network that loses and repeats, clocks that step. At the end the weather is calm,
 * everybody is heard out, and the laws must hold.
 */
import assert from 'node:assert/strict';
import { networkMeters, Publisher, publisherDefaults } from '@tollgate/agent';
import type { ControlBody } from 'tollgate/domain/control-fact.js';
import { defineMeter } from 'tollgate/domain/define-meter.js';
import { isCounter } from 'tollgate/domain/meter.js';
import { type CounterRecord, Flag } from 'tollgate/domain/record.js';
import type { Series } from 'tollgate/domain/series.js';
import { WINDOW_MS, windowCeil, windowStart } from 'tollgate/domain/window.js';
import type { UsageRow } from 'tollgate/usage/index.js';
import { Device } from './device.ts';
import { type Faults, lazily } from './faulty.ts';
import { Lots } from './lots.ts';
import { type Disk, Machine } from './machine.ts';
import { calm, SimulatedNetwork, type Weather } from './network.ts';
import { type MachineClock, VirtualTime } from './time.ts';
import { bytesOf, checkOwnFrontier, pureAt } from './workers.ts';

const T0 = Date.UTC(2026, 2, 28, 18);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const author = { tenant: '', author: 'simulation', reason: 'simulation' };

export interface Played {
  readonly crashes: number;
  readonly events: number;
  readonly readings: number;
  readonly records: number;
  readonly faults: number;
}

/** How rough this seed is; some seeds have kind clocks, so that what only a wrong clock may cause can be ruled out. */
interface Climate {
  readonly weather: Weather;
  readonly disk: number;
  readonly crashEveryMs: number;
  readonly clockSteps: boolean;
  readonly hours: number;
}

const climateOf = (lots: Lots): Climate => ({
  weather: { lost: lots.pick([0, 0.02, 0.2]), delayMs: lots.pick([0, 500, 20_000]), ghost: lots.pick([0, 0.02]) },
  disk: lots.pick([0, 0.01, 0.05]),
  crashEveryMs: lots.pick([20, 60, 240]) * MINUTE,
  clockSteps: lots.chance(0.3),
  hours: lots.int(2, 6),
});

class Simulation {
  readonly lots: Lots;
  readonly time = new VirtualTime(T0);
  readonly clock: MachineClock;
  readonly disk: Disk;
  readonly climate: Climate;
  readonly end: number;
  readonly network: SimulatedNetwork;
  machine: Machine | undefined;
  calm = false;
  crashes = 0;
  faults = 0;
  readings = 0;
  readonly #stop = new AbortController();
  readonly devices: { device: Device; host: string }[] = [];
  readonly publishers: { publisher: Publisher; done: Promise<unknown> }[] = [];
  readonly acknowledged = new Map<string, bigint>();
  events = 0;
  readonly asked: { frontier: number; from: number; to: number; rows: UsageRow[] }[] = [];

  constructor(seed: number, disk: Disk, hours: number | undefined) {
    this.lots = new Lots(seed);
    this.disk = disk;
    const climate = climateOf(this.lots);
    this.climate = { ...climate, hours: hours ?? climate.hours };
    this.clock = this.time.clock();
    this.end = T0 + this.climate.hours * HOUR;
    this.network = new SimulatedNetwork(this.lots.branch(), this.time, () => this.machine, this.climate.weather);
  }

  get over(): boolean {
    return this.time.now >= this.end;
  }

  async boot(): Promise<void> {
    const lots = this.lots.branch();
    const chosen: Omit<Faults, 'life'> = {
      pause: async () => {
        if (!this.calm) await lazily(lots, (ms) => this.time.sleep(ms), 0.001, 5000)();
      },
      fate: () => {
        if (this.calm || !lots.chance(this.climate.disk)) return 'written';
        this.faults++;
        return lots.pick(['failed', 'answer lost', 'torn'] as const);
      },
    };
    this.machine = await this.time.real(() =>
      Machine.boot(this.disk, {
        clock: this.clock,
        faults: () => chosen,
        job: { intervalMs: 2 * MINUTE, deadlineMs: 15 * MINUTE },
      }),
    );
    this.machine.usage.job.start();
  }

  /** What a person sets up once, with the weather still calm. */
  async setUp(): Promise<void> {
    this.calm = true;
    await this.boot();
    await this.machine?.log.append(
      [
        meterFact(),
        account('acme'),
        account('globex'),
        owner('host/0/nic0', 'acme', T0),
        owner('acme', 'acme', T0),
        owner('globex', 'globex', T0),
      ],
      author,
    );
    this.calm = false;
  }

  async crashing(): Promise<void> {
    const lots = this.lots.branch();
    while (!this.over) {
      await this.time.sleep(lots.int(1, 2 * this.climate.crashEveryMs));
      if (this.over) return;
      this.crashes++;
      this.machine?.life.end();
      this.machine = undefined;
      await this.time.sleep(lots.int(500, lots.chance(0.2) ? 20 * MINUTE : MINUTE));
      await this.boot();
    }
  }

  async clockSteps(): Promise<void> {
    const lots = this.lots.branch();
    while (this.climate.clockSteps && !this.over) {
      await this.time.sleep(lots.int(5, 90) * MINUTE);
      this.clock.offset = lots.pick([0, -HOUR, -5000, 30_000, 10 * MINUTE]);
    }
  }

  async host(name: string): Promise<void> {
    const lots = this.lots.branch();
    const mine = [0, 1].map((n) => new Device(`${name}/nic${n}`, lots.branch(), this.time.now));
    this.devices.push(...mine.map((device) => ({ device, host: name })));
    // The host's own clock is right: only the server's may step.
    const clock = this.time.clock();
    const publisher = new Publisher(
      { network: this.network, clock, random: lots.branch() },
      { source: name, ...publisherDefaults },
      () => undefined,
    );
    const done = this.#publish(publisher);
    this.publishers.push({ publisher, done });
    while (!this.over) {
      await this.time.sleep(lots.int(20, 90) * 1000);
      this.#pass(publisher, mine, lots);
    }
  }

  #pass(publisher: Publisher, devices: readonly Device[], lots: Lots): void {
    const samples = devices.map((device) => {
      if (lots.chance(0.01)) device.reset(this.time.now);
      const { t, value, epoch, start } = device.poll(this.time.now);
      this.readings++;
      return {
        head: { resource: device.name, meter: networkMeters.sentBytes, epoch, period: MINUTE },
        at: t,
        value,
        start,
      };
    });
    publisher.offer({ samples, ended: [], completeThrough: this.time.now });
  }

  async #publish(publisher: Publisher): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await publisher.drain(this.#stop.signal);
      await this.time.sleep(1000, this.#stop.signal);
    }
  }

  /** A service sends each batch until it is acknowledged, sometimes writing the time anew. */
  async service(name: string): Promise<void> {
    const lots = this.lots.branch();
    for (let n = 0; !this.over; n++) {
      await this.time.sleep(lots.int(1, 240) * 1000);
      const subject = lots.pick(['acme', 'globex', 'nobody']);
      const made = this.time.now - (lots.chance(0.1) ? lots.int(0, HOUR) : 0);
      let sum = 0n;
      const events = Array.from({ length: lots.int(1, 5) }, (_, i) => {
        const value = lots.int(0, 10 ** 9);
        sum += BigInt(value);
        return {
          specversion: '1.0',
          id: `${name}-${n}-${i}`,
          source: name,
          type: 'work',
          subject,
          time: new Date(made).toISOString(),
          data: { n: value },
        };
      });
      while (!(await this.#sent(events))) {
        await this.time.sleep(lots.int(100, 30_000));
        // Repeated with the time of the repetition: still the same events (law 2).
        if (lots.chance(0.3)) for (const event of events) event.time = new Date(this.time.now).toISOString();
      }
      this.events += events.length;
      this.acknowledged.set(subject, (this.acknowledged.get(subject) ?? 0n) + sum);
    }
  }

  async #sent(events: readonly unknown[]): Promise<boolean> {
    try {
      const answer = await this.network.post('/api/v1/events', JSON.stringify(events));
      if (answer.status >= 300) assert.equal(answer.status, 503, answer.body);
      const outcome = JSON.parse(answer.body) as { conflicts?: number; rejected?: number };
      if (answer.status < 300) assert.deepEqual([outcome.conflicts, outcome.rejected], [0, 0], answer.body);
      return answer.status < 300;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return false;
    }
  }

  /** Somebody asks "as of now" and keeps the answer. */
  async asker(): Promise<void> {
    const lots = this.lots.branch();
    while (!this.over) {
      await this.time.sleep(lots.int(5, 60) * MINUTE);
      const machine = this.machine;
      if (!machine) continue;
      const frontier = machine.receipts.frontier();
      const [from, to] = [T0 - HOUR, windowCeil(this.time.now)];
      const kept = await Promise.race([this.#ask(machine, frontier, from, to), this.time.sleep(HOUR)]).catch(
        () => undefined,
      );
      if (kept) this.asked.push({ frontier, from, to, rows: kept });
    }
  }

  async #ask(machine: Machine, asOf: number | null, from: number, to: number): Promise<UsageRow[]> {
    const query = {
      filter: { meters: ['work', networkMeters.sentBytes] },
      from,
      to,
      windowSize: 'window' as const,
      zone: 'UTC',
      groupBy: ['account', 'resource'],
    };
    const { rows } = await machine.usage.query(query, null, asOf);
    return rows;
  }

  /** The storm is over: everybody is heard, then the job has its hour. */
  async settle(): Promise<void> {
    this.calm = true;
    this.clock.offset = 0;
    this.network.weather = calm;
    if (!this.machine) await this.boot();
    const heard = (async () => {
      while (this.publishers.some(({ publisher }) => publisher.waiting > 0)) await this.time.sleep(1000);
    })();
    await this.time.until(heard, 6 * HOUR);
    // Ghosts of old requests are still on their way for half an hour.
    await this.time.run(this.time.now + HOUR);
    this.#stop.abort();
    await this.time.until(Promise.all(this.publishers.map((p) => p.done)));
    const machine = this.up();
    for (let n = 0; n < 3; n++) await this.time.until(machine.usage.job.run());
  }

  up(): Machine {
    if (!this.machine) throw new Error('the server is down');
    return this.machine;
  }

  async judge(): Promise<number> {
    const machine = this.up();
    const series = [...machine.registry.all()];
    const counters = series.filter((s) => {
      const meter = machine.log.book.meter(s.meter);
      return meter !== undefined && isCounter(meter);
    });
    const stores = { usage: this.disk.usage, control: this.disk.control };
    const [from, to] = [windowStart(T0 - HOUR), windowCeil(this.time.now) + WINDOW_MS];

    // Law 3 and 7: every record is what the facts up to its own S give; all closed windows account for all facts.
    await checkOwnFrontier(stores, counters, from, to);
    const closed = Math.min(
      ...(await this.disk.control.progress()).filter((p) => p.stream === 'counter').map((p) => p.closedTo),
    );
    assert.ok(closed > this.end, `windows are closed through the end: ${new Date(closed).toISOString()}`);
    const records = await this.disk.usage.counterRecords(
      counters.map((s) => s.id),
      from,
      closed,
    );
    assert.deepEqual(
      bytesOf(records),
      bytesOf(await pureAt(stores, counters, from, closed, machine.receipts.frontier())),
      'law 3: stored records are what the facts give',
    );

    // Law 4 and 2: counters sum to what their polls showed, events to what was acknowledged.
    for (const { device } of this.devices) await this.#conserved(device, counters, records);
    const rows = await this.#ask(machine, null, from, to);
    for (const subject of ['acme', 'globex', 'nobody']) {
      const sum = rows
        .filter((r) => r.meter === 'work' && r.group.resource === subject)
        .reduce((s, r) => s + BigInt(r.quantity ?? '0'), 0n);
      assert.equal(sum, this.acknowledged.get(subject) ?? 0n, `law 2: events of ${subject}`);
    }
    if (this.#clocksWereRight)
      assert.deepEqual(
        records.filter((r) => (r.flags & Flag.clamped) !== 0).map((r) => new Date(r.window).toISOString()),
        [],
        'no time was changed while all clocks were right',
      );

    // Law 3: computed again, and asked again as of then.
    await this.time.until(machine.usage.job.rerun(from, closed));
    assert.deepEqual(await this.#ask(machine, null, from, to), rows, 'law 3: computed again');
    for (const { frontier, from: first, to: last, rows: kept } of this.asked)
      assert.deepEqual(
        figures(await this.#ask(machine, frontier, first, last)),
        figures(kept),
        `law 3: as of ${frontier}`,
      );

    await this.#explain(machine, rows);
    return records.length;
  }

  get #clocksWereRight(): boolean {
    return !this.climate.clockSteps && this.network.lateNews === 0;
  }

  /** Law 4 for one counter. What was set aside is no part of the sum: only a clock that steps may bring that about. */
  async #conserved(device: Device, counters: readonly Series[], records: readonly CounterRecord[]): Promise<void> {
    const ids = new Set(counters.filter((s) => s.resource === device.name).map((s) => s.id));
    const used = records.filter((r) => ids.has(r.series)).reduce((sum, r) => sum + r.used, 0n);
    const aside = (await this.disk.control.setAside({ limit: 10_000 })).filter(
      (a) => a.series !== null && ids.has(a.series),
    );
    if (this.#clocksWereRight) assert.deepEqual(aside, [], 'nothing is set aside while all clocks are right');
    if (aside.length > 0) {
      assert.ok(used <= device.shown(), `law 4: ${device.name} never above what was shown`);
      return;
    }
    assert.equal(used, device.shown(), `law 4: ${device.name}, ${device.resets} resets`);
    assert.equal(device.truth - used, device.unseen(), `law 4: what ${device.name} lost is what no poll could show`);
  }

  /** Law 12: a row of one series leads to records that sum to it. */
  async #explain(machine: Machine, rows: readonly UsageRow[]): Promise<void> {
    const candidates = rows.filter(
      (r) => r.meter === networkMeters.sentBytes && r.explain !== null && r.quantity !== null && !r.provisional,
    );
    for (const row of this.lots.shuffle(candidates).slice(0, 3)) {
      const told = await machine.usage.explain(row.explain ?? '', null, (text) => Number(text));
      assert.ok(told.kind === 'counter');
      const sum = told.records.reduce((s, r) => s + BigInt(r.quantity), 0n);
      assert.equal(String(sum), row.quantity, `law 12: ${row.explain}`);
    }
  }
}

const meterFact = (): ControlBody => {
  const made = defineMeter(
    { key: 'work', name: 'Work', kind: 'delta', aggregation: 'sum', eventType: 'work', valuePath: '$.n', unit: '1' },
    undefined,
  );
  if (Array.isArray(made)) throw new Error(JSON.stringify(made));
  const { receipt: _, ...meter } = made;
  return { kind: 'meter', meter };
};
const account = (id: string): ControlBody => ({
  kind: 'account',
  id,
  parent: null,
  name: id,
  zone: 'UTC',
  currency: 'EUR',
  state: 'active',
});
const owner = (resource: string, of: string, from: number): ControlBody => ({
  kind: 'owner',
  resource,
  account: of,
  from,
});

export interface PlayOptions {
  /** Instead of the seed's own length. */
  readonly hours?: number | undefined;
  /** Told of the simulation's time before anything happens. */
  readonly attach?: (time: VirtualTime) => void;
}

/** A row without the pointer to its explanation: the series may have got its number after the question. */
const figures = (rows: readonly UsageRow[]): Omit<UsageRow, 'explain'>[] => rows.map(({ explain: _, ...row }) => row);

/** Plays one seed on the given disk. Throws when a law is broken. */
export const play = async (seed: number, disk: Disk, options: PlayOptions = {}): Promise<Played> => {
  const simulation = new Simulation(seed, disk, options.hours);
  options.attach?.(simulation.time);
  await simulation.setUp();
  const life = Promise.all([
    simulation.crashing(),
    simulation.clockSteps(),
    simulation.asker(),
    ...['host/0', 'host/1'].map((name) => simulation.host(name)),
    ...['app/0', 'app/1', 'app/2'].map((name) => simulation.service(name)),
  ]);
  await simulation.time.until(life);
  await simulation.settle();
  const records = await simulation.judge();
  await simulation.time.until(simulation.up().usage.job.stop());
  return {
    crashes: simulation.crashes,
    events: simulation.events,
    readings: simulation.readings,
    records,
    faults: simulation.faults,
  };
};
