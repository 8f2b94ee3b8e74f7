/** Lays the invoice bench's scenario down: control facts and series through the server's own doors, usage records by SQL. */
import { join } from 'node:path';
import pg from 'pg';
import { Billing } from 'tollgate/billing/index.js';
import type { ControlBody } from 'tollgate/domain/control-fact.js';
import type { Clock } from 'tollgate/domain/environment.js';
import { builtinMeters, defineMeter, type Meter } from 'tollgate/domain/meter.js';
import type { FeePrice, PlanBilling, UsageModel, UsagePrice } from 'tollgate/domain/price/price.js';
import type { BillingStore } from 'tollgate/store/billing-store.js';
import { openChdb, type UsageChdb } from 'tollgate/store/chdb/usage-chdb.js';
import { ControlLog } from 'tollgate/store/control-log.js';
import type { ControlStore, NewSeries } from 'tollgate/store/control-store.js';
import { openDataDir } from 'tollgate/store/data-dir.js';
import { openPostgres } from 'tollgate/store/postgres/control-postgres.js';
import { EmbeddedPostgres } from 'tollgate/store/postgres/embedded.js';
import { Receipts } from 'tollgate/store/receipts.js';
import { SeriesRegistry } from 'tollgate/store/series-registry.js';
import { Usage } from 'tollgate/usage/index.js';
import { type BenchOptions, phase, say } from './common.ts';
import { writeRecords } from './invoice-records.ts';
import {
  changeAt,
  customer,
  lands,
  meters,
  type PlanRow,
  twentyOn,
  type UsageRow,
  type Way,
} from './invoice-scenario.ts';

/** Wall time as the bench says; durations as they are. */
export class StageClock implements Clock {
  at = Date.UTC(2026, 9, 2, 12);
  now(): number {
    return this.at;
  }
  elapsed(): number {
    return performance.now();
  }
  async sleep(): Promise<void> {}
}

export interface Stage {
  control: ControlStore;
  /** How `pg` connects to the same PostgreSQL. */
  connection: EmbeddedPostgres['connection'];
  clock: StageClock;
  /** It is `at`, and the server has noted so: nothing that ended later is billed. */
  moveTo(at: number): Promise<void>;
  /** Another server on the same stores, as after a restart; `noted` is told how many accounts of a run are behind it. */
  server(holder: string, noted?: (accounts: number) => void): Billing;
  close(): Promise<void>;
}

const who = { tenant: '', author: 'bench', reason: 'bench' };
const SOURCES = 200;
/** Accounts whose facts are appended in one call. */
const AT_ONCE = 2000;
const OVER = Date.UTC(2026, 11, 2);

export async function openStage(folder: string, accounts: number, options: BenchOptions): Promise<Stage> {
  const uid = process.getuid?.() ?? -1;
  const gid = process.getgid?.() ?? -1;
  const dir = openDataDir(join(folder, 'data'), uid);
  const place = { temp: folder, run: folder, log: () => undefined };
  const user = options.given.user ?? 'nobody';
  const postgres = await EmbeddedPostgres.start({ layout: dir.layout, uid, gid, ...place, users: { wanted: user } });
  // However this ends, it does not outlive us.
  process.once('exit', () => postgres.pid !== null && process.kill(postgres.pid, 'SIGQUIT'));
  const { connection } = postgres;
  const control = await openPostgres({ connection, exclusive: true, groups: 1 });
  const store = await openChdb({ directory: join(folder, 'usage') });
  const clock = new StageClock();
  const receipts = await Receipts.open(control);
  const log = await ControlLog.open(control, receipts, clock);
  const registry = await SeriesRegistry.open(control);
  const report = (event: string, detail: Record<string, unknown>): void => say(`${event} ${JSON.stringify(detail)}`);
  const deps = { usage: store, control, log, registry, receipts, clock, groups: 1, publish: null, report };
  const usage = new Usage({ ...deps, holder: 'bench' });
  const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const server = (holder: string, noted?: (accounts: number) => void): Billing => {
    const billing = noted === undefined ? control.billing : telling(control.billing, noted);
    return new Billing({ control: { ...control, billing }, log, usage, store, registry, clock, holder, pause, report });
  };
  await phase('accounts, plans, taxes, coupons', async () => {
    await log.append(catalogueFacts(), who);
    for (let a = 0; a < accounts; a += AT_ONCE) {
      await log.append(numbers(a, Math.min(accounts, a + AT_ONCE)).flatMap(accountFacts), who);
    }
  });
  await phase('series', () => registerSeries(registry, accounts));
  await phase('records', async () => {
    await declare(store, receipts);
    const first = [...registry.all()][0]?.id ?? 0;
    await writeRecords(join(folder, 'usage'), accounts, first, receipts.frontier());
  });
  await phase('invoices of the beginning of the month', () => billBeginning(server('before'), accounts));
  await phase('cleaned up, as PostgreSQL itself does in a month', () => vacuum(connection));
  for (let a = 0; a < accounts; a += AT_ONCE) {
    const bodies = numbers(a, Math.min(accounts, a + AT_ONCE)).flatMap(upgradeFacts);
    if (bodies.length > 0) await log.append(bodies, who);
  }
  for (const stream of ['counter', 'event'] as const) {
    const row = { stream, group: 0, from: OVER, closedTo: OVER, to: null, frontier: receipts.frontier() };
    await control.createProgress(row);
  }
  const moveTo = async (at: number): Promise<void> => {
    clock.at = at;
    await log.append([{ kind: 'tick', at }], who);
    await settle(control, receipts.frontier(), at);
  };
  await moveTo(Date.UTC(2026, 10, 6, 12));
  const close = async (): Promise<void> => {
    await store.close();
    await control.close();
    await postgres.stop();
    dir.release();
  };
  return { control, connection, clock, moveTo, server, close };
}

