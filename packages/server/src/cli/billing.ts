/** tollgate billing: who bills, how each account is billed, taxes; coupons and discounts are in coupons.ts. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { couponCommands } from './coupons.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { withReason } from './options.ts';
import { readText, sendText } from './plans.ts';
import { plain, table } from './table.ts';

interface Named {
  key: string;
  name: string;
}

const entities = (billing: Command, io: Io): void => {
  billing
    .command('entities')
    .description('legal entities that bill')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/billing/entities');
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'entity', cell: (e) => e.key },
          { title: 'name', cell: (e) => e.name },
          { title: 'address', cell: (e) => e.address.join(', ') },
          { title: 'tax id', cell: (e) => e.taxId },
          { title: 'invoices', cell: (e) => e.invoicePrefix },
          { title: 'credit notes', cell: (e) => e.creditPrefix },
          { title: 'rounding', cell: (e) => e.conventions.rounding },
          { title: 'days', cell: (e) => e.conventions.dayCount },
          { title: 'grace', cell: (e) => `${e.conventions.graceDays} d`, right: true },
          { title: 'due', cell: (e) => `${e.conventions.dueDays} d`, right: true },
        ]),
      );
    });
  const entity = billing.command('entity').description('a legal entity that bills');
  withReason(entity.command('set <file>').description('make or change one, as a YAML file says')).action(
    async (file: string, query: { reason?: string }) => {
      const set = await sendText<Named>(io, 'PUT', '/api/v1/billing/entities', { ...query }, file, readText(file));
      if (io.flags.json) return json(io, set);
      io.out(`Set entity ${plain(`${set.key}: ${set.name}`)}.\n`);
    },
  );
};

const profile = (billing: Command, io: Io): void => {
  withReason(billing.command('profile <account> [action] [file]'))
    .description('how an account is billed: `profile ACCOUNT`, or `profile ACCOUNT set FILE`')
    .action(async (id: string, action = 'show', file: string | undefined, query: { reason?: string }) => {
      if (action === 'set' && file !== undefined) {
        const path = `/api/v1/accounts/${encodeURIComponent(id)}/billing-profile`;
        await sendText(io, 'PUT', path, { ...query }, file, readText(file));
      } else if (action !== 'show' || file !== undefined)
        throw new CliError(Exit.usage, `There is no ${action} of a profile`, 'Either show, or set and a file.');
      await showProfile(io, id);
    });
};

const showProfile = async (io: Io, id: string): Promise<void> => {
  const found = await connect(io).call('GET /api/v1/accounts/{id}/billing-profile', { params: { id } });
  if (io.flags.json) return json(io, found);
  const rows: [string, string][] = [
    ['account', found.account],
    ['billed by', found.entity],
    ['paid by', found.paidBy ?? (found.payer === 'self' ? found.account : 'an account above')],
    ['name', found.name],
    ['address', found.address.join(', ')],
    ['tax id', found.taxId],
    ['mail', found.email],
    ['taxes of', found.jurisdiction],
    ['no tax because', found.exemption],
  ];
  const width = 'no tax because'.length;
  for (const [name, value] of rows) if (value !== '') io.out(`${name.padEnd(width)}  ${plain(value)}\n`);
};

interface TaxOptions {
  category?: string;
  name?: string;
  inclusive?: boolean;
  from?: string;
  to?: string;
  at?: string;
  reason?: string;
}
interface TaxRow {
  jurisdiction: string;
  category: string;
  name: string;
  percent: string;
  inclusive: boolean;
  from: string;
  to?: string;
  state: string;
  ruling: boolean;
}

const showTaxes = (io: Io, items: readonly TaxRow[]): void => {
  if (io.flags.json) json(io, items);
  else if (items.length === 0) io.out('There are no taxes. Set one: `tollgate billing taxes set DE 19 --name VAT`.\n');
  else
    io.out(
      table(items, [
        { title: 'taxes of', cell: (t) => t.jurisdiction },
        { title: 'category', cell: (t) => t.category },
        { title: 'name', cell: (t) => t.name },
        { title: 'rate', cell: (t) => `${t.percent}%`, right: true },
        { title: 'prices', cell: (t) => (t.inclusive ? 'with it' : 'without it') },
        { title: 'from', cell: (t) => t.from },
        { title: 'to', cell: (t) => t.to ?? '' },
        { title: '', cell: (t) => (t.ruling ? 'in force' : t.state === 'current' ? 'behind another' : t.state) },
      ]),
    );
};

const taxes = (billing: Command, io: Io): void => {
  const command = billing.command('taxes').description('rates of tax');
  command
    .command('list', { isDefault: true })
    .description('all rates, past and to come')
    .action(async () => showTaxes(io, (await connect(io).call('GET /api/v1/billing/taxes')).items));
  withReason(command.command('set <jurisdiction> <percent>'))
    .description('a rate from an instant on; one without --to ends the one before it')
    .option('--name <text>', 'on the invoice, such as VAT')
    .option('--category <name>', 'of prices that name it as their tax (default: the standard one)')
    .option('--inclusive', 'prices are with the tax in them')
    .option('--from <time>', 'from when on (default: now)')
    .option('--to <time>', 'until when (default: without end)')
    .action(async (jurisdiction: string, percent: string, o: TaxOptions) => {
      const body = { ...o, jurisdiction, percent: percent.replace(/%$/, '') };
      showTaxes(io, (await connect(io).call('POST /api/v1/billing/taxes', { body })).items);
    });
  withReason(command.command('end <jurisdiction>'))
    .description('end the rate in force, or call off one that is planned')
    .option('--category <name>', 'of another category than the standard one')
    .option('--at <time>', 'when it ends (default: now)')
    .option('--from <time>', 'only the one that begins then')
    .action(async (jurisdiction: string, query: Pick<TaxOptions, 'category' | 'at' | 'from' | 'reason'>) => {
      const call = { params: { jurisdiction }, query };
      showTaxes(io, (await connect(io).call('DELETE /api/v1/billing/taxes/{jurisdiction}', call)).items);
    });
};

export const billingCommand = (program: Command, io: Io): void => {
  const billing = program.command('billing').description('who bills whom, taxes, coupons');
  entities(billing, io);
  profile(billing, io);
  taxes(billing, io);
  couponCommands(billing, io);
};
