/** What nft prints in JSON: tables and counters with their handles. */
import { counterOf, parseJson } from './exact.ts';

/** Counters between two looks at the tables. One process, one document a line. */
export const LISTING = 'list tables; list counters; list tables';

export interface NftCounter {
  family: string;
  table: string;
  name: string;
  /** `<handle of its table>.<its own>`: together they are never given again in one boot. */
  handle: string;
  comment: string;
  packets: bigint;
  bytes: bigint;
}

export interface NftListing {
  counters: NftCounter[];
  /** Counters without figures that can be read. */
  malformed: string[];
  /** False: a table came or went meanwhile. */
  settled: boolean;
}

type Entry = Record<string, unknown>;

/** Throws when the text is not nft's. */
export const parseListing = (text: string): NftListing => {
  const documents = text.split('\n').filter((line) => line.trim() !== '');
  const [before, counters, after, more] = documents.map(objectsOf);
  if (before === undefined || counters === undefined || after === undefined || more !== undefined)
    throw new Error(`nft printed ${documents.length} lists, asked for 3`);
  const tables = handlesOf(before);
  const found: NftListing = { counters: [], malformed: [], settled: same(tables, handlesOf(after)) };
  for (const { counter } of counters) {
    if (counter === undefined) continue;
    const read = counterFrom(counter as Entry, tables);
    if (typeof read === 'string') found.malformed.push(read);
    else found.counters.push(read);
  }
  return found;
};

const objectsOf = (line: string): Entry[] => {
  const top = parseJson(line) as { nftables?: unknown } | null;
  if (!Array.isArray(top?.nftables)) throw new Error('nft printed no list of objects');
  return top.nftables as Entry[];
};

const handlesOf = (objects: readonly Entry[]): Map<string, string> =>
  new Map(
    objects.flatMap((entry): [string, string][] => {
      const table = entry.table as Entry | undefined;
      return table === undefined ? [] : [[`${table.family}/${table.name}`, String(table.handle)]];
    }),
  );

const same = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean =>
  a.size === b.size && [...a].every(([table, handle]) => b.get(table) === handle);

/** Its name, when it has no figures. */
const counterFrom = (entry: Entry, tables: ReadonlyMap<string, string>): NftCounter | string => {
  const { family, table, name, handle, comment } = entry;
  const [packets, bytes] = [counterOf(entry.packets), counterOf(entry.bytes)];
  if (typeof family !== 'string' || typeof table !== 'string' || typeof name !== 'string')
    return `${family}/${table}/${name}`;
  if (packets === null || bytes === null) return `${family}/${table}/${name}`;
  return {
    family,
    table,
    name,
    handle: `${tables.get(`${family}/${table}`) ?? ''}.${handle}`,
    comment: typeof comment === 'string' ? comment : '',
    packets,
    bytes,
  };
};
