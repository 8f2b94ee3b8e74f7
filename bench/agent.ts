/**
 * `agent`: the article's figure again. One metered service under the same load, published in four ways: A in bursts every
 * 30 s (300 s, compressed ten times), A1 in bursts every second, B paced (100 records every 100 ms), C ours. Service,
 * load and collector are processes of their own. CPU is the service's whole CPU, its requests included, in steady
 * state: each mode has published once before, so that nobody's compiling is measured. The peak is that of one second.
 * After the measured span the collector is away for a second, loses its answers for half of one, and the service gets
 * SIGTERM: what is then missing at the collector is lost.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { curvesSvg } from './agent-curves.ts';
import { type ListenerCost, listenerCost } from './agent-listener.ts';
import { type Mode, PER_REQUEST } from './agent-modes.ts';
import { next, start } from './agent-processes.ts';
import { type BenchOptions, type BenchResult, inFolder, machine, numberOf, round, say } from './common.ts';

/** After the first burst of A, and the first bucket of ours. */
const WARM_AFTER_MS = 10_000;
const modes = ['none', 'A', 'A1', 'B', 'C'] as const;

interface Counted {
  requests: number;
  events: number;
  totals: Record<string, number>;
}
interface Truth {
  totals: Record<string, number>;
  records: number;
  failed: number;
}
interface Sampled {
  records: number;
  cpuMs: number[];
  wallMs: number[];
  loopP99Ms: number;
  loopMaxMs: number;
  waiting: number;
}
interface Settings {
  rate: number;
  tenants: number;
  seconds: number;
  periodMs: number;
  seed: number;
}

const warmMs = ({ periodMs }: Pick<Settings, 'periodMs'>): number => periodMs + WARM_AFTER_MS;

export function run(options: BenchOptions): Promise<BenchResult> {
  const settings: Settings = {
    rate: numberOf(options, 'rate', 1000),
    tenants: numberOf(options, 'tenants', 5000),
    seconds: numberOf(options, 'seconds', 30),
    periodMs: numberOf(options, 'period', 30) * 1000,
    seed: numberOf(options, 'seed', 1),
  };
  return inFolder(options, async (folder) => {
    const collector = start('agent-collector');
    try {
      const { port } = await next<{ port: number }>(collector);
      const url = `http://127.0.0.1:${port}`;
      const found = new Map<Mode, Figures>();
      for (const mode of modes) {
        say(`mode ${mode}: ${settings.seconds + warmMs(settings) / 1000} s`);
        found.set(mode, await oneMode(mode, settings, collector, url, `${folder}/${mode}`));
      }
      say('listener: paired runs');
      const listener = await listenerCost(url, folder, {
        lives: numberOf(options, 'lives', 3),
        blocks: numberOf(options, 'blocks', 14),
      });
      const { svg } = options.given;
      if (svg !== undefined) writeFileSync(svg, curvesSvg(curvesOf(found), { ...settings }));
      return resultOf(found, listener, settings);
    } finally {
      collector.kill();
    }
  });
}

interface Figures {
  metrics: Record<string, number>;
  observed: Record<string, number>;
  /** CPU of each 100 ms, percent of one core. */
  curve: number[];
}

async function oneMode(
  mode: Mode,
  { rate, tenants, seconds, periodMs, seed }: Settings,
  collector: ChildProcess,
  url: string,
  folder: string,
): Promise<Figures> {
  const service = start('agent-service');
  const load = start('agent-load');
  service.send({ mode, url, folder, periodMs });
  const { port } = await next<{ port: number }>(service);
  load.send({ port, rate, tenants, seed });
  await sleep(warmMs({ periodMs }));
  service.send('begin');
  await sleep(seconds * 1000);
  service.send('end');
  const sampled = await next<Sampled>(service);
  await trouble(collector);
  load.send('stop');
  const truth = await next<Truth>(load);
  if (truth.failed > 0) throw new Error(`${truth.failed} requests failed`);
  const ended = once(service, 'exit');
  service.kill('SIGTERM');
  await ended;
  collector.send('count');
  return figures(sampled, truth, await next<Counted>(collector));
}

/** What the world does to a publisher. */
async function trouble(collector: ChildProcess): Promise<void> {
  for (const [mood, ms] of [
    ['busy', 1000],
    ['mute', 500],
    ['answer', 1500],
  ] as const) {
    collector.send(mood);
    await sleep(ms);
  }
}

function figures(sampled: Sampled, truth: Truth, counted: Counted): Figures {
  const { cpuMs, wallMs } = sampled;
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const mean = sum(cpuMs) / sum(wallMs);
  let peak = 0;
  for (let i = 0; i + 10 <= cpuMs.length; i++)
    peak = Math.max(peak, sum(cpuMs.slice(i, i + 10)) / sum(wallMs.slice(i, i + 10)));
  let lost = 0;
  let doubled = 0;
  for (const key of new Set([...Object.keys(truth.totals), ...Object.keys(counted.totals)])) {
    const missing = (truth.totals[key] ?? 0) - (counted.totals[key] ?? 0);
    if (missing > 0) lost += missing;
    else doubled -= missing;
  }
  return {
    metrics: {
      cpu_peak_to_mean: round(peak / mean),
      cpu_seconds_per_million: round((sum(cpuMs) / 1000 / sampled.records) * 1e6, 2),
      events_per_record: round(counted.events / truth.records),
      lost,
      doubled,
    },
    observed: {
      cpu_percent: round(mean * 100, 2),
      cpu_peak_percent: round(peak * 100, 2),
      loop_p99_ms: round(sampled.loopP99Ms, 2),
      loop_max_ms: round(sampled.loopMaxMs, 2),
      records: truth.records,
      events: counted.events,
      requests: counted.requests,
      waiting_at_the_end: sampled.waiting,
      lost_percent: round((lost / sum(Object.values(truth.totals))) * 100, 2),
    },
    curve: cpuMs.map((ms, i) => (ms / (wallMs[i] as number)) * 100),
  };
}

const curvesOf = (found: ReadonlyMap<Mode, Figures>): Map<string, readonly number[]> =>
  new Map([...found].filter(([mode]) => mode !== 'none').map(([mode, { curve }]) => [mode, curve]));

const resultOf = (found: ReadonlyMap<Mode, Figures>, listener: ListenerCost, settings: Settings): BenchResult => ({
  bench: 'agent',
  settings: {
    ...settings,
    events_per_request: PER_REQUEST,
    measurements: 4,
    peak_window_ms: 1000,
    warm_ms: warmMs(settings),
    observed: Object.fromEntries([...found].map(([mode, { observed }]) => [mode, observed])),
    bare_cpu_seconds_per_million: found.get('none')?.metrics.cpu_seconds_per_million,
    listener: listener.settings,
    ...machine(),
  },
  metrics: {
    ...Object.fromEntries([...found].filter(([mode]) => mode !== 'none').map(([mode, { metrics }]) => [mode, metrics])),
    listener_throughput_ratio: listener.ratio,
    listener_cpu_ratio: listener.cpuRatio,
  },
});
