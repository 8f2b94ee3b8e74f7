/**
 * What a listener costs a node:http server: two processes with the same server, one metered (listener, sums, spool,
 * publisher), the other not, loaded in turns from a third. The order changes from pair to pair; the figure is the median
 * of the pairs' ratios.
 */
import type { ChildProcess } from 'node:child_process';
import { next, start } from './agent-processes.ts';
import { quantile, round } from './common.ts';

const SPAN_MS = 500;

export interface ListenerCost {
  /** Requests a second with the listener over those without: median of the pairs. */
  ratio: number;
  pairs: readonly number[];
  /** CPU of a request without over that with: the same question, asked so that others on the machine disturb it less. */
  cpuRatio: number;
  perSecond: number;
}

interface Span {
  perSecond: number;
  cpuUs: number;
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

export async function listenerThroughputRatio(url: string, folder: string, pairs: number): Promise<ListenerCost> {
  const [bare, metered, load] = [start('agent-http'), start('agent-http'), start('agent-http-load')];
  const servers = { bare, metered };
  try {
    const ports = {
      bare: (await ask<{ port: number }>(bare, { url: '', folder })).port,
      metered: (await ask<{ port: number }>(metered, { url, folder: `${folder}/http` })).port,
    };
    const span = async (which: keyof typeof ports): Promise<Span> => {
      const before = await cpuOf(servers[which]);
      const { perSecond } = await ask<{ perSecond: number }>(load, { port: ports[which], ms: SPAN_MS });
      return { perSecond, cpuUs: ((await cpuOf(servers[which])) - before) / ((perSecond * SPAN_MS) / 1000) };
    };
    // Both are compiled and their heaps have grown before anything counts.
    for (let i = 0; i < 12; i++) await span(i % 2 === 0 ? 'bare' : 'metered');
    const found: { bare: Span; metered: Span }[] = [];
    for (let i = 0; i < pairs; i++) {
      if (i % 2 === 0) found.push({ bare: await span('bare'), metered: await span('metered') });
      else {
        const first = await span('metered');
        found.push({ bare: await span('bare'), metered: first });
      }
    }
    const median = (of: (pair: { bare: Span; metered: Span }) => number): number => quantile(found.map(of), 0.5);
    return {
      ratio: round(
        median((pair) => pair.metered.perSecond / pair.bare.perSecond),
        4,
      ),
      pairs: found.map((pair) => round(pair.metered.perSecond / pair.bare.perSecond)),
      cpuRatio: round(
        median((pair) => pair.bare.cpuUs / pair.metered.cpuUs),
        4,
      ),
      perSecond: Math.round(median(({ bare }) => bare.perSecond)),
    };
  } finally {
    for (const child of [bare, metered, load]) child.kill('SIGKILL');
  }
}
