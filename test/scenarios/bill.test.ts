/**
 * From the bytes of a real interface to an invoice that can be computed again by hand: a customer is upgraded on the 17th,
 * credited, pays, and one late reading becomes an adjustment on the next invoice. The kernel counts; the months are the two
 * before this one.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { get, post } from '../http.ts';
import { isLong, LONG_FORM, needs } from '../needs.ts';
import { type Server, withServer } from '../server.ts';
import { runJob } from '../usage.ts';
import { byHand, type ExplainedLine } from './bill-hand.ts';
import { ACCOUNT, DAY, iso, monthsBefore, openShop, Reporter, SOURCE, send } from './bill-stage.ts';
import { Wire } from './namespace.ts';

const bin = join(import.meta.dirname, '..', '..', '..', 'packages', 'server', 'bin', 'tollgate.js');

interface Row {
  number: string;
  kind: string;
  from: string;
  to: string;
  total: string;
  open: string;
  state: string;
}
interface Line {
  no: number;
  kind: string;
  plan: string;
  price: string;
  from: string;
  to: string;
  metered: string | null;
  state: string;
  amount: string;
  corrects: string;
}

class Shop {
  readonly server: Server;
  readonly dir = mkdtempSync(join(tmpdir(), 'tollgate-bill-'));

  constructor(server: Server) {
    this.server = server;
  }

  /** The command line, as an operator types it. */
  tollgate(...args: string[]): string {
    const { url, key } = this.server;
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, TOLLGATE_URL: url, TOLLGATE_KEY: key };
    return execFileSync(process.execPath, [bin, ...args], { env, encoding: 'utf8', timeout: 60_000 });
  }

  /** Newest first. */
  async invoices(): Promise<Row[]> {
    return (await get<{ items: Row[] }>(this.server, `/api/v1/invoices?account=${ACCOUNT}`)).items;
  }

  async lines(number: string): Promise<Line[]> {
    return (await get<{ items: Line[] }>(this.server, `/api/v1/invoices/${number}/lines`)).items;
  }

  /** The usage job, then the invoices of periods that ended by then. */
  async bill(until: number): Promise<Row> {
    await runJob(this.server);
    const told = this.tollgate('invoices', 'run', '--until', iso(until));
    const [newest] = await this.invoices();
    assert.equal(newest?.to, iso(until).replace('.000Z', newest?.to.includes('.') ? '.000Z' : 'Z'), told);
    return newest;
  }

  /** The total that stands on the paper. */
  async paper(number: string): Promise<string> {
    const file = join(this.dir, `${number}.pdf`);
    this.tollgate('invoices', 'show', number, '--pdf', file);
    return execFileSync('pdftotext', ['-layout', '-enc', 'UTF-8', file, '-'], { encoding: 'utf8' });
  }

  /** Every line again from what `tollgate explain` says, and their sum with its tax, against the paper. */
  async prove(row: Row): Promise<void> {
    const lines = await this.lines(row.number);
    const explained = lines.map(({ no }) => this.tollgate('--json', 'explain', `${row.number}:${no}`));
    const total = byHand(explained.map((text) => JSON.parse(text) as ExplainedLine));
    assert.equal(total, row.total);
    const text = await this.paper(row.number);
    assert.match(text, new RegExp(`Total.*${total.replace('.', '\\.')}`, 's'), text);
  }
}

const skip = isLong ? needs('linux', 'netns', 'pdftotext') : LONG_FORM;

test('a month of a real interface ends in an invoice whose total can be computed by hand', { skip }, async () => {
  const wire = new Wire(`${process.pid}b`);
  try {
    await withServer((server) => month(server, wire), {
      env: { TOLLGATE_JOB_SECONDS: '3600', TOLLGATE_BILLING_RUN_SECONDS: '0' },
    });
  } finally {
    wire.close();
  }
});

async function month(server: Server, wire: Wire): Promise<void> {
  const shop = new Shop(server);
  const [first, second, third] = monthsBefore(Date.now());
  const nic = `${SOURCE}/${wire.nic}`;
  await openShop(server, nic, first);
  const reporter = new Reporter(server, nic);
  try {
    // What the kernel counts, at instants of the first month; the reading of the 29th stays in the agent's spool.
    const start = wire.counters().sentBytes;
    const v10 = send(wire, 211, 900);
    const v16 = send(wire, 97, 333);
    const v18 = send(wire, 404, 1101);
    const v25 = send(wire, 150, 707);
    const v29 = send(wire, 83, 512);
    const t16 = first + 15 * DAY + 7_200_000;
    const t18 = first + 17 * DAY + 3_600_000;
    await reporter.tell(
      [
        [first, start],
        [first + 9 * DAY, v10],
        [t16, v16],
        [t18, v18],
        [first + 24 * DAY, v25],
      ],
      second + DAY,
    );
    const upgrade = first + 16 * DAY;
    await post(server, '/api/v1/subscriptions', { account: ACCOUNT, plan: 'big', from: iso(upgrade) });
    const invoice = await shop.bill(second);

    // The 17th cuts the month: the counter's value there lies between its neighbours', in the proportion of the time.
    const at17 = v16 + ((v18 - v16) * BigInt(upgrade - t16)) / BigInt(t18 - t16);
    const lines = await shop.lines(invoice.number);
    const usage = lines.filter(({ kind }) => kind === 'usage');
    assert.deepEqual(
      usage.map(({ plan, metered }) => [plan, metered]),
      [
        ['small', String(at17 - start)],
        ['big', String(v25 - at17)],
      ],
    );
    await shop.prove(invoice);

    // Credited, and paid.
    const note = await post<Row>(server, `/api/v1/invoices/${invoice.number}/credit`, {
      ...{ line: usage[1]?.no, amount: '1.00', reason: 'outage on the 20th' },
    });
    assert.equal(note.total, '-1.19');
    for (const { number, open } of (await shop.invoices()).filter(({ kind }) => kind === 'invoice')) {
      if (open === '0.00') continue;
      shop.tollgate('payments', 'record', ACCOUNT, open, 'EUR', '--reference', `bank-${number}`, '--invoice', number);
    }
    assert.deepEqual(
      (await shop.invoices()).filter(({ kind }) => kind === 'invoice').map(({ state }) => state),
      ['paid', 'paid'],
    );

    // The late reading of the 29th, and then the second month.
    await reporter.tell([[first + 28 * DAY, v29]], second + DAY);
    const v40 = send(wire, 60, 640);
    await reporter.tell(
      [
        [second, v29],
        [second + 9 * DAY, v40],
        [third, v40],
      ],
      third + DAY,
    );
    const next = await shop.bill(third);
    const [late] = (await shop.lines(next.number)).filter(
      ({ kind, price }) => kind === 'adjustment' && price === 'traffic',
    );
    assert.ok(late, JSON.stringify(await shop.lines(next.number)));
    assert.equal(late.corrects, `${invoice.number}:${usage[1]?.no}, late or corrected usage`);
    await shop.prove(next);
    assert.match(await shop.paper(next.number), new RegExp(`${invoice.number}:${usage[1]?.no}`));

    const verified = shop.tollgate('invoices', 'verify', '--all');
    assert.doesNotMatch(verified, /differ/);
  } finally {
    rmSync(shop.dir, { recursive: true, force: true });
  }
}
