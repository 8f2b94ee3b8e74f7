/**
 * `ingest`: CloudEvents of about 300 bytes over HTTP into a real server in a process of its own, from 1,000 sources in
 * batches of 100, 1% duplicates (half of them with another time), with 50 million identities already known. Every answer
 * means fsynced and deduplicated. Floor: the bare engine inserting the same rows, fsynced, in its fastest format.
 *
 * Of the known identities 1 million are real (sent through the server first; duplicates are drawn from them), the rest
 * are rows made in SQL whose hashes are random. The server makes its identity index of all of them when it starts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { drainPending, Session } from 'chdb';
import { openChdb } from 'tollgate/store/chdb/usage-chdb.js';
import {
  type BenchOptions,
  type BenchResult,
  inFolder,
  machine,
  numberOf,
  quantile,
  round,
  say,
  timed,
} from './common.ts';
import { Body, floorRows, hourBefore } from './ingest-events.ts';
import type { LoadResult, LoadSettings } from './ingest-load.ts';

const FLOOR_ROWS = 50_000;

interface Server {
  process: ChildProcess;
  port: number;
  key: string;
  startSeconds: number;
  /** Highest resident memory so far, MB. */
  peak(): number;
  /** Processor time used so far, all threads, in microseconds. */
  processor(): number;
  stop(): Promise<void>;
}

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

