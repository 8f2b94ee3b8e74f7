/**
 * `rls`: Envoy's Rate Limit Service of a real server, asked by a client in this process on the same cores (rls-client.ts). Open loop: calls
 * leave at their appointed time whether or not earlier ones were answered, and latency is counted from that time, so that
 * a stall is not hidden. First over gRPC, then its JSON twin, one descriptor a call. Floor: a bare gRPC server that
 * answers a constant, in the same run.
 */
import { Agent, request as httpRequest } from 'node:http';
import { packages, RATE_LIMIT_SERVICE } from 'tollgate/throttle/rls/schema.js';
import { next, start } from './agent-processes.ts';
import { type BenchOptions, type BenchResult, inFolder, machine, numberOf, quantile, round, say } from './common.ts';
import { RawClient } from './rls-client.ts';
import { startServer } from './server-process.ts';

const DOMAIN = 'bench';
const CONFIG = `domain: ${DOMAIN}
descriptors:
  - key: client
    rate_limit: { unit: minute, requests_per_unit: 1000 }
`;

/** As a proxy's worker threads have. */
const CONNECTIONS = 4;

type Send = (client: number) => Promise<boolean>;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const load = {
    rate: numberOf(options, 'rate', 11_000),
    seconds: numberOf(options, 'seconds', 15),
    keys: numberOf(options, 'keys', 100_000),
  };
  const bare = await floor(load);
  return inFolder(options, async (folder) => {
    const server = await startServer(folder);
    try {
      await configure(server.url, server.key);
      const grpc = await measured('gRPC', await grpcTo(server.rls), load);
      const slower = { ...load, rate: load.rate / 4 };
      const json = await measured('JSON', jsonTo(server.url, server.key), slower);
      return {
        bench: 'rls',
        settings: { ...load, json_rate: slower.rate, descriptors: 1, loop: 'open', ...machine() },
        metrics: {
          decisions_per_s: grpc.rate,
          p50_ms: grpc.p50,
          p99_ms: grpc.p99,
          max_ms: grpc.max,
          failed: grpc.failed,
          floor_per_s: bare.rate,
          floor_p50_ms: bare.p50,
          floor_p99_ms: bare.p99,
          json_per_s: json.rate,
          json_p50_ms: json.p50,
          json_p99_ms: json.p99,
        },
      };
    } finally {
      await server.stop();
    }
  });
}

async function floor(load: Load): Promise<Figures> {
  const process = start('rls-floor');
  try {
    const { port } = await next<{ port: number }>(process);
    return await measured('bare gRPC', await grpcTo(`127.0.0.1:${port}`), load);
  } finally {
    process.kill();
  }
}

async function configure(url: string, key: string): Promise<void> {
  const answer = await fetch(`${url}/api/v1/rate-limit-domains`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/yaml' },
    body: CONFIG,
  });
  if (!answer.ok) throw new Error(await answer.text());
}

interface Figures {
  rate: number;
  p50: number;
  p99: number;
  max: number;
  failed: number;
}

interface Load {
  rate: number;
  seconds: number;
  keys: number;
}

async function measured(name: string, send: Send, load: Load): Promise<Figures> {
  say(`${name}: warming up`);
  await openLoop(send, { ...load, seconds: 4 });
  say(`${name}: ${load.seconds} s at ${load.rate} calls/s`);
  const { latencies, failed, took } = await openLoop(send, load);
  const result = {
    rate: Math.round(latencies.length / took),
    p50: round(quantile(latencies, 0.5), 2),
    p99: round(quantile(latencies, 0.99), 2),
    max: round(quantile(latencies, 1), 1),
    failed,
  };
  say(`${name}: ${result.rate}/s, p50 ${result.p50} ms, p99 ${result.p99} ms`);
  return result;
}

async function openLoop(send: Send, { rate, seconds, keys }: Load) {
  const latencies: number[] = [];
  let failed = 0;
  let sent = 0;
  let client = 1;
  const total = Math.round(rate * seconds);
  const open = new Set<Promise<void>>();
  const from = performance.now();
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - from) * rate) / 1000));
    for (; sent < due; sent++) {
      const appointed = from + (sent * 1000) / rate;
      // A fixed walk over all keys, without randomness of its own.
      client = (client * 48_271) % 2_147_483_647;
      const call = send(client % keys).then(
        (ok) => {
          if (ok) latencies.push(performance.now() - appointed);
          else failed++;
        },
        () => {
          failed++;
        },
      );
      open.add(call);
      call.finally(() => open.delete(call));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(open);
  return { latencies, failed, took: (performance.now() - from) / 1000 };
}

/** Calls go round over a few connections, as a proxy's threads have one each. */
async function grpcTo(address: string): Promise<Send> {
  const { ShouldRateLimit } = packages()[RATE_LIMIT_SERVICE] as unknown as Record<string, Method>;
  if (ShouldRateLimit === undefined) throw new Error('the service has no such method');
  const { path, requestSerialize } = ShouldRateLimit;
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connected(address, path)));
  let turn = 0;
  return (key) => {
    turn = (turn + 1) % CONNECTIONS;
    const entries = [{ key: 'client', value: `c${key}` }];
    return (clients[turn] as Ask)(requestSerialize({ domain: DOMAIN, descriptors: [{ entries }] }));
  };
}

type Ask = (message: Buffer) => Promise<boolean>;

async function connected(address: string, path: string): Promise<Ask> {
  const waiting = new Map<number, (ok: boolean) => void>();
  const client = await RawClient.open(address, path, (stream, ok) => {
    waiting.get(stream)?.(ok);
    waiting.delete(stream);
  });
  return (message) => new Promise((resolve) => waiting.set(client.send(message), resolve));
}

interface Method {
  path: string;
  requestSerialize(message: object): Buffer;
}

function jsonTo(url: string, key: string): Send {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return (client) =>
    new Promise((resolve, reject) => {
      const call = httpRequest(`${url}/json`, { method: 'POST', agent, headers }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode === 200));
      });
      call.on('error', reject);
      call.end(`{"domain":"${DOMAIN}","descriptors":[{"entries":[{"key":"client","value":"c${client}"}]}]}`);
    });
}
