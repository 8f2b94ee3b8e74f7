/** tollgate check, and what limits did: notices, refusals, whether the books balance; configurations for Envoy. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { Exit, type Io, json } from './io.ts';
import { wholeOf } from './options.ts';
import { readText, sendText } from './plans.ts';
import { grouped } from './quantity.ts';
import { plain, table } from './table.ts';

const number = (value: number | null): string => (value === null ? '' : grouped(String(value)));

interface CheckOptions {
  action?: string;
  cost: string;
  meter?: string;
  resource?: string;
  charge?: boolean;
}

export const checkCommand = (program: Command, io: Io, end: (code: number) => void): void => {
  program
    .command('check <account>')
    .description('may the account do it now; charges nothing unless asked to (exit code 1: refused)')
    .option('--action <name>', 'what it wants to do')
    .option('--cost <units>', 'what it would cost', '1')
    .option('--meter <key>', 'meter of the cost (default: requests)')
    .option('--resource <id>', 'what it is done to')
    .option('--charge', 'decide for real: what is admitted counts')
    .action(async (account: string, { charge = false, cost, ...named }: CheckOptions) => {
      const units = wholeOf(cost, '--cost');
      const body = { account, ...named, cost: charge ? units : 0 };
      const decision = (await connect(io).call('POST /api/v1/decisions', { body })) as Decision;
      const fits = charge || decision.remaining === null || decision.remaining >= units;
      if (io.flags.json) json(io, decision);
      else io.out(`${decision.allowed && fits ? 'allowed' : 'refused'}: ${plain(told(decision))}\n`);
      if (!decision.allowed || !fits) end(Exit.failure);
    });
};

interface Decision {
  allowed: boolean;
  reason: string | null;
  detail: string;
  remaining: number | null;
  limit: string | null;
  upgrade: string;
}

const told = ({ detail, limit, reason, remaining, upgrade }: Decision): string =>
  [
    limit === null && reason === null ? 'no limit bears on it' : detail,
    ...(remaining === null ? [] : [`${grouped(String(remaining))} remain`]),
    ...(upgrade === '' ? [] : [`more: ${upgrade}`]),
  ].join('; ');

export const noticesCommand = (limits: Command, io: Io): void => {
  limits
    .command('notices')
    .description('thresholds that were crossed, newest first')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/notices');
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('No threshold has been crossed.\n');
      io.out(
        table(items, [
          { title: 'at', cell: (n) => n.at },
          { title: 'account', cell: (n) => plain(n.account) },
          { title: 'limit', cell: (n) => plain(n.limit) },
          { title: 'reached', cell: (n) => `${n.percent} %`, right: true },
          { title: 'used', cell: (n) => number(n.used), right: true },
          { title: 'of', cell: (n) => number(n.amount), right: true },
          { title: 'until', cell: (n) => n.to },
        ]),
      );
    });
};

export const refusalsCommand = (limits: Command, io: Io): void => {
  limits
    .command('refusals [id]')
    .description('what was refused last; with an id, the usage behind it')
    .action(async (id: string | undefined) => {
      if (id !== undefined) return behind(io, id);
      const { items } = await connect(io).call('GET /api/v1/refusals');
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('Nothing has been refused since the server started.\n');
      io.out(
        table(items, [
          { title: 'at', cell: (r) => r.at },
          { title: 'account', cell: (r) => plain(r.account) },
          { title: 'action', cell: (r) => plain(r.action) },
          { title: '', cell: (r) => r.kind },
          { title: 'limit', cell: (r) => plain(r.limit ?? r.reason) },
          { title: 'used', cell: (r) => number(r.used), right: true },
          { title: 'of', cell: (r) => number(r.amount), right: true },
          { title: 'id', cell: (r) => r.id },
        ]),
      );
    });
};

const behind = async (io: Io, id: string): Promise<void> => {
  const explained = await refusalOf(io, id);
  if (io.flags.json) return json(io, explained);
  showRefusal(io, explained);
};

export type ExplainedRefusal = Awaited<ReturnType<typeof refusalOf>>;
const refusalOf = (io: Io, id: string) => connect(io).call('GET /api/v1/refusals/{id}', { params: { id } });

export const showRefusal = (io: Io, { refusal, usage }: ExplainedRefusal): void => {
  io.out(`${refusal.at} ${plain(refusal.account)} ${refusal.kind}: ${plain(refusal.detail || refusal.reason)}\n`);
  if (refusal.limit !== null)
    io.out(`limit ${plain(refusal.limit)}, version ${refusal.version}, plan ${plain(refusal.plan ?? 'none')}\n`);
  if (usage.length > 0) io.out('\nUsage behind it; give `explain` to `tollgate explain` to go on\n');
  io.out(
    table(usage, [
      { title: 'resource', cell: (u) => plain(u.resource) },
      { title: 'account', cell: (u) => plain(u.account) },
      { title: 'quantity', cell: (u) => (u.quantity === null ? '?' : grouped(u.quantity)), right: true },
      { title: 'unit', cell: (u) => u.unit },
      { title: 'explain', cell: (u) => u.explain ?? '' },
    ]),
  );
};

interface Balance {
  limit: string;
  account: string;
  since: string;
  offered: string;
  admitted: string;
  refused: string;
  metered: string | null;
  difference: string | null;
  isBalanced: boolean;
  isRunning: boolean;
  incomparable: string;
}

const balances = async (io: Io): Promise<Balance[]> => {
  const answer = await connect(io).send('GET', '/api/v1/limits/reconcile', {});
  const rows: Balance[] = [];
  const lines = createInterface({ input: Readable.fromWeb(answer.body as ReadableStream) });
  for await (const line of lines) rows.push(JSON.parse(line) as Balance);
  return rows;
};

export const reconcileCommand = (limits: Command, io: Io, end: (code: number) => void): void => {
  limits
    .command('reconcile')
    .description('offered = admitted + refused, admitted = metered (exit code 1: a difference)')
    .action(async () => {
      const rows = await balances(io);
      const wrong = rows.filter(
        (r) => !r.isBalanced || (!r.isRunning && r.difference !== null && r.difference !== '0'),
      );
      if (wrong.length > 0) end(Exit.failure);
      if (io.flags.json) return json(io, rows);
      if (rows.length === 0) return io.out('Nothing has been decided since the server started.\n');
      io.out(
        table(rows, [
          { title: 'account', cell: (r) => plain(r.account) },
          { title: 'limit', cell: (r) => plain(r.limit) },
          { title: 'since', cell: (r) => r.since },
          { title: 'offered', cell: (r) => grouped(r.offered), right: true },
          { title: 'admitted', cell: (r) => grouped(r.admitted), right: true },
          { title: 'refused', cell: (r) => grouped(r.refused), right: true },
          { title: 'metered', cell: (r) => (r.metered === null ? '' : grouped(r.metered)), right: true },
          { title: 'difference', cell: (r) => (r.difference === null ? '' : grouped(r.difference)), right: true },
          { title: '', cell: (r) => r.incomparable || (r.isRunning ? 'still running' : '') },
        ]),
      );
      io.out(wrong.length === 0 ? 'No difference.\n' : `${wrong.length} of ${rows.length} differ.\n`);
    });
};

export const importCommand = (limits: Command, io: Io): void => {
  limits
    .command('import <file>')
    .description('take a configuration of envoyproxy/ratelimit as it is, for its domain')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (file: string, o: { reason?: string }) => {
      const { items } = await sendText<{ items: { domain: string; rules: number; version: number }[] }>(
        io,
        'POST',
        '/api/v1/rate-limit-domains',
        { ...o },
        file,
        readText(file),
      );
      if (io.flags.json) return json(io, items);
      const newest = items.reduce((a, b) => (b.version > a.version ? b : a));
      io.out(`Domain ${plain(newest.domain)} has ${newest.rules} rules; they hold from now on.\n`);
    });
};
