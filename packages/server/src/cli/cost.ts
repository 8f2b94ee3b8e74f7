/** tollgate usage --cost: what the running period costs so far, and a forecast. */
import type { Operations } from '@tollgate/client';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { moneyText } from './money.ts';
import { grouped, unitText } from './quantity.ts';
import { plain, table } from './table.ts';

type Cost = Operations['GET /api/v1/accounts/{id}/cost']['answer'];
type Line = Cost['soFar']['lines'][number];

const quantityOf = ({ quantity, unit }: Line): string =>
  quantity === null ? '' : `${quantity.includes('/') ? quantity : grouped(quantity)} ${unitText(unit)}`.trim();
const stateOf = ({ state, flags, meter }: Line): string =>
  meter === '' ? '' : [...new Set([state, ...flags])].join(' ');
const nameOf = ({ account, plan, price, kind, from }: Line): string =>
  JSON.stringify([account, plan, price, kind, from]);

const show = (io: Io, cost: Cost): void => {
  const { account, currency, soFar, forecast } = cost;
  const later = new Map(forecast.lines.map((line) => [nameOf(line), line]));
  io.out(`${plain(account)}, ${cost.from} to ${cost.to}; as of ${cost.at}, facts up to ${cost.frontier}\n`);
  if (!cost.whole)
    io.out(`Paid by ${plain(cost.payer ?? 'another account')}: lines of its own, before taxes and discounts.\n`);
  io.out('\n');
  const names = new Set(soFar.lines.map(nameOf));
  const ahead = forecast.lines.filter((line) => !names.has(nameOf(line)));
  const rows = [
    ...soFar.lines.map((line) => ({ line, now: line.amount })),
    ...ahead.map((line) => ({ line, now: '' })),
  ];
  io.out(
    table(rows, [
      { title: 'account', cell: ({ line }) => line.account },
      { title: 'for', cell: ({ line }) => line.name },
      { title: 'kind', cell: ({ line }) => line.kind },
      { title: 'quantity', cell: ({ line, now }) => (now === '' ? '' : quantityOf(line)), right: true },
      { title: 'state', cell: ({ line, now }) => (now === '' ? '' : stateOf(line)) },
      { title: 'so far', cell: ({ now }) => (now === '' ? '' : moneyText(now, currency)), right: true },
      {
        title: 'forecast',
        cell: ({ line }) => moneyText(later.get(nameOf(line))?.amount ?? '0', currency),
        right: true,
      },
    ]),
  );
  const sums = (what: Cost['soFar']): string =>
    `${moneyText(what.total, currency)}${/^0(\.0+)?$/.test(what.tax) ? '' : ` (with ${moneyText(what.tax, currency)} tax)`}`;
  io.out(`\nso far        ${sums(soFar)}\n`);
  io.out(`forecast      ${sums(forecast)}: an estimate, if usage goes on as it went\n`);
};

export const showCost = async (io: Io, accounts: readonly string[] | undefined): Promise<void> => {
  if (accounts === undefined || accounts.length === 0)
    throw new CliError(Exit.usage, '--cost needs --account', 'tollgate usage --cost --account acme');
  const client = connect(io);
  const costs: Cost[] = [];
  for (const id of accounts) costs.push(await client.call('GET /api/v1/accounts/{id}/cost', { params: { id } }));
  if (io.flags.json) return json(io, costs);
  for (const [i, cost] of costs.entries()) {
    if (i > 0) io.out('\n');
    show(io, cost);
  }
};
