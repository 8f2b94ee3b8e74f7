/** The whole API over the model stores, with a clock of its own: requests go in by `inject`, no socket is opened. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { Billing } from '../../billing/index.ts';
import { type Config, loadConfig } from '../../config.ts';
import { declareResources } from '../../declare-resources.ts';
import type { ControlBody, Scope } from '../../domain/control-fact.ts';
import type { Clock } from '../../domain/environment.ts';
import { watching } from '../../domain/limit/watched.ts';
import { Ingest } from '../../ingest/index.ts';
import { ControlLog } from '../../store/control-log.ts';
import { openControlModel } from '../../store/model/control-model.ts';
import { UsageModel } from '../../store/model/usage-model.ts';
import { Receipts } from '../../store/receipts.ts';
import { SeriesRegistry } from '../../store/series-registry.ts';
import { ThrottleService } from '../../throttle/service.ts';
import { Usage } from '../../usage/index.ts';
import { buildApp } from '../app.ts';
import { newSecret } from '../auth.ts';
import type { Context } from '../context.ts';
import { keyOf } from '../keys.ts';
import type { App } from '../provider.ts';

export const START = Date.UTC(2026, 10, 21, 12, 0, 0);
export const MINUTE = 60_000;

export class TestClock implements Clock {
  at = START;
  now(): number {
    return this.at;
  }
  elapsed(): number {
    return this.at - START;
  }
  sleep(): Promise<void> {
    return Promise.resolve();
  }
}

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
}
export interface Call {
  body?: unknown;
  /** Sent as it is, with this content type. */
  raw?: { body: string | Buffer; type: string };
  headers?: Record<string, string>;
}

export interface TestApi {
  app: App;
  context: Context;
  clock: TestClock;
  config: Config;
  /** Secret of an installation key with all scopes and sources. */
  admin: string;
  call(key: string | null, method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, call?: Call): Promise<Answer>;
  append(...bodies: ControlBody[]): Promise<void>;
  appendFor(tenant: string, ...bodies: ControlBody[]): Promise<void>;
  key(account: string | null, scopes: readonly Scope[], sources?: readonly string[]): Promise<string>;
  account(id: string, parent?: string | null, zone?: string): Promise<void>;
  /** Readings of one counter as [t, value], sent through the door with the given key. */
  readings(
    key: string,
    source: string,
    resource: string,
    rows: readonly (readonly [number, number | string])[],
    meter?: string,
  ): Promise<Answer>;
}

let lives = 0;
/** Deadlines never come: what is waited for is there in the end. */
const patient = (clock: Clock): Clock => ({
  now: () => clock.now(),
  elapsed: () => clock.elapsed(),
  sleep: () => new Promise(() => undefined),
});
const who = (tenant: string) => ({ tenant, author: 'test', reason: '' });

const openContext = async (clock: TestClock, config: Config, dir: string): Promise<Context> => {
  const control = openControlModel();
  const store = new UsageModel();
  const receipts = await Receipts.open(control, { block: 10_000 });
  const log = await ControlLog.open(control, receipts, clock);
  const registry = await SeriesRegistry.open(control);
  const logger = pino({ level: 'silent' });
  const ingest = config.readOnly
    ? null
    : await Ingest.open({
        usage: store,
        control,
        receipts,
        registry,
        clock,
        book: () => log.book,
        secret: Buffer.alloc(16, 7),
        dir: join(dir, 'identities'),
        log: logger,
        limits: {
          bodyBytes: config.bodyBytesMax,
          itemsPerRequest: config.batchEventsMax,
          tableBits: 12,
          maxIds: 100_000,
        },
        background: 'in-place',
        watched: watching(() => log.book),
        declareResources: (tenant, from, hints) => declareResources(log, tenant, from, hints),
      });
  const usage = new Usage({
    usage: store,
    control,
    log,
    registry,
    receipts,
    clock,
    holder: 'test',
    groups: config.groups,
    publish: null,
    report: () => undefined,
  });
  const billing = new Billing({
    ...{ control, log, usage, store, registry, clock, holder: 'test' },
    pause: () => Promise.resolve(),
    report: () => undefined,
  });
  const throttling = new ThrottleService({
    book: () => log.book,
    control,
    usage,
    registry,
    receipts,
    clock: patient(clock),
    report: () => undefined,
    legacyHeaders: false,
    append: (...what) => log.append(...what),
    random: { hex: (n) => `${lives++}`.padStart(2 * n, '0'), fraction: () => 0.5 },
    record: () => undefined,
  });
  if (ingest !== null) ingest.onCommitted(throttling.committed);
  return {
    config,
    version: '0',
    clock,
    logger,
    log,
    registry,
    control,
    store,
    receipts,
    ingest,
    usage,
    billing,
    throttle: throttling.throttle,
    leases: throttling.leases,
    rateLimits: throttling.rateLimits,
    aftermath: throttling.aftermath,
    newSecret,
    spools: new Map(),
    phase: () => 'ready',
  };
};

export const openApi = async (t: TestContext, flags: Record<string, unknown> = {}): Promise<TestApi> => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-api-'));
  const clock = new TestClock();
  const around = { env: {}, uid: 1, home: dir, cwd: dir, read: () => null };
  const config = loadConfig({ dataDir: dir, ...flags }, around);
  const context = await openContext(clock, config, dir);
  const app = await buildApp(context);
  t.after(async () => {
    await app.close();
    await context.ingest?.close();
    rmSync(dir, { recursive: true, force: true });
  });
  let sequence = 1;
  const api: TestApi = {
    app,
    context,
    clock,
    config,
    admin: '',
    async call(key, method, url, call = {}) {
      const answer = await app.inject({
        method,
        url,
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(call.raw ? { 'content-type': call.raw.type } : {}),
          ...call.headers,
        },
        ...(call.raw ? { payload: call.raw.body } : call.body === undefined ? {} : { payload: call.body as object }),
      });
      const json = /[/+]json\b/.test(String(answer.headers['content-type']));
      return {
        status: answer.statusCode,
        headers: answer.headers,
        text: answer.body,
        body: json && answer.body !== '' ? JSON.parse(answer.body) : null,
      };
    },
    async append(...bodies) {
      await context.log.append(bodies, who(''));
    },
    async appendFor(tenant, ...bodies) {
      await context.log.append(bodies, who(tenant));
    },
    async key(account, scopes, sources = ['*']) {
      const secret = newSecret();
      await context.log.append([keyOf(secret, { name: 'test', account, scopes, sources })], who(account ?? ''));
      return secret;
    },
    async account(id, parent = null, zone = 'UTC') {
      await api.append({ kind: 'account', id, parent, name: id, zone, currency: 'EUR', state: 'active' });
    },
    readings(key, source, resource, rows, meter = 'network.bytes.received') {
      const batch = {
        source,
        run: 'r1',
        sequence,
        sentAt: clock.at,
        completeThrough: rows.at(-1)?.[0] ?? 0,
        series: [{ resource, meter, epoch: 'e1', period: 10_000 }],
        readings: rows.map(([at, value]) => [0, at, String(value)]),
      };
      sequence += rows.length;
      return api.call(key, 'POST', '/api/v1/readings', { body: batch });
    },
  };
  api.admin = await api.key(null, ['ingest', 'read', 'admin']);
  return api;
};