/** The server as a user starts it, without the local collector and with the job out of the way. */
async function startServer(dataDir: string, profile: string | undefined): Promise<Server> {
  const port = await freePort();
  const root = join(import.meta.dirname, '..', '..');
  const env = {
    ...process.env,
    TOLLGATE_DATA_DIR: dataDir,
    TOLLGATE_HTTP_PORT: String(port),
    TOLLGATE_COLLECTOR: 'false',
    TOLLGATE_JOB_SECONDS: '86400',
  };
  const flags = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
  const child = spawn(process.execPath, [...flags, join(root, 'packages/server/bin/tollgate.js'), 'serve'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let tail = '';
  child.stderr?.on('data', (chunk) => {
    tail = `${tail}${String(chunk)}`.slice(-4000);
  });
  const { seconds } = await timed(async () => {
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the server ended with ${child.exitCode}: ${tail}`);
      const ready = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
      if (ready?.ok) return;
      await sleep(100);
    }
  });
  let highest = 0;
  const watch = setInterval(() => {
    highest = Math.max(highest, residentMb(child.pid ?? 0));
  }, 100);
  const key = readFileSync(join(dataDir, 'admin.key'), 'utf8').trim();
  const stop = async (): Promise<void> => {
    clearInterval(watch);
    if (child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  return {
    process: child,
    port,
    key,
    startSeconds: seconds,
    peak: () => highest,
    processor: () => processorOf(child.pid ?? 0),
    stop,
  };
}

const residentMb = (pid: number): number => {
  try {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
};

/** User and system time, in ticks of 10 ms. */
const processorOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
};

async function load(settings: LoadSettings): Promise<LoadResult> {
  const worker = new Worker(new URL('./ingest-load.js', import.meta.url), { workerData: settings });
  const [result] = (await once(worker, 'message')) as [LoadResult];
  await worker.terminate();
  return result;
}

/** Rows with random identities: what the server knew before, received evenly over the last 30 days. */
async function ballast(folder: string, rows: number): Promise<void> {
  const session = new Session(join(folder, 'usage'));
  const now = Date.now();
  const step = 1_000_000;
  try {
    for (let from = 0; from < rows; from += step) {
      const count = Math.min(step, rows - from);
      const t = now - 30 * 86_400_000 + Math.floor((from / rows) * 29 * 86_400_000);
      await session.queryAsync(
        `INSERT INTO event (tenant, source, type, id, subject, data, batch, t, skew, lag, receipt, stamps, id_hi, id_lo, content_hi, content_lo)
         SELECT '', concat('ballast-', toString(number % 1000)), 'bench.ballast', toString(number), '', '', '',
           ${t} + number % 3600000, 0, 0, ${from} + number + 1, 0,
           rand(1), rand(2), rand(3), rand(4) FROM numbers(${count})
         SETTINGS max_threads = 2`,
      );
    }
  } finally {
    session.close();
    await drainPending();
  }
}

interface Counted {
  rows: number;
  ids: number;
}
async function stored(folder: string): Promise<Counted> {
  const session = new Session(join(folder, 'usage'));
  try {
    const answer = await session.queryAsync(
      `SELECT count() AS rows, uniqExact(source, id) AS ids FROM event FINAL WHERE type = 'bench.request'`,
      { format: 'JSONEachRow' },
    );
    const row = JSON.parse(answer.text()) as Record<keyof Counted, string>;
    return { rows: Number(row.rows), ids: Number(row.ids) };
  } finally {
    session.close();
    await drainPending();
  }
}

/** Rows per second of the bare engine: the same table, the same rows, fsynced, 50,000 an insert; the faster format. */
async function floor(folder: string, rows: number, now: number): Promise<{ format: string; rate: number }> {
  let best = { format: '', rate: 0 };
  for (const format of ['TSV', 'JSONCompactEachRow'] as const) {
    const directory = join(folder, `floor-${format}`);
    const store = await openChdb({ directory });
    await store.close();
    const session = new Session(directory);
    const values: Buffer[] = [];
    for (let n = 0; n < rows; n += FLOOR_ROWS) values.push(floorRows(format, n, FLOOR_ROWS, now));
    const { seconds } = await timed(async () => {
      for (const bytes of values) await session.insert({ table: 'event', columns: COLUMNS, values: bytes, format });
    });
    session.close();
    await drainPending();
    rmSync(directory, { recursive: true, force: true });
    say(`  floor ${format}: ${Math.round(rows / seconds)} rows/s`);
    if (rows / seconds > best.rate) best = { format, rate: rows / seconds };
  }
  return best;
}

const COLUMNS = [
  ...['tenant', 'source', 'type', 'id', 'subject', 'data', 'batch', 't', 'skew', 'lag', 'receipt', 'stamps'],
  ...['id_hi', 'id_lo', 'content_hi', 'content_lo'],
];

const identitiesOf = async (server: Server): Promise<Record<string, number>> => {
  const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
  const out: Record<string, number> = {};
  for (const [, name, value] of text.matchAll(/^tollgate_(identity_\w+) ([\d.e+]+)$/gm))
    out[name ?? ''] = Number(value);
  return out;
};

export function run(options: BenchOptions): Promise<BenchResult> {
  const known = numberOf(options, 'known', 50_000_000);
  const real = Math.min(known, numberOf(options, 'real', 1_000_000));
  const seconds = numberOf(options, 'seconds', 30);
  const warmSeconds = numberOf(options, 'warm', 5);
  const connections = numberOf(options, 'connections', 16);
  const depth = numberOf(options, 'depth', 6);
  const batch = numberOf(options, 'batch', 100);
  return inFolder(options, async (folder) => {
    const now = Date.now();
    const hour = hourBefore(now);
    const dataDir = join(folder, 'data');
    mkdirSync(dataDir, { mode: 0o700 });
    const common = { ...hour, connections, depth, batch, oneOf: 100 };
    let server = await startServer(dataDir, undefined);
    let first: LoadResult;
    try {
      say(`  sending ${real} events that are known then`);
      const { port, key } = server;
      first = await load({ ...common, port, key, from: 0, events: real, seconds: 0, warmSeconds: 0, known: 0 });
    } finally {
      await server.stop();
    }
    say(`  making ${known - real} more in SQL`);
    await ballast(dataDir, known - real);
    rmSync(join(dataDir, 'identities'), { recursive: true, force: true });
    server = await startServer(dataDir, options.given.profile);
    let second: LoadResult;
    let identity: Record<string, number>;
    let processor: number;
    try {
      say(`  the server knew them after ${round(server.startSeconds, 1)} s; load for ${seconds} s`);
      await sleep(numberOf(options, 'settle', 15) * 1000);
      const { port, key } = server;
      const before = server.processor();
      second = await load({ ...common, port, key, from: first.next, events: 0, seconds, warmSeconds, known: real });
      processor = (server.processor() - before) / (second.accepted + second.duplicates);
      identity = await identitiesOf(server);
    } finally {
      await server.stop();
    }
    const there = await stored(dataDir);
    const bare = await floor(folder, numberOf(options, 'floor', 1_000_000), now);
    const rate = second.events / second.seconds;
    const latencies = [...second.latencies];
    return {
      bench: 'ingest',
      settings: {
        known,
        real,
        seconds,
        batch,
        connections,
        depth,
        event_bytes: new Body(1, hour.day).eventBytes,
        ...machine(),
      },
      metrics: {
        events_per_s: Math.round(rate),
        floor_events_per_s: Math.round(bare.rate),
        ratio: round(rate / bare.rate),
        lost: first.accepted + second.accepted - there.ids,
        doubled: there.rows - there.ids,
        ack_p99_ms: round(quantile(latencies, 0.99), 1),
        rss_mb: Math.round(server.peak()),
        bytes_per_id: round((identity.identity_bytes ?? 0) / (identity.identity_ids ?? 1), 2),
        ack_p50_ms: round(quantile(latencies, 0.5), 1),
        ack_max_ms: round(Math.max(...latencies), 1),
        server_cpu_us_per_event: round(processor, 2),
        floor_format: bare.format,
        accepted: second.accepted,
        duplicates: second.duplicates,
        other: first.other + second.other,
        busy: first.busy + second.busy,
        failed: first.failed + second.failed,
        index_seconds: round(server.startSeconds, 1),
      },
    };
  });
}
