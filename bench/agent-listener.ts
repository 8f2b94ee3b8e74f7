/**
 * What a listener costs a node:http server: two processes with the same server, one metered (listener, sums, spool,
 * publisher), the other not, loaded in turns from a third. The order changes from pair to pair; the figure is the median
 * of the pairs' ratios.
 */
import type { ChildProcess } from 'node:child_process';
import { next, start } from './agent-processes.ts';
import { quantile, round } from './common.ts';

const SPAN_MS = 1000;

const ask = <T>(child: ChildProcess, message: object): Promise<T> => {
  const answer = next<T>(child);
  child.send(message);
  return answer;
};

export async function listenerThroughputRatio(
  url: string,
  folder: string,
  pairs: number,
): Promise<{ ratio: number; pairs: readonly number[]; perSecond: number }> {
  const [bare, metered, load] = [start('agent-http'), start('agent-http'), start('agent-http-load')];
  try {
    const ports = {
      bare: (await ask<{ port: number }>(bare, { url: '', folder })).port,
      metered: (await ask<{ port: number }>(metered, { url, folder: `${folder}/http` })).port,
    };
    const rate = async (which: keyof typeof ports): Promise<number> =>
      (await ask<{ perSecond: number }>(load, { port: ports[which], ms: SPAN_MS })).perSecond;
    // Both are compiled and their heaps have grown before anything counts.
    for (const which of ['bare', 'metered', 'bare', 'metered'] as const) await rate(which);
    const ratios: number[] = [];
    const bares: number[] = [];
    for (let i = 0; i < pairs; i++) {
      const order = i % 2 === 0 ? (['bare', 'metered'] as const) : (['metered', 'bare'] as const);
      const found = { bare: 0, metered: 0 };
      for (const which of order) found[which] = await rate(which);
      ratios.push(round(found.metered / found.bare, 4));
      bares.push(found.bare);
    }
    return { ratio: quantile(ratios, 0.5), pairs: ratios, perSecond: Math.round(quantile(bares, 0.5)) };
  } finally {
    for (const child of [bare, metered, load]) child.kill('SIGKILL');
  }
}