/** As the usage job notes that nothing has changed. */
async function settle(control: ControlStore, frontier: number, now: number): Promise<void> {
  const lease = await control.acquireLease(0, 'stage', now, 60_000);
  if (lease === null) throw new Error('somebody else closes windows');
  for (const row of await control.progress()) await control.advance(row, row.closedTo, frontier, lease, now);
  await control.releaseLease(lease);
}

const telling = (billing: BillingStore, noted: (accounts: number) => void): BillingStore => ({
  ...billing,
  advanceBillingRun: async (fence, step) => {
    const run = await billing.advanceBillingRun(fence, step);
    noted(run.accounts);
    return run;
  },
});

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

async function vacuum(connection: EmbeddedPostgres['connection']): Promise<void> {
  const client = new pg.Client({ ...connection, password: '' });
  await client.connect();
  await client.query('VACUUM ANALYZE');
  await client.end();
}

async function billBeginning(billing: Billing, accounts: number): Promise<void> {
  const { invoices, error } = await billing.runs.run();
  if (invoices !== accounts) throw new Error(`${invoices} first invoices of ${accounts} accounts: ${error}`);
}

function catalogueFacts(): ControlBody[] {
  const facts: ControlBody[] = [];
  for (const { receipt: _, ...meter } of [...builtinMeters(), ...ownMeters()]) facts.push({ kind: 'meter', meter });
  for (const land of lands) {
    const { key, inclusive, currency } = land;
    for (const [category, percent] of [
      ['', land.standard],
      ['reduced', land.reduced],
    ] as const) {
      facts.push({ kind: 'tax', jurisdiction: key, category, name: 'VAT', percent, inclusive, from: 0, to: null });
    }
    for (const plan of land.plans) {
      const content = {
        key: plan.key,
        name: plan.key,
        entitlements: [],
        limits: [],
        billing: billingOf(plan, currency),
      };
      facts.push({ kind: 'plan', plan: content, from: 0, removed: false });
    }
    const twenty = { amount: land.twenty, currency };
    facts.push(coupon(`twenty-${key}`, twenty, twentyOn(land)));
  }
  facts.push(coupon('ten', { percent: '10' }, []));
  return facts;
}

const coupon = (
  key: string,
  off: { percent: string } | { amount: string; currency: string },
  on: readonly string[],
): ControlBody => ({ kind: 'coupon', key, name: key, off, on, periods: null, removed: false });

function ownMeters(): Meter[] {
  return meters
    .filter(({ counter }) => !counter)
    .map(({ key, unit }) => {
      const meter = defineMeter({ key, eventType: key, valuePath: '$.n', unit });
      if (Array.isArray(meter)) throw new Error(JSON.stringify(meter));
      return meter;
    });
}

