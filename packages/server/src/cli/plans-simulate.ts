/** tollgate plans simulate: what accounts would have paid by other plans. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { moneyText } from './money.ts';
import { linesOf } from './ndjson.ts';
import { readText } from './plans.ts';
import { withProgress } from './progress.ts';
import { grouped } from './quantity.ts';
import { type Column, plain, table } from './table.ts';

interface Sums {
  currency: string;
  before: string;
  after: string;
  difference: string;
}
interface Simulated extends Sums {
  account: string;
  periodsBefore: number;
  periodsAfter: number;
  open: boolean;
  failure: string;
}
type Total = Sums & { accounts: number };
type Step =
  | { kind: 'progress'; done: number; of: number }
  | { kind: 'account'; account: Simulated }
  | { kind: 'total'; totals: Total[]; failed: number };

/** Rows on a terminal; --json has them all. */
const SHOWN = 50;

const periodsOf = ({ periodsBefore, periodsAfter }: Simulated): string =>
  periodsBefore === periodsAfter ? String(periodsBefore) : `${periodsBefore}, by the plan ${periodsAfter}`;

const sumColumns = <R extends Sums>(): Column<R>[] => [
  { title: 'now', cell: (r) => moneyText(r.before, r.currency), right: true },
  { title: 'by the plan', cell: (r) => moneyText(r.after, r.currency), right: true },
  { title: 'difference', cell: (r) => moneyText(r.difference, r.currency), right: true },
];

const show = (io: Io, accounts: readonly Simulated[], totals: readonly Total[]): void => {
  const told = accounts.filter(({ failure }) => failure === '');
  io.out(
    table(told.slice(0, SHOWN), [
      { title: 'account', cell: (r) => r.account },
      { title: 'periods', cell: periodsOf, right: true },
      ...sumColumns<Simulated>(),
      { title: '', cell: (r) => (r.open ? 'usage may still come' : '') },
    ]),
  );
  if (told.length > SHOWN) io.out(`and ${told.length - SHOWN} more: --json shows all\n`);
  io.out('\n');
  const count: Column<Total> = { title: 'accounts', cell: (r) => grouped(String(r.accounts)), right: true };
  io.out(table(totals, [count, ...sumColumns<Total>()]));
  for (const { failure } of accounts.filter((one) => one.failure !== '')) io.err(`${plain(failure)}\n`);
};

interface Options {
  from: string;
  to?: string;
  accounts?: string[];
}

export const simulatePlansCommand = (plans: Command, io: Io, end: (code: number) => void): void => {
  plans
    .command('simulate <file>')
    .description('what accounts would have paid by the plans of a file, against those in force; changes nothing')
    .requiredOption('--from <time>', 'periods that begin at it or later')
    .option('--to <time>', 'periods that end at it or before (default: now)')
    .option('--accounts <ids...>', 'these, as if the plan were theirs (default: who has a plan of the same key)')
    .action(async (file: string, { from, to, accounts = [] }: Options) => {
      const query = new URLSearchParams([
        ['from', from],
        ...(to === undefined ? [] : [['to', to] as [string, string]]),
        ...accounts.map((id): [string, string] => ['accounts', id]),
      ]);
      const sent = { body: readText(file), contentType: 'application/yaml' };
      const found: Simulated[] = [];
      const at = { done: 0, of: 0 };
      const read = async (): Promise<Extract<Step, { kind: 'total' }>> => {
        const answer = await connect(io).send('POST', `/api/v1/plans/simulate?${query}`, sent);
        for await (const step of linesOf<Step>(answer)) {
          if (step.kind === 'total') return step;
          if (step.kind === 'account') found.push(step.account);
          else Object.assign(at, { done: step.done, of: step.of });
        }
        throw new CliError(Exit.failure, `The answer broke off after ${found.length} accounts`);
      };
      const { totals, failed } = await withProgress(io, read(), async () => ({
        part: at.of === 0 ? null : at.done / at.of,
        text: `${grouped(String(at.done))} of ${grouped(String(at.of))} accounts`,
      }));
      if (failed > 0) end(Exit.failure);
      if (io.flags.json) return json(io, { accounts: found, totals, failed });
      if (found.length === 0) return io.out('Nobody has such a plan. Name accounts with --accounts.\n');
      show(io, found, totals);
    });
};
