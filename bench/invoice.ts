/**
 * `invoice`: the real run over 100,000 accounts with ten lines each, from metering to final invoices and ledger, on chDB and
 * embedded PostgreSQL. A tenth of the accounts changed plans in the middle of the month, so that fees are prorated and
 * what was paid in advance is corrected. Laid down before the clock starts: facts, records, and the invoices of the
 * beginning of the month. `wrong`: accounts of which a line, a tax or the total is another than the oracle's.
 * The floor inserts the same documents into a table of their own. Then the month after is billed, is cut off when half is
 * done, and gone on with by another server; and once more when nothing is due.
 */
import pg from 'pg';
import type { Invoice } from 'tollgate/store/billing-store.js';
import {
  type BenchOptions,
  type BenchResult,
  inFolder,
  MemoryWatch,
  machine,
  numberOf,
  round,
  say,
  timed,
} from './common.ts';
import { type Owed, owed } from './invoice-oracle.ts';
import { customer, lands, meters } from './invoice-scenario.ts';
import { openStage, type Stage } from './invoice-stage.ts';

const PAGE = 500;

export function run(options: BenchOptions): Promise<BenchResult> {
  const accounts = numberOf(options, 'accounts', 100_000);
  return inFolder(options, async (folder) => {
    const laid = await timed(() => openStage(folder, accounts, options));
    const stage = laid.result;
    say(`laid down in ${round(laid.seconds, 1)} s`);
    try {
      const memory = new MemoryWatch();
      const before = process.cpuUsage();
      const { seconds, result: view } = await timed(() => watched(stage, 'bench'));
      const { user, system } = process.cpuUsage(before);
      const rss = memory.stop();
      if (view.failed > 0 || view.drafts > 0 || view.outcome !== 'done') {
        throw new Error(
          `${view.failed} failed, ${view.drafts} drafts: ${view.error} ${JSON.stringify(view.failures[0])}`,
        );
      }
      const checked = await check(stage, accounts);
      say(`${view.invoices} invoices in ${round(seconds, 1)} s, ${checked.lines} lines, ${checked.wrong} wrong`);
      const floor = await insertFloor(stage, accounts);
      const again = options.given.resume === 'no' ? {} : await resumed(stage, accounts);
      return {
        bench: 'invoice',
        settings: { accounts, meters: meters.length, countries: lands.length, ...machine() },
        metrics: {
          accounts: view.invoices,
          lines: checked.lines,
          document_kb: round(checked.bytes / view.invoices / 1000, 1),
          seconds: round(seconds, 2),
          wrong: checked.wrong,
          rss_mb: rss,
          cpu_seconds: round((user + system) / 1e6, 2),
          floor_seconds: round(floor, 2),
          ratio: round(seconds / floor, 2),
          ...(await ledgerOf(stage)),
          ...again,
        },
      };
    } finally {
      await stage.close();
    }
  });
}

/** A run of all, with a line of progress now and then. */
async function watched(stage: Stage, holder: string, stopAt = Number.POSITIVE_INFINITY) {
  const { runs } = stage.server(holder);
  const { view, done } = await runs.start();
  let told = 0;
  const watch = setInterval(() => {
    if (view.accounts >= stopAt) runs.stop();
    if (view.accounts < told + 10_000) return;
    told = view.accounts;
    say(`${told} of ${view.of}`);
  }, 20);
  await done;
  clearInterval(watch);
  return view;
}

/** Every invoice of October against the oracle, in pages. */
async function check({ control }: Stage, accounts: number): Promise<{ lines: number; wrong: number; bytes: number }> {
  let [lines, wrong, bytes] = [0, 0, 0];
  for (let a = 0; a < accounts; a += PAGE) {
    const customers = Array.from({ length: Math.min(PAGE, accounts - a) }, (_, i) => customer(a + i));
    const ids = customers.map(({ id }) => id);
    const all = (await control.billing.documentsOf(ids, 0)).filter(({ from, to }) => from < to);
    const byAccount = new Map(all.map((one) => [one.account, one]));
    if (all.length !== byAccount.size) throw new Error('an account has two invoices for October');
    for (const one of customers) {
      const invoice = byAccount.get(one.id);
      const document = invoice && (JSON.parse(invoice.document) as Paper);
      const why = document === undefined ? 'no invoice' : differenceOf(document, owed(one), one.land);
      lines += document?.lines.length ?? 0;
      bytes += Buffer.byteLength(invoice?.document ?? '');
      if (why === null) continue;
      if (wrong++ < 3) say(`${one.id}: ${why}`);
    }
  }
  return { lines, wrong, bytes };
}

