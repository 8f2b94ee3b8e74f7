/** tollgate limits: what is in force, for whom; limits outside of plans, overrides, blocks. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { importCommand, noticesCommand, reconcileCommand, refusalsCommand } from './decisions.ts';
import { type Io, json } from './io.ts';
import { kindText, ruleText, scopeText, sharingText } from './limit-text.ts';
import { simulateCommand } from './limits-simulate.ts';
import { adjusting } from './options.ts';
import { readText, sendText } from './plans.ts';
import { plain, table } from './table.ts';

interface SpanOptions {
  from?: string;
  to?: string;
  reason?: string;
}
const spanOptions = (command: Command): Command =>
  command
    .option('--from <time>', 'from when on (default: now)')
    .option('--to <time>', 'until when (default: without end)');
const reason = (command: Command): Command => command.option('--reason <text>', 'why, for the audit log');

const list = (limits: Command, io: Io): void => {
  limits
    .command('list', { isDefault: true })
    .description('limits of the installation, in no plan')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/limits');
      if (io.flags.json) return json(io, items);
      if (items.length === 0)
        return io.out('No limits outside of plans. What is in force for an account: `tollgate limits show ACCOUNT`.\n');
      io.out(
        table(items, [
          { title: 'limit', cell: (l) => l.key },
          { title: 'meter', cell: (l) => l.meter },
          { title: 'rule', cell: (l) => ruleText(l) },
          { title: 'kind', cell: (l) => kindText(l) },
          { title: 'for each', cell: (l) => scopeText(l) },
          { title: 'shared', cell: (l) => sharingText(l) },
          { title: 'accounts', cell: (l) => (l.all ? 'all' : l.accounts.join(' ')) },
          { title: 'actions', cell: (l) => l.actions.join(' ') },
          { title: 'from', cell: (l) => l.from },
          { title: 'to', cell: (l) => l.to ?? '' },
          { title: '', cell: (l) => (l.state === 'current' ? '' : l.state) },
        ]),
      );
    });
};

const show = (limits: Command, io: Io): void => {
  limits
    .command('show <account>')
    .description('what is in force for an account, with amounts')
    .option('--action <name>', 'only what bears on it')
    .option('--at <time>', 'at another instant than now')
    .action(async (id: string, query: { action?: string; at?: string }) => {
      const state = await connect(io).call('GET /api/v1/accounts/{id}/limits', { params: { id }, query });
      if (io.flags.json) return json(io, state);
      const { plan, subscription, refusal } = state;
      io.out(
        plan === null
          ? `${plain(state.account)} has no plan at ${state.at}: no limits of a plan hold.\n`
          : `${plain(state.account)} has plan ${plan}, version ${subscription?.version ?? 0}, since ${subscription?.from ?? ''}${subscription?.to === undefined ? '' : ` until ${subscription.to}`}.\n`,
      );
      if (refusal !== undefined)
        io.out(
          plain(`Refused: ${refusal.reason}${refusal.until === undefined ? '' : ` Until ${refusal.until}.`}`).concat(
            '\n',
          ),
        );
      const rows = [
        ...state.limits.map((l) => ({
          ...l,
          amount: ruleText(l),
          kind: kindText(l),
          each: scopeText(l),
          shared: sharingText(l),
        })),
        ...state.lifted.map((l) => ({
          ...l,
          amount: 'unlimited',
          kind: '',
          each: '',
          shared: '',
          actions: [] as string[],
        })),
      ];
      if (rows.length > 0) io.out('\n');
      io.out(
        table(rows, [
          { title: 'limit', cell: (l) => l.key },
          { title: 'meter', cell: (l) => l.meter },
          { title: 'amount', cell: (l) => l.amount },
          { title: 'kind', cell: (l) => l.kind },
          { title: 'for each', cell: (l) => l.each },
          { title: 'shared', cell: (l) => l.shared },
          { title: 'given', cell: (l) => (l.given === 'own' ? '' : l.given) },
          { title: 'actions', cell: (l) => l.actions.join(' ') },
          { title: 'version', cell: (l) => String(l.version), right: true },
        ]),
      );
      const blocks = state.blocks.filter((b) => b.state !== 'ended');
      if (blocks.length > 0) io.out('\n');
      io.out(
        table(blocks, [
          { title: 'blocked', cell: (b) => (b.action === '*' ? 'everything' : b.action) },
          { title: 'reason', cell: (b) => b.reason },
          { title: 'from', cell: (b) => b.from },
          { title: 'to', cell: (b) => b.to ?? '' },
        ]),
      );
    });
};

const change = (limits: Command, io: Io): void => {
  const put = limits.command('set <file>').description('make or replace a limit of the installation, from a YAML file');
  reason(spanOptions(put)).action(async (file: string, o: SpanOptions) => {
    const limit = await sendText<{ key: string; from: string }>(
      io,
      'PUT',
      '/api/v1/limits',
      { ...o },
      file,
      readText(file),
    );
    if (io.flags.json) return json(io, limit);
    io.out(`Limit ${limit.key} holds from ${limit.from}.\n`);
  });
  reason(limits.command('end <key>').description('end a limit of the installation now')).action(
    async (key: string, query: { reason?: string }) => {
      await connect(io).call('DELETE /api/v1/limits/{key}', { params: { key }, query });
      io.out(`Limit ${plain(key)} has ended.\n`);
    },
  );
};

const override = (limits: Command, io: Io): void => {
  const set = limits
    .command('override <account> <key> <amount>')
    .description('another amount of a limit or an entitlement for one account, such as "70 MB" or unlimited');
  adjusting(reason(spanOptions(set))).action(
    async (account: string, key: string, amount: string, o: SpanOptions & { adjust?: boolean }) => {
      const { items } = await connect(io).call('POST /api/v1/overrides', { body: { account, key, amount, ...o } });
      if (io.flags.json) return json(io, items);
      io.out(`${plain(account)} has ${plain(amount)} of ${plain(key)}.\n`);
    },
  );
  const reset = limits
    .command('reset <account> <key>')
    .description('end an override: the amount of the plan holds again');
  adjusting(reason(reset)).action(
    async (account: string, key: string, query: { adjust?: boolean; reason?: string }) => {
      const { items } = await connect(io).call('DELETE /api/v1/overrides/{account}/{key}', {
        params: { account, key },
        query,
      });
      if (io.flags.json) return json(io, items);
      io.out(`${plain(account)} has the amount of its plan again.\n`);
    },
  );
};

const block = (limits: Command, io: Io): void => {
  const set = limits
    .command('block <account> <action>')
    .description('refuse an action, or all with "*", for an account and those below it')
    .requiredOption('--reason <text>', 'why: who is refused reads it');
  spanOptions(set).action(
    async (account: string, action: string, o: Required<Pick<SpanOptions, 'reason'>> & SpanOptions) => {
      const { items } = await connect(io).call('POST /api/v1/blocks', { body: { account, action, ...o } });
      if (io.flags.json) return json(io, items);
      io.out(plain(`${account} is refused ${action === '*' ? 'everything' : action}: ${o.reason}`).concat('\n'));
    },
  );
  const lift = limits.command('unblock <account> <action>').description('end a block');
  reason(lift).action(async (account: string, action: string, query: { reason?: string }) => {
    const { items } = await connect(io).call('DELETE /api/v1/blocks/{account}/{action}', {
      params: { account, action },
      query,
    });
    if (io.flags.json) return json(io, items);
    io.out(plain(`${account} is no longer refused ${action === '*' ? 'everything' : action}.`).concat('\n'));
  });
};

export const limitsCommand = (program: Command, io: Io, end: (code: number) => void): void => {
  const limits = program.command('limits').description('what is in force for whom; limits outside of plans; blocks');
  list(limits, io);
  show(limits, io);
  change(limits, io);
  override(limits, io);
  block(limits, io);
  simulateCommand(limits, io);
  noticesCommand(limits, io);
  refusalsCommand(limits, io);
  reconcileCommand(limits, io, end);
  importCommand(limits, io);
};
