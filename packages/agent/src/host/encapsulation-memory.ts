/** What outlives a restart of the agent: every tunnel's watch, with the settings it was made under. */
import type { PollPass } from '../poll/poller.ts';
import type { Watched, WatchedTunnel } from './encapsulation-watch.ts';

interface Row {
  tunnel: string;
  /** As text: where any of them differ the figures do not go on from what was before. */
  settings: string;
  watched: Watched;
}

export const writeWatches = (watches: readonly { tunnel: WatchedTunnel; watched: Watched | null }[]): string => {
  const rows = watches.flatMap(({ tunnel, watched }): Row[] =>
    watched === null ? [] : [{ tunnel: tunnel.tunnel, settings: JSON.stringify(tunnel), watched }],
  );
  return JSON.stringify(rows, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
};

/** Watches to go on with, and those that are over: their tunnel is gone or has other settings. Nothing of an unreadable text. */
export const readWatches = (
  text: string | null,
  tunnels: readonly WatchedTunnel[],
): { going: ReadonlyMap<string, Watched>; over: readonly Watched[] } => {
  const going = new Map<string, Watched>();
  const over: Watched[] = [];
  for (const { tunnel, settings, watched } of recall(text)) {
    if (tunnels.some((one) => one.tunnel === tunnel && JSON.stringify(one) === settings)) going.set(tunnel, watched);
    else over.push(watched);
  }
  return { going, over };
};

/** Only a help: without it the next watch begins. */
const recall = (text: string | null): Row[] => {
  try {
    const rows: unknown = JSON.parse(text ?? '[]', (_, value: unknown) =>
      typeof value === 'string' && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
    );
    return Array.isArray(rows) && rows.every(isRow) ? rows : [];
  } catch {
    return [];
  }
};

const isRow = (row: Partial<Row> | null): row is Row => {
  const { first, last, seen, told } = row?.watched ?? {};
  const sums = [seen, told?.sum].filter((sum) => sum !== null && sum !== undefined);
  return isPass(first) && isPass(last) && sums.every(({ payloadBytes }) => typeof payloadBytes === 'bigint');
};

const isPass = (pass: PollPass | undefined): boolean =>
  typeof pass?.at === 'number' &&
  Array.isArray(pass.ended) &&
  pass.counted.every(({ object, value }) => typeof object === 'string' && typeof value === 'bigint');