/** What of a document is checked, as its text has it. */
interface Paper {
  from: number;
  to: number;
  lines: { key: string; amount: string; tax?: string }[];
  taxes: { category: string; amount: string }[];
  net: string;
  tax: string;
  total: string;
}

function differenceOf(paper: Paper, expected: Owed, land: { from: number; to: number }): string | null {
  if (paper.from !== land.from || paper.to !== land.to) return `is for ${paper.from}..${paper.to}`;
  const found = new Map<string, bigint>();
  for (const { key, amount } of paper.lines) {
    const [, plan, price, period, group = ''] = key.split('|');
    const month = Number(period) === land.from ? 'now' : Number(period) === land.to ? 'next' : period;
    // The coupon's name carries its country, which the oracle does not need.
    const name = `${plan}|${price}|${month}|${group.replace(/-[a-z]+$/, '')}`;
    if (found.has(name)) return `two lines of ${name}`;
    found.set(name, BigInt(amount));
  }
  for (const name of new Set([...found.keys(), ...expected.lines.keys()])) {
    const [is, should] = [found.get(name), expected.lines.get(name)];
    if (is !== should) return `${name} is ${is}, should be ${should}`;
  }
  const taxOf = (category: string): bigint =>
    BigInt(paper.taxes.find((tax) => tax.category === category)?.amount ?? '0');
  const shares = paper.lines.reduce((sum, { tax = '0' }) => sum + BigInt(tax), 0n);
  const figures = [taxOf(''), taxOf('reduced'), shares, BigInt(paper.net), BigInt(paper.total)];
  const [standard, reduced] = expected.taxes;
  const wanted = [standard, reduced, standard + reduced, expected.net, expected.total];
  return figures.join() === wanted.join()
    ? null
    : `taxes, their shares, net, total are ${figures}, should be ${wanted}`;
}

/** Nothing but the same documents, into one table, as many at once as the run writes. */
async function insertFloor({ control, connection }: Stage, accounts: number): Promise<number> {
  const client = new pg.Client({ ...connection, password: '' });
  await client.connect();
  await client.query('CREATE TABLE floor (id bigint PRIMARY KEY, account text NOT NULL, document text NOT NULL)');
  let seconds = 0;
  for (let a = 0; a < accounts; a += PAGE) {
    const ids = Array.from({ length: Math.min(PAGE, accounts - a) }, (_, i) => customer(a + i).id);
    const some: Invoice[] = (await control.billing.documentsOf(ids, 0)).filter(({ from, to }) => from < to);
    const columns = [
      some.map(({ id }) => id),
      some.map(({ account }) => account),
      some.map(({ document }) => document),
    ];
    const insert = 'INSERT INTO floor SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])';
    seconds += (await timed(() => client.query(insert, columns))).seconds;
  }
  await client.end();
  return seconds;
}

async function ledgerOf({ control }: Stage): Promise<Record<string, unknown>> {
  const sums = new Map<string, bigint>();
  for (const { currency, amount } of await control.billing.balances(['receivable/', 'revenue/', 'tax/', 'credit/'])) {
    sums.set(currency, (sums.get(currency) ?? 0n) + amount);
  }
  return { ledger_sum: [...sums.values()].reduce((worst, sum) => worst + (sum < 0n ? -sum : sum), 0n).toString() };
}

/** The next month, in which nothing was used: half of it, then the rest by another server; then again, with nothing due. */
async function resumed(stage: Stage, accounts: number): Promise<Record<string, unknown>> {
  stage.clock.at = Date.UTC(2026, 11, 6, 12);
  const first = await timed(() => watched(stage, 'cut', accounts / 2));
  stage.clock.at += 300_000;
  const rest = await timed(() => watched(stage, 'next'));
  const nothing = await timed(() => watched(stage, 'last'));
  // One run all along: its second server counts on.
  const { invoices, error } = rest.result;
  if (invoices !== accounts) throw new Error(`${invoices} invoices of ${accounts} accounts: ${error}`);
  return {
    half_seconds: round(first.seconds, 2),
    resumed_seconds: round(rest.seconds, 2),
    resumed_invoices: invoices - first.result.invoices,
    nothing_due_seconds: round(nothing.seconds, 2),
  };
}
