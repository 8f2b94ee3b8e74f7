/** tollgate invoices verify and reconcile: whether what is final is what the facts say, and whether all sums agree. */
import type { Operations } from '@tollgate/client';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { moneyText } from './money.ts';
import { linesOf } from './ndjson.ts';
import { withProgress } from './progress.ts';
import { grouped, unitText } from './quantity.ts';
import { plain, table } from './table.ts';

interface Deviation {
  level: string;
  text: string;
  stored: string | null;
  computed: string | null;
  facts?: { receipt: number; t: string; text: string }[];
}
interface Verdict {
  number: string;
  account: string;
  from: string;
  to: string;
  frontier: number;
  digest: string;
  equal: boolean;
  deviations: Deviation[];
}
type Step =
  | { kind: 'progress'; done: number; of: number }
  | { kind: 'verdict'; done: number; of: number; verdict: Verdict };

interface VerifyOptions {
  account?: string;
  all?: boolean;
  from?: string;
  to?: string;
}

/** Readings of a window that are named. */
const FACTS_SHOWN = 12;

const showDeviation = (io: Io, { text, stored, computed, facts = [] }: Deviation): void => {
  io.out(`  ${plain(text)}\n`);
  if (stored !== null || computed !== null) {
    io.out(`    stored    ${plain(stored ?? 'nothing')}\n`);
    io.out(`    computed  ${plain(computed ?? 'nothing')}\n`);
  }
  for (const { receipt, t, text: value } of facts.slice(0, FACTS_SHOWN))
    io.out(`    receipt:${receipt}  ${t}  ${plain(value)}\n`);
  if (facts.length > FACTS_SHOWN) io.out(`    and ${facts.length - FACTS_SHOWN} more: --json shows all\n`);
};

const showDifferent = (io: Io, verdict: Verdict): void => {
  const { number, account, from, to, deviations } = verdict;
  io.out(`${plain(number)} of ${plain(account)}, ${from} to ${to}: NOT what the facts say\n`);
  for (const deviation of deviations) showDeviation(io, deviation);
};

const summary = (of: number, different: number, last: Verdict | null): string => {
  if (of === 0) return 'There are none.\n';
  if (of === 1 && last?.equal === true)
    return `${plain(last.number)} is what the facts up to ${last.frontier} say: digest ${last.digest}\n`;
  const all = count(of, 'document');
  return different === 0
    ? `${all}, each is what its facts say.\n`
    : `${all}, ${grouped(String(different))} of them ${different === 1 ? 'is' : 'are'} not what the facts say.\n`;
};

export const invoiceProofCommands = (invoices: Command, io: Io, end: (code: number) => void): void => {
  invoices
    .command('verify [number]')
    .description('compute final documents again from facts and compare; names the first fact that differs')
    .option('--account <id>', 'all of this account')
    .option('--all', 'all there are')
    .option('--from <time>', 'periods that end after it')
    .option('--to <time>', 'periods that begin before it')
    .action(async (number: string | undefined, { account, all, from, to }: VerifyOptions) => {
      if (number === undefined && account === undefined && all !== true)
        throw new CliError(Exit.usage, 'Name a document, or --account or --all', 'tollgate invoices verify INV-000001');
      const asked = { ref: number, account, from, to };
      const query = new URLSearchParams(
        Object.entries(asked).filter((pair): pair is [string, string] => pair[1] !== undefined),
      );
      const different: Verdict[] = [];
      const at = { done: 0, of: 0, last: null as Verdict | null };
      const read = async (): Promise<void> => {
        const answer = await connect(io).send('GET', `/api/v1/invoices/verify?${query}`);
        for await (const step of linesOf<Step>(answer)) {
          at.done = step.done;
          at.of = step.of;
          if (step.kind !== 'verdict') continue;
          at.last = step.verdict;
          if (!step.verdict.equal) different.push(step.verdict);
        }
        if (at.done < at.of) throw new CliError(Exit.failure, `The answer broke off after ${at.done} of ${at.of}`);
      };
      await withProgress(io, read(), async () => ({
        part: at.of === 0 ? null : at.done / at.of,
        text: `${grouped(String(at.done))} of ${grouped(String(at.of))} documents, ${different.length} different`,
      }));
      if (io.flags.json) json(io, { documents: at.of, different });
      else {
        for (const verdict of different) showDifferent(io, verdict);
        io.out(summary(at.of, different.length, at.last));
      }
      if (different.length > 0) end(Exit.failure);
    });
};

