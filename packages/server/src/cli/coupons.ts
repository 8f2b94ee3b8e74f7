/** tollgate billing coupons and discounts: offers, and who has them. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { adjusting, wholeOf, withReason } from './options.ts';
import { plain, table } from './table.ts';

interface Off {
  percent?: string;
  amount?: string;
  currency?: string;
}
const offText = ({ percent, amount, currency }: Off): string =>
  percent === undefined ? `${amount ?? ''} ${currency ?? ''}` : `${percent}%`;
const lastsText = (periods: number | null): string =>
  periods === null ? '' : `${periods} period${periods === 1 ? '' : 's'}`;

interface CouponOptions extends Off {
  name?: string;
  on?: string[];
  periods?: string;
  reason?: string;
}

const coupons = (billing: Command, io: Io): void => {
  const command = billing.command('coupons').description('offers of a discount');
  command
    .command('list', { isDefault: true })
    .description('all coupons')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/billing/coupons');
      if (io.flags.json) return json(io, items);
      if (items.length === 0)
        return io.out('There are no coupons. Make one: `tollgate billing coupons set KEY --percent 10`.\n');
      io.out(
        table(items, [
          { title: 'coupon', cell: (c) => c.key },
          { title: 'name', cell: (c) => (c.name === c.key ? '' : c.name) },
          { title: 'off', cell: (c) => offText(c), right: true },
          { title: 'on', cell: (c) => (c.on.length === 0 ? 'everything' : c.on.join(' ')) },
          { title: 'lasts', cell: (c) => lastsText(c.periods) },
          { title: '', cell: (c) => (c.removed ? 'cannot be given any more' : '') },
        ]),
      );
    });
  withReason(command.command('set <key>'))
    .description('make a coupon, or change it for what is not final yet')
    .option('--percent <number>', 'off what it is on')
    .option('--amount <number>', 'off each period, with --currency')
    .option('--currency <code>', 'of the amount')
    .option('--on <keys...>', 'plans, and prices as PLAN/PRICE (default: everything)')
    .option('--periods <number>', 'how many periods it lasts (default: as long as it is given)')
    .option('--name <text>', 'on the invoice')
    .action(async (key: string, { periods, ...rest }: CouponOptions) => {
      const body = { ...rest, ...(periods === undefined ? {} : { periods: wholeOf(periods, '--periods') }) };
      const set = await connect(io).call('PUT /api/v1/billing/coupons/{key}', { params: { key }, body });
      if (io.flags.json) return json(io, set);
      io.out(`Set coupon ${plain(set.key)}: ${offText(set)} off.\n`);
    });
  withReason(command.command('end <key>'))
    .description('it cannot be given any more; who has it keeps it')
    .action(async (key: string, query: { reason?: string }) => {
      const ended = await connect(io).call('DELETE /api/v1/billing/coupons/{key}', { params: { key }, query });
      if (io.flags.json) return json(io, ended);
      io.out(`The coupon ${plain(ended.key)} cannot be given any more.\n`);
    });
};

interface DiscountRow extends Off {
  account: string;
  coupon: string;
  name: string;
  periods: number | null;
  from: string;
  to?: string;
  state: string;
}
const show = (io: Io, items: readonly DiscountRow[]): void => {
  if (io.flags.json) json(io, items);
  else if (items.length === 0) io.out('Nobody has a discount.\n');
  else
    io.out(
      table(items, [
        { title: 'account', cell: (d) => d.account },
        { title: 'coupon', cell: (d) => d.coupon },
        { title: 'name', cell: (d) => (d.name === d.coupon ? '' : d.name) },
        { title: 'off', cell: (c) => offText(c), right: true },
        { title: 'from', cell: (d) => d.from },
        { title: 'to', cell: (d) => d.to ?? '' },
        { title: 'lasts', cell: (d) => lastsText(d.periods) },
        { title: '', cell: (d) => (d.state === 'current' ? '' : d.state) },
      ]),
    );
};

interface SpanOptions {
  from?: string;
  to?: string;
  at?: string;
  adjust?: boolean;
  reason?: string;
}

const discounts = (billing: Command, io: Io): void => {
  const command = billing.command('discounts').description('who has which coupon');
  command
    .command('list', { isDefault: true })
    .description('all of them, past and to come')
    .option('--account <id>', 'only of this account')
    .action(async (query: { account?: string }) =>
      show(io, (await connect(io).call('GET /api/v1/billing/discounts', { query })).items),
    );
  adjusting(withReason(command.command('give <account> <coupon>')))
    .description('give an account a coupon')
    .option('--from <time>', 'from when on (default: now)')
    .option('--to <time>', 'until when (default: without end)')
    .action(async (account: string, coupon: string, o: SpanOptions) =>
      show(io, (await connect(io).call('POST /api/v1/billing/discounts', { body: { account, coupon, ...o } })).items),
    );
  adjusting(withReason(command.command('end <account> <coupon>')))
    .description('end it, or call off one that is planned')
    .option('--at <time>', 'when it ends (default: now)')
    .option('--from <time>', 'only the one that begins then')
    .action(async (account: string, coupon: string, query: SpanOptions) => {
      const call = { params: { account, coupon }, query };
      show(io, (await connect(io).call('DELETE /api/v1/billing/discounts/{account}/{coupon}', call)).items);
    });
};

export const couponCommands = (billing: Command, io: Io): void => {
  coupons(billing, io);
  discounts(billing, io);
};
