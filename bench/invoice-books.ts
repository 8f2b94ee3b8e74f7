/**
 * What the invoice bench finds in the books, read from PostgreSQL's tables and not through the product: every document of
 * October once, against the oracle, and into the floor's table while it is at hand.
 */
import pg from 'pg';
import { say, timed } from './common.ts';
import { type Owed, owed } from './invoice-oracle.ts';
import { type Customer, customer, lands } from './invoice-scenario.ts';
import type { Stage } from './invoice-stage.ts';

/** Documents that are read, checked and written at once: as many as a run writes. */
const PAGE = 500;
const TELL_EACH = 10_000;
const TELL_WRONG = 3;

export interface Found {
  lines: number;
  bytes: number;
  /** Accounts of which a line, a tax or the total is another than the oracle's, or with no invoice, or two. */
  wrong: number;
  /** Nothing but inserting the same documents into one table. */
  floorSeconds: number;
}

interface Row {
  id: string;
  tenant: string;
  document: string;
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

export class Books {
  private readonly client: pg.Client;

  private constructor(client: pg.Client) {
    this.client = client;
  }

  static async within<T>({ connection }: Stage, work: (books: Books) => Promise<T>): Promise<T> {
    const client = new pg.Client({ ...connection, password: '' });
    await client.connect();
    try {
      // The product's tables by their names; the floor's own lies beside them.
      await client.query('SET search_path TO tollgate');
      await client.query(
        'CREATE TABLE public.floor (id bigint PRIMARY KEY, account text NOT NULL, document text NOT NULL)',
      );
      return await work(new Books(client));
    } finally {
      await client.end();
    }
  }

  async checkOctober(accounts: number): Promise<Found> {
    const found: Found = { lines: 0, bytes: 0, wrong: 0, floorSeconds: 0 };
    const invoices = new Uint8Array(accounts);
    const tell = (who: string, why: string | null): void => {
      if (why !== null && found.wrong++ < TELL_WRONG) say(`${who}: ${why}`);
    };
    let checked = 0;
    for (let rows = await this.october('0'); rows.length > 0; rows = await this.october(rows.at(-1)?.id ?? '0')) {
      for (const { tenant, document } of rows) {
        const one = customer(Number(tenant.slice(tenant.indexOf('-') + 1)));
        const paper = JSON.parse(document) as Paper;
        found.lines += paper.lines.length;
        found.bytes += Buffer.byteLength(document);
        const count = (invoices[one.no] ?? 0) + 1;
        invoices[one.no] = count;
        tell(tenant, count > 1 ? 'two invoices' : differenceOf(paper, owed(one), one));
      }
      found.floorSeconds += await this.insert(rows);
      if (Math.floor((checked + rows.length) / TELL_EACH) > Math.floor(checked / TELL_EACH))
        say(`${checked + rows.length} of ${accounts} checked`);
      checked += rows.length;
    }
    for (const [no, count] of invoices.entries()) if (count === 0) tell(customer(no).id, 'no invoice');
    return found;
  }

  /** Invoices of November, and the accounts they are of. */
  async november(): Promise<{ invoices: number; accounts: number }> {
    const { rows } = await this.client.query<{ invoices: number; accounts: number }>(
      'SELECT count(*)::integer AS invoices, count(DISTINCT tenant)::integer AS accounts FROM invoice WHERE from_t = ANY ($1)',
      [lands.map(({ to }) => to)],
    );
    return rows[0] ?? { invoices: 0, accounts: 0 };
  }

  private async october(after: string): Promise<Row[]> {
    const { rows } = await this.client.query<Row>(
      'SELECT id, tenant, document FROM invoice WHERE id > $1 AND from_t < to_t ORDER BY id LIMIT $2',
      [after, PAGE],
    );
    return rows;
  }

  /** Texts as one run of bytes: as an array of texts each quote of the JSON would be escaped here and unescaped there. */
  private async insert(rows: readonly Row[]): Promise<number> {
    const { seconds } = await timed(() => {
      const texts = rows.map(({ document }) => Buffer.from(document));
      let next = 1;
      const starts = texts.map(({ length }) => {
        next += length;
        return next - length;
      });
      const [ids, accounts] = [rows.map(({ id }) => id), rows.map(({ tenant }) => tenant)];
      return this.client.query(
        `INSERT INTO public.floor
         SELECT id, account, convert_from(substring($5::bytea FROM start FOR length), 'UTF8')
         FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[]) AS d (id, account, start, length)`,
        [ids, accounts, starts, texts.map(({ length }) => length), Buffer.concat(texts)],
      );
    });
    return seconds;
  }
}

function differenceOf(paper: Paper, expected: Owed, { land }: Customer): string | null {
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