type Reconciled = Operations['GET /api/v1/invoices/reconcile']['answer'];
type ReconcileStep = { kind: 'progress'; done: number; of: number } | { kind: 'result'; result: Reconciled };

/** The chain as pairs that must be equal. */
const pairs = (sums: Reconciled['sums'][number]): { what: string; a: string; b: string; currency: string }[] => {
  const { currency } = sums;
  return [
    { what: 'rated now, lines as invoiced', a: sums.rated, b: sums.lines },
    { what: 'net, posted as revenue', a: sums.net, b: sums.revenue },
    { what: 'tax, posted as tax', a: sums.tax, b: sums.taxes },
    { what: 'total, posted as receivable', a: sums.total, b: sums.receivable },
    { what: 'payments, posted as cash', a: sums.payments, b: sums.cash },
  ].map((pair) => ({ ...pair, currency }));
};

const count = (n: number, of: string): string => `${grouped(String(n))} ${of}${n === 1 ? '' : 's'}`;

const showReconciled = (io: Io, result: Reconciled): void => {
  const { accounts, documents, whole, sums, meters, findings, found, difference } = result;
  const scope = whole ? 'all there is' : 'what is new';
  io.out(`${scope}: ${count(accounts, 'account')}, ${count(documents, 'document')} computed again\n\n`);
  io.out(
    table(meters, [
      { title: 'meter', cell: (m) => m.meter },
      { title: 'metered', cell: (m) => grouped(m.metered), right: true },
      { title: 'billed', cell: (m) => grouped(m.billed), right: true },
      { title: 'unit', cell: (m) => unitText(m.unit) },
    ]),
  );
  if (meters.length > 0) io.out('\n');
  const rows = sums.flatMap(pairs);
  io.out(
    table(rows, [
      { title: 'what', cell: (r) => r.what },
      { title: 'one', cell: (r) => grouped(r.a), right: true },
      { title: 'other', cell: (r) => grouped(r.b), right: true },
      { title: 'currency', cell: (r) => r.currency },
    ]),
  );
  if (rows.length > 0) io.out('\n');
  for (const { amount, currency } of difference) io.out(`unexplained difference  ${moneyText(amount, currency)}\n`);
  if (difference.length === 0) io.out('Nothing to compare: no documents, no payments.\n');
  if (found === 0) return;
  io.out('\n');
  io.out(
    table(findings, [
      { title: 'stage', cell: (f) => f.stage },
      { title: 'account', cell: (f) => f.account },
      { title: 'document', cell: (f) => f.document },
      { title: 'amount', cell: (f) => moneyText(f.amount, f.currency), right: true },
      { title: 'what', cell: (f) => f.text },
    ]),
  );
  if (found > findings.length) io.out(`and ${found - findings.length} more\n`);
};

export const reconcileCommand = (invoices: Command, io: Io, end: (code: number) => void): void => {
  invoices
    .command('reconcile')
    .description('metered = rated = invoiced = posted = paid, to the last unit; where not, which account and document')
    .option('--new', 'only what has changed since the last one, as the server does by the hour')
    .action(async ({ new: onlyNew }: { new?: boolean }) => {
      const at = { done: 0, of: 0 };
      let result: Reconciled | null = null;
      const read = async (): Promise<Reconciled> => {
        const answer = await connect(io).send('POST', `/api/v1/invoices/reconcile${onlyNew ? '?onlyNew=true' : ''}`);
        for await (const step of linesOf<ReconcileStep>(answer)) {
          if (step.kind === 'result') result = step.result;
          else Object.assign(at, { done: step.done, of: step.of });
        }
        if (result === null) throw new CliError(Exit.failure, 'The answer broke off', 'See the log of the server.');
        return result;
      };
      const told = await withProgress(io, read(), async () => ({
        part: at.of === 0 ? null : at.done / at.of,
        text: `${grouped(String(at.done))} of ${grouped(String(at.of))} documents and accounts`,
      }));
      if (io.flags.json) json(io, told);
      else showReconciled(io, told);
      if (told.found > 0) end(Exit.failure);
    });
};
