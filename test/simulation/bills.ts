/**
 * Days that are billed: services send events, the job closes windows, invoices are run again and again, on a server that
 * crashes, a disk that fails, a network that loses and a clock that steps. In the end everybody is heard out and one more
 * day is billed; then the laws of money must hold.
 */
import assert from 'node:assert/strict';
import { digestOf, documentText } from 'tollgate/billing/invoice/canonical.js';
import { expectedDraft } from 'tollgate/billing/run/expected.js';
import type { Invoice } from 'tollgate/store/billing-store.js';
import { checkFees, linesOf } from './bills-laws.ts';
import { accountFacts, CENTS, FREE, profile, shopFacts } from './bills-shop.ts';
import { lazily } from './faulty.ts';
import { Lots } from './lots.ts';
import { type Disk, Machine } from './machine.ts';
import { calm, SimulatedNetwork, type Weather } from './network.ts';
import { VirtualTime } from './time.ts';

/** The day before clocks go back in Europe. */
const T0 = Date.UTC(2026, 9, 24, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const author = { tenant: '', author: 'simulation', reason: 'simulation' };
const ZONES = ['UTC', 'Europe/Berlin', 'Asia/Kolkata', 'America/New_York'];
const ACCOUNTS = ['a', 'b', 'c', 'd', 'e'];

export interface Billed {
  readonly crashes: number;
  readonly faults: number;
  readonly invoices: number;
  readonly adjustments: number;
}

interface Sent {
  account: string;
  t: number;
  units: bigint;
}

class Bills {
  readonly lots: Lots;
  readonly time = new VirtualTime(T0);
  readonly clock = this.time.clock();
  readonly disk: Disk;
  readonly network: SimulatedNetwork;
  readonly end: number;
  readonly sent: Sent[] = [];
  machine: Machine | undefined;
  calm = true;
  crashes = 0;
  faults = 0;
  /** How often somebody else was to pay. */
  moved = 0;
  private readonly diskFaults: number;
  private readonly steps: boolean;

  constructor(seed: number, disk: Disk) {
    this.lots = new Lots(seed);
    this.disk = disk;
    this.end = T0 + this.lots.int(36, 72) * HOUR;
    this.diskFaults = this.lots.pick([0, 0.02, 0.1]);
    this.steps = this.lots.chance(0.3);
    const weather: Weather = { lost: this.lots.pick([0, 0.05, 0.2]), delayMs: this.lots.pick([0, 20_000]), ghost: 0 };
    this.network = new SimulatedNetwork(this.lots.branch(), this.time, () => this.machine, weather);
  }

  get over(): boolean {
    return this.time.now >= this.end;
  }

  async boot(): Promise<void> {
    const lots = this.lots.branch();
    const faults = {
      pause: async () => {
        if (!this.calm) await lazily(lots, (ms) => this.time.sleep(ms), 0.002, 60_000)();
      },
      fate: () => {
        if (this.calm || !lots.chance(this.diskFaults)) return 'written' as const;
        this.faults++;
        return lots.pick(['failed', 'answer lost', 'torn'] as const);
      },
    };
    const job = { intervalMs: 20 * MINUTE, deadlineMs: 15 * MINUTE };
    const holder = `server-${this.crashes}`;
    this.machine = await this.time.real(() =>
      Machine.boot(this.disk, { clock: this.clock, holder, faults: () => faults, job }),
    );
    this.machine.usage.job.start();
  }

  async setUp(): Promise<void> {
    await this.boot();
    const facts = [...shopFacts(), ...ACCOUNTS.flatMap((id) => accountFacts(id, this.lots.pick(ZONES), T0 - HOUR))];
    // The last two: a child, and who pays for it.
    if (this.lots.chance(0.5)) facts.push(profile('e', 'parent'));
    await this.machine?.log.append(facts, author);
    this.calm = false;
  }

  async crashing(): Promise<void> {
    const lots = this.lots.branch();
    const every = lots.pick([2, 6, 20]) * HOUR;
    while (!this.over) {
      await this.time.sleep(lots.int(MINUTE, 2 * every));
      if (this.over) return;
      this.crashes++;
      this.machine?.life.end();
      this.machine = undefined;
      // Law of the ledger: whatever was cut off, what is on the disk sums to zero.
      await this.checkLedger(`crash ${this.crashes}`);
      await this.time.sleep(lots.int(1000, 10 * MINUTE));
      await this.boot();
    }
  }

  async clockSteps(): Promise<void> {
    const lots = this.lots.branch();
    while (this.steps && !this.over) {
      await this.time.sleep(lots.int(1, 8) * HOUR);
      this.clock.offset = lots.pick([0, -5000, 30_000, 5 * MINUTE]);
    }
  }

  /** Invoices are run every hour or so, sometimes for one account only, sometimes two runs at once. */
  async billing(): Promise<void> {
    const lots = this.lots.branch();
    while (!this.over) {
      await this.time.sleep(lots.int(10, 90) * MINUTE);
      const machine = this.machine;
      if (machine === undefined) continue;
      const asks = lots.chance(0.3) ? [{}, { accounts: [lots.pick(ACCOUNTS)] }] : [{}];
      const runs = Promise.all(asks.map((ask) => machine.runs.run(ask))).catch(() => undefined);
      await Promise.race([runs, machine.life.over, this.time.sleep(3 * HOUR)]);
    }
  }

  /** The child's bills go to its parent and come back, while runs are at them. */
  async payers(): Promise<void> {
    const lots = this.lots.branch();
    while (!this.over) {
      await this.time.sleep(lots.int(3, 30) * HOUR);
      const log = this.machine?.log;
      if (this.over || log === undefined) continue;
      this.moved++;
      await Promise.race([
        log.append([profile('e', lots.pick(['self', 'parent']))], author),
        this.time.sleep(HOUR),
      ]).catch(() => undefined);
    }
  }

  /** Events of now, or of up to a day ago; sent until they are acknowledged. */
  async service(name: string): Promise<void> {
    const lots = this.lots.branch();
    for (let n = 0; !this.over; n++) {
      await this.time.sleep(lots.int(5, 60) * MINUTE);
      const account = lots.pick(ACCOUNTS);
      const t = this.time.now - (lots.chance(0.15) ? lots.int(0, DAY) : 0);
      const units = BigInt(lots.int(1, 400));
      const event = { specversion: '1.0', id: `${name}-${n}`, source: name, type: 'work', subject: account };
      const body = JSON.stringify([{ ...event, time: new Date(t).toISOString(), data: { n: Number(units) } }]);
      while (!(await this.isTaken(body))) await this.time.sleep(lots.int(100, 30_000));
      this.sent.push({ account, t, units });
    }
  }

  private async isTaken(body: string): Promise<boolean> {
    try {
      const { status, body: answer } = await this.network.post('/api/v1/events', body);
      if (status >= 300) assert.equal(status, 503, answer);
      return status < 300;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return false;
    }
  }

  /** All is calm and everybody was heard; a day later everything that was late has found its invoice. */
  async settle(): Promise<void> {
    this.calm = true;
    this.clock.offset = 0;
    this.network.weather = calm;
    if (this.machine === undefined) await this.boot();
    await this.time.run(this.time.now + HOUR);
    const machine = this.up();
    await this.time.run(this.time.now + 2 * DAY);
    for (let n = 0; n < 3; n++) {
      await this.time.until(machine.usage.job.run());
      await this.time.until(machine.runs.run());
    }
  }

  up(): Machine {
    if (this.machine === undefined) throw new Error('the server is down');
    return this.machine;
  }

  async judge(): Promise<Pick<Billed, 'invoices' | 'adjustments'>> {
    const { billing } = this.disk.control;
    const rows = (await billing.invoices({ limit: 10_000 })).reverse();
    const all = (await Promise.all(rows.map(({ id }) => billing.invoice(id)))) as Invoice[];
    assert.deepEqual(
      rows.map(({ sequence }) => sequence),
      rows.map((_, i) => i + 1),
      'numbers have no gaps',
    );
    const spans = rows.map(({ account, from, to }) => `${account} ${from} ${to}`);
    assert.deepEqual(spans, [...new Set(spans)], 'each account is billed once a period');
    this.checkWithoutHoles(all);
    this.checkWork(all);
    checkFees(all, T0);
    await this.checkLedger('the end');
    await this.checkAgain(all);
    return { invoices: all.length, adjustments: linesOf(all).filter(({ kind }) => kind === 'adjustment').length };
  }

  private checkWithoutHoles(all: readonly Invoice[]): void {
    for (const account of new Set(all.map((invoice) => invoice.account))) {
      // While its parent pays the child has no invoices: that each of its days is billed, its lines say.
      if (account === 'e' && this.moved > 0) continue;
      const own = all.filter((invoice) => invoice.account === account).sort((a, b) => a.to - b.to);
      for (const [i, { from }] of own.entries()) if (i > 0) assert.equal(from, own[i - 1]?.to, `${account}: no hole`);
      const last = own.at(-1)?.to ?? 0;
      const told = `${account} is billed to the end, not ${new Date(last).toISOString()}\n${this.machine?.reports.join('\n')}`;
      assert.ok(last > this.end && last <= this.time.now, told);
    }
  }

  /** What all invoices together say of a day is what its events cost. */
  private checkWork(all: readonly Invoice[]): void {
    const periods = new Map<string, bigint>();
    for (const { key, amount } of linesOf(all)) {
      const [account, , price, from] = key.split('|');
      if (price === 'work')
        periods.set(`${account} ${from}`, (periods.get(`${account} ${from}`) ?? 0n) + BigInt(amount));
    }
    let units = 0n;
    for (const [name, cents] of periods) {
      const [account = '', from = ''] = name.split(' ');
      const next = [...periods.keys()].map((other) => other.split(' ')).filter(([of]) => of === account);
      const to = Math.min(...next.map(([, t]) => Number(t)).filter((t) => t > Number(from)), this.time.now);
      const own = this.sent.filter((one) => one.account === account && one.t >= Number(from) && one.t < to);
      const used = own.reduce((sum, one) => sum + one.units, 0n);
      units += used;
      assert.equal(cents, used > FREE ? (used - FREE) * CENTS : 0n, `${name}: ${used} units`);
    }
    const first = T0 - HOUR;
    const sent = this.sent.filter(({ t }) => t >= first).reduce((sum, one) => sum + one.units, 0n);
    assert.equal(units, sent, 'every unit is on an invoice');
  }

  async checkLedger(when: string): Promise<void> {
    const { billing } = this.disk.control;
    const transactions = await billing.transactions({ limit: 100_000 });
    for (const { key, postings } of transactions) {
      const sum = postings.reduce((all, { amount }) => all + amount, 0n);
      assert.equal(sum, 0n, `${when}: ${key}`);
    }
    const posted = transactions.flatMap(({ postings }) => postings).filter(({ book }) => book.startsWith('revenue/'));
    const earned = posted.reduce((sum, { amount }) => sum - amount, 0n);
    const rows = await billing.invoices({ limit: 100_000 });
    const nets = rows.reduce((sum, { net }) => sum + net, 0n);
    assert.equal(earned, nets, `${when}: what is posted is what is invoiced`);
  }

  /** As of its own S each document comes out as it is, and another run makes none. */
  private async checkAgain(all: readonly Invoice[]): Promise<void> {
    const machine = this.up();
    const { billing } = this.disk.control;
    const deps = { billing, meteredAt: (asOf: number | null) => machine.usage.meteredAt(asOf) };
    for (const { id, number, account, from, to, version, frontier, digest } of all) {
      const { draft } = await expectedDraft(deps, account, { from, to }, frontier, { version, before: id });
      assert.equal(digestOf(documentText(draft.document)), digest, `${number} as of ${frontier}`);
    }
    await this.time.until(machine.runs.run());
    assert.equal((await billing.invoices({ limit: 10_000 })).length, all.length, 'a run again makes nothing');
  }
}

/** One run. Throws when a law is broken. */
export const playBills = async (seed: number, disk: Disk): Promise<Billed> => {
  const bills = new Bills(seed, disk);
  await bills.setUp();
  const life = [bills.crashing(), bills.clockSteps(), bills.billing(), bills.payers()];
  const services = ['app/0', 'app/1', 'app/2'].map((name) => bills.service(name));
  await bills.time.until(Promise.all([...life, ...services]));
  await bills.settle();
  const judged = await bills.judge();
  await bills.time.until(bills.up().usage.job.stop());
  return { crashes: bills.crashes, faults: bills.faults, ...judged };
};
