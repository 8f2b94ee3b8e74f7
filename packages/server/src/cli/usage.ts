/** tollgate usage: what was used. */
import type { Operations } from '@tollgate/client';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { showCost } from './cost.ts';
import { type Io, json } from './io.ts';
import { wholeOf } from './options.ts';
import { grouped, near, unitText } from './quantity.ts';
import { table } from './table.ts';

type Query = NonNullable<Operations['GET /api/v1/usage']['query']>;
type Row = Operations['GET /api/v1/usage']['answer']['items'][number];

interface Options {
  from?: string;
  to?: string;
  window?: Query['windowSize'];
  zone?: string;
  by?: string[];
  meter?: string[];
  account?: string[];
  resource?: string[];
  source?: string[];
  asOf?: string;
  records?: boolean;
  csv?: boolean;
  cost?: boolean;
}

const queryOf = (o: Options): Query => ({
  from: o.from,
  to: o.to,
  windowSize: o.records ? 'window' : o.window,
  zone: o.zone,
  groupBy: o.records ? ['account', 'resource', 'source', 'series'] : (o.by ?? ['account', 'resource']),
  meter: o.meter,
  account: o.account,
  resource: o.resource,
  source: o.source,
  asOf: o.asOf === undefined ? undefined : wholeOf(o.asOf, '--as-of'),
  limit: 10_000,
});

const all = async (io: Io, query: Query) => {
  const client = connect(io);
  const first = await client.call('GET /api/v1/usage', { query });
  const items: Row[] = [...first.items];
  for (let cursor = first.nextCursor; cursor !== undefined; ) {
    const page = await client.call('GET /api/v1/usage', { query: { ...query, cursor } });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return { ...first, items };
};

/** Unknown is shown as unknown, never as 0. */
const amount = (row: Row): string => (row.quantity === null ? 'unknown' : grouped(row.quantity));
const state = (row: Row): string => `${row.state}${row.provisional ? ', open' : ''}`;

const show = (io: Io, rows: readonly Row[], zone: string, records: boolean): void => {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.group)))];
  const intervals = new Set(rows.map((row) => `${row.from}/${row.to}`));
  io.out(
    table(rows, [
      ...names.map((name) => ({ title: name, cell: (row: Row) => row.group[name] ?? '' })),
      { title: 'meter', cell: (row) => row.meter },
      { title: 'from', cell: (row) => (intervals.size > 1 ? localTime(row.from, zone) : '') },
      { title: 'quantity', cell: amount, right: true },
      { title: 'unit', cell: (row) => unitText(row.unit) },
      { title: 'about', cell: (row) => near(row.quantity, row.unit), right: true },
      { title: 'state', cell: state },
      { title: 'flags', cell: (row) => row.flags.join(' ') },
      { title: 'record', cell: (row) => (records ? (row.explain ?? '') : '') },
    ]),
  );
};

const localTime = (instant: string, zone: string): string =>
  new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' }).format(
    new Date(instant),
  );

export const usageCommand = (program: Command, io: Io): void => {
  program
    .command('usage')
    .description('what was used: today, by account and resource, unless asked otherwise')
    .option('--from <time>', 'first instant: RFC 3339, or a date or time of the zone (default: start of today)')
    .option('--to <time>', 'one past the last instant (default: now)')
    .option('--window <size>', 'a row for every minute, window (15 min), hour, day or month')
    .option('--zone <zone>', 'IANA time zone (default: of the account)')
    .option('--by <names...>', 'account, resource, source, trafficType, series, or a dimension')
    .option('--meter <keys...>', 'only these meters')
    .option('--account <ids...>', 'only these accounts and those below; unattributed for usage of nobody')
    .option('--resource <ids...>', 'only these resources')
    .option('--source <names...>', 'only these sources')
    .option('--as-of <frontier>', 'as it was known then')
    .option('--records', 'every record, with the name `tollgate explain` takes')
    .option('--csv', 'as CSV')
    .option('--cost', 'what the running period of the accounts costs so far, and a forecast')
    .action(async (options: Options) => {
      if (options.cost) return showCost(io, options.account);
      if (options.csv) {
        const { limit: _limit, ...query } = queryOf(options);
        const pairs = Object.entries(query).flatMap(([name, v]) =>
          [v ?? []].flat().map((one) => [name, String(one)] as [string, string]),
        );
        const answer = await connect(io).send(
          'GET',
          `/api/v1/usage?${new URLSearchParams([...pairs, ['format', 'csv']])}`,
        );
        io.out(await answer.text());
        return;
      }
      const { items, from, to, zone } = await all(io, queryOf(options));
      if (io.flags.json) return json(io, items);
      io.out(`${localTime(from, zone)} to ${localTime(to, zone)}, ${zone}\n\n`);
      if (items.length === 0) {
        io.out('Nothing was metered in this time. A counter shows usage from its second reading on.\n');
        io.out('Look at `tollgate sources list` and `tollgate doctor`.\n');
        return;
      }
      show(io, items, zone, options.records === true);
      if (items.some((row) => row.provisional))
        io.out('\nopen: the last window is not closed yet, its figure still grows.\n');
    });
};