function billingOf(plan: PlanRow, currency: string): PlanBilling {
  const fees = plan.fees.map(
    ({ key, amount, ahead }): FeePrice => ({
      ...{ kind: 'fee', key, name: key, tax: '', from: null, to: null, amount, per: 'period' },
      ...{ term: ahead ? 'advance' : 'arrears', prorate: true },
    }),
  );
  const prices = [...fees, ...plan.usage.map(priceOf)];
  const period = { unit: 'month', count: 1 } as const;
  return { currency, period, anchor: 'calendar', trialDays: 0, prices, minimum: null };
}

function priceOf({ key, meter, divide, up, included, reduced, model }: UsageRow): UsagePrice {
  const per =
    divide === null ? null : { divideBy: divide, round: up ? ('ceiling' as const) : ('none' as const), unit: 'G' };
  return {
    ...{ kind: 'usage', key, name: key, tax: reduced ? 'reduced' : '', from: null, to: null },
    ...{ meter: meters[meter]?.key ?? '', where: {}, per, included: included === null ? null : { amount: included } },
    ...{ model: modelOf(model), discountPercent: null, minimum: null, maximum: null, commitment: null, when: '' },
  };
}

function modelOf(model: Way): UsageModel {
  if (model.way === 'each') return { model: 'per_unit', unit: model.unit };
  if (model.way === 'package') return { model: 'package', size: model.size, price: model.price, free: model.free };
  const tiers = model.tiers.map(([upTo, unit, flat]) => ({ upTo, unit, flat }));
  return { model: model.way, tiers };
}

function accountFacts(no: number): ControlBody[] {
  const { id, land, coupon: given } = customer(no);
  const { zone, currency, from, key: jurisdiction } = land;
  const profile = { entity: '', payer: 'self', name: id, address: [], taxId: '', email: '', exemption: '' } as const;
  const facts: ControlBody[] = [
    { kind: 'account', id, parent: null, name: id, zone, currency, state: 'active' },
    { kind: 'owner', resource: `vm-${id}`, account: id, from: 0 },
    { kind: 'profile', account: id, ...profile, jurisdiction },
    { kind: 'subscription', account: id, plan: land.plans[0].key, from, to: null, anchor: from },
  ];
  if (given !== null) {
    const key = given === 'ten' ? given : `${given}-${jurisdiction}`;
    facts.push({ kind: 'discount', account: id, coupon: key, from, to: null });
  }
  return facts;
}

function upgradeFacts(no: number): ControlBody[] {
  const { id: account, land, upgrade } = customer(no);
  if (upgrade === null) return [];
  const { from, plans } = land;
  const at = changeAt(land, upgrade);
  return [
    { kind: 'subscription', account, plan: plans[0].key, from, to: at, anchor: from },
    { kind: 'subscription', account, plan: plans[1].key, from: at, to: null, anchor: from },
  ];
}

/** In the order of accounts and meters, without a hole: records are written by their numbers. */
async function registerSeries(registry: SeriesRegistry, accounts: number): Promise<void> {
  const rest = {
    tenant: '',
    dimensions: {},
    width: 64 as const,
    lineBits: 0,
    period: 300_000,
    layer: 'L2',
    witnessOf: 0,
  };
  for (let a = 0; a < accounts; a += AT_ONCE) {
    const keys: NewSeries[] = numbers(a, Math.min(accounts, a + AT_ONCE)).flatMap((no) =>
      meters.map(({ key: meter }) => ({
        ...{ ...rest, source: `host-${no % SOURCES}`, resource: `vm-${customer(no).id}`, meter, firstReceipt: 0 },
      })),
    );
    await registry.register(keys);
  }
  const ids = [...registry.all()].map(({ id }) => id);
  if (ids.some((id, i) => id !== (ids[0] ?? 0) + i)) throw new Error('the bench counts on series ids in a row');
}

async function declare(store: UsageChdb, receipts: Receipts): Promise<void> {
  const taken = await receipts.take(SOURCES);
  const writer = store.writer();
  for (let i = 0; i < SOURCES; i++) {
    writer.declaration({
      ...{ tenant: '', source: `host-${i}`, run: 'bench', firstSequence: 0, lastSequence: 0 },
      ...{ completeThrough: OVER, sentAt: OVER, receivedAt: OVER, receipt: taken.first + i },
    });
  }
  await writer.commit();
  taken.done();
}
