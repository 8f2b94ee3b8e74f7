/**
 * What a listener costs a node:http server: two processes with the same server, one metered (listener, sums, spool,
 * publisher), the other not, loaded in turns from a third.
 *
 * - Where it can be, both servers have one core and the load has another, so the load takes nothing from them.
 * - A server that is not loaded is stopped (SIGSTOP): what the metered one has put off, writing and publishing, falls into
 *   its own spans and not into the other's.
 * - A block is bare, metered, metered, bare: a machine that gets slower or faster at a steady pace does not show.
 * - The processes are replaced some times: where code and heap of one lie is luck and stays with it.
 * - Blocks in which a server did not have its core for itself count only when there are hardly any others.
 * - The figures are medians over the blocks of all lives. CPU per request is the same question, asked so that others on
 *   the machine disturb it less.
 */
import type { ChildProcess } from 'node:child_process';
import { TENANTS } from './agent-http-tenants.ts';
import { next, start } from './agent-processes.ts';
import { quantile, round } from './common.ts';

/** Long beside what is put off (100 ms): the end of a stop is a small burst. */
const SPAN_MS = 400;
/** Code that runs ten times a second is compiled late: what a service pays in its first seconds is not the question. */
const WARM_SPANS = 24;

export interface ListenerCost {
  /** Requests a second with the listener over those without. */
  ratio: number;
  /** CPU of a request without over that with. */
  cpuRatio: number;
  /** What is needed to judge both. */
  settings: Record<string, unknown>;
}

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
}
interface Span {
  answered: number;
  seconds: number;
  cpuUs: number;
}
/** One block, each server's spans added up. */
interface Block {
  bare: Span;
  metered: Span;
}

const ask = <T>(child: ChildProcess, message: object | string): Promise<T> => {
  const answer = next<T>(child);
  child.send(message);
  return answer;
};

const cpuOf = async (server: ChildProcess): Promise<number> => {
  const { cpu } = await ask<{ cpu: NodeJS.CpuUsage }>(server, 'cpu');
  return cpu.user + cpu.system;
};

const plus = (a: Span, b: Span): Span => ({
  answered: a.answered + b.answered,
  seconds: a.seconds + b.seconds,
  cpuUs: a.cpuUs + b.cpuUs,
});
const rate = ({ answered, seconds }: Span): number => answered / seconds;
/** Share of a core, while it was loaded. */
const busy = ({ cpuUs, seconds }: Span): number => cpuUs / seconds / 1e6;
const isQuiet = ({ bare, metered }: Block): boolean => Math.min(busy(bare), busy(metered)) > 0.9;
const cost = ({ cpuUs, answered }: Span): number => cpuUs / answered;

/** The load's and the servers' core. */
const LOAD_CORE = 0;
const SERVER_CORE = 1;

async function serve(url: string, folder: string): Promise<Server> {
  const child = start('agent-http', SERVER_CORE);
  const { port } = await ask<{ port: number }>(child, { url, folder });
  child.kill('SIGSTOP');
  return { child, port };
}

async function span(load: ChildProcess, { child, port }: Server): Promise<Span> {
  child.kill('SIGCONT');
  const before = await cpuOf(child);
  const done = await ask<Omit<Span, 'cpuUs'>>(load, { port, ms: SPAN_MS });
  const cpuUs = (await cpuOf(child)) - before;
  child.kill('SIGSTOP');
  return { ...done, cpuUs };
}

/** Blocks of one pair of processes. */
async function life(url: string, folder: string, blocks: number): Promise<Block[]> {
  const load = start('agent-http-load', LOAD_CORE);
  const bare = await serve('', folder);
  const metered = await serve(url, folder);
  try {
    // Both are compiled and their heaps have grown before anything counts.
    for (let i = 0; i < WARM_SPANS; i++) await span(load, i % 2 === 0 ? bare : metered);
    const found: Block[] = [];
    for (let i = 0; i < blocks; i++) {
      const [outer, inner] = i % 2 === 0 ? [bare, metered] : [metered, bare];
      const [first, second, third, fourth] = [
        await span(load, outer),
        await span(load, inner),
        await span(load, inner),
        await span(load, outer),
      ];
      const [a, b] = [plus(first, fourth), plus(second, third)];
      found.push(outer === bare ? { bare: a, metered: b } : { bare: b, metered: a });
    }
    return found;
  } finally {
    for (const child of [bare.child, metered.child, load]) child.kill('SIGKILL');
  }
}

export async function listenerCost(
  url: string,
  folder: string,
  { lives, blocks }: { lives: number; blocks: number },
): Promise<ListenerCost> {
  const all: Block[] = [];
  for (let i = 0; i < lives; i++) all.push(...(await life(url, `${folder}/http-${i}`, blocks)));
  const quiet = all.filter(isQuiet);
  const found = quiet.length >= all.length / 4 ? quiet : all;
  const ratios = found.map(({ bare, metered }) => rate(metered) / rate(bare));
  const cpuRatios = found.map(({ bare, metered }) => cost(bare) / cost(metered));
  const best = (of: (block: Block) => number): number => quantile(found.map(of), 0.1);
  const quartiles = (of: readonly number[]): number[] => [0.25, 0.75].map((share) => round(quantile(of, share)));
  return {
    ratio: round(quantile(ratios, 0.5), 4),
    cpuRatio: round(quantile(cpuRatios, 0.5), 4),
    settings: {
      handler: 'tenant of the path from a map, 3.4 kB of JSON made for each request',
      tenants: TENANTS,
      connections: 32,
      lives,
      blocks,
      quiet_blocks: quiet.length,
      span_ms: SPAN_MS,
      // Of the tenth of the blocks that the machine disturbed least.
      best_ratio: round(best(({ metered }) => -rate(metered)) / best(({ bare }) => -rate(bare))),
      best_cpu_ratio: round(best(({ bare }) => cost(bare)) / best(({ metered }) => cost(metered))),
      ratio_quartiles: quartiles(ratios),
      cpu_ratio_quartiles: quartiles(cpuRatios),
      bare_requests_per_s: Math.round(
        quantile(
          found.map(({ bare }) => rate(bare)),
          0.5,
        ),
      ),
      bare_cpu_us: round(
        quantile(
          found.map(({ bare }) => cost(bare)),
          0.5,
        ),
        2,
      ),
      added_cpu_us: round(
        quantile(
          found.map(({ bare, metered }) => cost(metered) - cost(bare)),
          0.5,
        ),
        2,
      ),
      /** Of a core, while it was loaded: 1 says that the server was what was measured. */
      server_busy: round(
        quantile(
          found.map(({ bare }) => bare.cpuUs / bare.seconds / 1e6),
          0.5,
        ),
      ),
    },
  };
}
