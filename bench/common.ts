/** What the benches share: options, progress, a folder that goes away, figures of time and memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

export interface BenchOptions {
  json: boolean;
  /** What followed `--key`, as text. */
  given: Readonly<Record<string, string>>;
}

export interface BenchResult {
  bench: string;
  settings: Record<string, unknown>;
  metrics: Record<string, unknown>;
}

export interface Bench {
  run(options: BenchOptions): Promise<BenchResult>;
}

export const isBench = (module: unknown): module is Bench =>
  typeof module === 'object' && module !== null && 'run' in module && typeof module.run === 'function';

export function optionsOf(args: readonly string[]): BenchOptions {
  const given: Record<string, string> = {};
  let json = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--json') json = true;
    else if (arg.startsWith('--')) given[arg.slice(2)] = args[++i] ?? '';
  }
  return { json, given };
}

export function numberOf(options: BenchOptions, name: string, usual: number): number {
  const text = options.given[name];
  const value = text === undefined ? usual : Number(text);
  if (!Number.isFinite(value)) throw new Error(`--${name} takes a number`);
  return value;
}

/** Progress goes to stderr, figures to stdout. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Gives `work` a folder of its own and removes it, whatever happens. `--dir` chooses the volume. */
export async function inFolder<T>(options: BenchOptions, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(options.given.dir ?? tmpdir(), 'tollgate-bench-'));
  const clean = (): Promise<void> => rm(folder, { recursive: true, force: true, maxRetries: 3 });
  const onSignal = (): void => void clean().finally(() => process.exit(130));
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    return await work(folder);
  } finally {
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
    await clean();
  }
}

/** Highest resident memory of this process between start and stop, in MB. */
export class MemoryWatch {
  private peak = 0;
  private readonly timer: NodeJS.Timeout;

  constructor() {
    this.look();
    this.timer = setInterval(() => this.look(), 50);
    this.timer.unref();
  }

  stop(): number {
    clearInterval(this.timer);
    this.look();
    return Math.round(this.peak / 1e6);
  }

  private look(): void {
    this.peak = Math.max(this.peak, process.memoryUsage.rss());
  }
}

export async function timed<T>(work: () => Promise<T>): Promise<{ seconds: number; result: T }> {
  const from = performance.now();
  const result = await work();
  return { seconds: (performance.now() - from) / 1000, result };
}

/** As `timed`, and says what it took: by the clock and, of this process, of processors. */
export async function phase<T>(name: string, work: () => Promise<T>): Promise<{ seconds: number; result: T }> {
  const before = process.cpuUsage();
  const done = await timed(work);
  const { user, system } = process.cpuUsage(before);
  say(`${name}: ${round(done.seconds, 1)} s, processors ${round((user + system) / 1e6, 1)} s`);
  return done;
}

/** The value below which `share` of the sorted samples lie. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export const round = (value: number, digits = 3): number => Number(value.toFixed(digits));

export const machine = (): Record<string, unknown> => ({
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? '',
  node: process.version,
});
