/**
 * Making invoices final: one transaction a batch. Accounts are locked first, in order; then what is there is read and
 * each item judged; numbers come last, so that their row is held for as short as can be.
 */
import { checkFence, checkFinal, numberTaken, numberText, runLost } from '../billing-checks.ts';
import { judgeFinal, type Refusal, touchedBy } from '../billing-judge.ts';
import type { BillingStore, Fence, FinalInvoice, Finalised, Invoice } from '../billing-store.ts';
import { StoreError } from '../errors.ts';
import { type InvoiceRow, SELECT_INVOICE, toInvoice } from './billing-rows.ts';
import { lockAccounts, readStanding } from './billing-standing.ts';
import { insertNotices, insertTransactions } from './billing-write.ts';
import type { Database, Query } from './database.ts';

export const finalising = (db: Database): Pick<BillingStore, 'finalise'> => ({
  // Done again after a broken connection it finds what it had made final.
  finalise: async (batch, fence) => {
    batch.forEach(checkFinal);
    if (fence !== undefined) checkFence(fence);
    if (batch.length === 0) return [];
    return db.twice(() => db.transaction((query) => finalise(query, batch, fence)));
  },
});

/** Holds the run's row until the commit: a takeover waits, or has happened and this stops. */
export async function underFence(query: Query, { run, token, now }: Fence): Promise<void> {
  const held = await query(
    `SELECT FROM billing_run WHERE id = $1 AND token = $2 AND held_until > $3 AND outcome = 'running' FOR SHARE`,
    [run, token, now],
  );
  if (held.length === 0) throw runLost(run);
}

async function finalise(query: Query, batch: readonly FinalInvoice[], fence?: Fence): Promise<Finalised[]> {
  const touched = touchedBy([], batch);
  const held = fence === undefined ? undefined : underFence(query, fence);
  const billed = lockAccounts(query, [...new Set([...touched.accounts, ...touched.billed])]);
  // All of them are on their way: in this order, each by what there is when it is its turn.
  const [ids, standing] = await Promise.all([
    existing(query, batch),
    readStanding(query, touched, billed),
    billed,
    held,
  ]);
  const taken = new Set(ids.keys());
  const verdicts = batch.map((item): 'new' | 'there' | Refusal => {
    if (taken.has(nameOf(item))) return 'there';
    const why = judgeFinal(standing, item);
    if (why === null) taken.add(nameOf(item));
    return why ?? 'new';
  });
  const fresh = batch.filter((_, at) => verdicts[at] === 'new');
  const made = await insertDocuments(query, fresh);
  fresh.forEach((item, i) => void ids.set(nameOf(item), made[i] as number));
  const transactions = fresh.flatMap(({ transactions }, i) =>
    transactions.map((transaction) => ({ transaction, invoice: made[i] as number })),
  );
  const notices = fresh.flatMap((item) => item.notices);
  const [, , , , rows] = await Promise.all([
    noteBilled(query, fresh, made),
    insertTransactions(query, transactions),
    insertNotices(query, notices),
    dropDrafts(query, fresh),
    invoicesById(query, [...ids.values()]),
  ]);
  return batch.map((item, at): Finalised => {
    const verdict = verdicts[at] as 'new' | 'there' | Refusal;
    if (typeof verdict === 'object') return { outcome: 'refused', ...verdict };
    const invoice = rows.get(ids.get(nameOf(item)) ?? 0) as Omit<Invoice, 'document'>;
    return { outcome: verdict === 'new' ? 'final' : 'there', invoice };
  });
}

const nameOf = (item: Pick<FinalInvoice, 'account' | 'from' | 'to' | 'kind' | 'version'>): string =>
  JSON.stringify([item.account, item.from, item.to, item.kind, item.version]);

async function existing(query: Query, batch: readonly FinalInvoice[]): Promise<Map<string, number>> {
  const rows = await query<Pick<FinalInvoice, 'account' | 'from' | 'to' | 'kind' | 'version'> & { id: number }>(
    `SELECT i.id, i.tenant AS account, i.from_t AS "from", i.to_t AS "to", i.kind, i.version
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::integer[])
       AS n (tenant, from_t, to_t, kind, version)
     CROSS JOIN LATERAL (SELECT * FROM invoice WHERE tenant = n.tenant AND from_t = n.from_t AND to_t = n.to_t
       AND kind = n.kind AND version = n.version OFFSET 0) AS i`,
    [
      batch.map((item) => item.account),
      batch.map((item) => item.from),
      batch.map((item) => item.to),
      batch.map((item) => item.kind),
      batch.map((item) => item.version),
    ],
  );
  return new Map(rows.map((row) => [nameOf(row), row.id]));
}

async function invoicesById(query: Query, ids: readonly number[]): Promise<Map<number, Omit<Invoice, 'document'>>> {
  const rows = await query<InvoiceRow>(`${SELECT_INVOICE} WHERE i.id = ANY ($1)`, [ids]);
  return new Map(rows.map((row) => [row.id, toInvoice(row)]));
}

/** The first of as many numbers as each (entity, kind) needs. */
async function takeNumbers(query: Query, items: readonly FinalInvoice[]): Promise<Map<string, number>> {
  const wanted = new Map<string, { entity: string; kind: string; count: number }>();
  for (const { entity, kind } of items) {
    const name = `${kind} ${entity}`;
    wanted.set(name, { entity, kind, count: (wanted.get(name)?.count ?? 0) + 1 });
  }
  const list = [...wanted.values()];
  const rows = await query<{ entity: string; kind: string; next: number }>(
    `INSERT INTO invoice_number AS n (entity, kind, next)
     SELECT entity, kind, count + 1 FROM unnest($1::text[], $2::text[], $3::bigint[]) AS a (entity, kind, count)
     ORDER BY entity COLLATE "C", kind COLLATE "C"
     ON CONFLICT (entity, kind) DO UPDATE SET next = n.next + excluded.next - 1
     RETURNING entity, kind, next`,
    [list.map((w) => w.entity), list.map((w) => w.kind), list.map((w) => w.count)],
  );
  return new Map(
    rows.map((row) => {
      const name = `${row.kind} ${row.entity}`;
      return [name, row.next - (wanted.get(name)?.count ?? 0)];
    }),
  );
}

/**
 * Texts as one run of bytes and where each lies in it. As an array of texts every quote of 4 MB of JSON was escaped here
 * and unescaped there: 500 documents took 300 ms, and take 45 this way.
 */
function joined(texts: readonly string[]): { whole: Buffer; starts: number[]; lengths: number[] } {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const whole = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + length, 0));
  let next = 0;
  const starts = texts.map((text, i) => {
    const start = next;
    next += lengths[i] ?? 0;
    whole.write(text, start);
    return start + 1;
  });
  return { whole, starts, lengths };
}

/** A statement that may give a number for the second time. */
const givenOnce =
  (query: Query): Query =>
  async (text, values) => {
    try {
      return await query(text, values);
    } catch (error) {
      const cause = error instanceof StoreError ? (error.cause as { constraint?: string } | undefined) : undefined;
      throw cause?.constraint === 'invoice_number_text' ? numberTaken('') : error;
    }
  };

/** Their rows are locked. */
async function noteBilled(query: Query, items: readonly FinalInvoice[], ids: readonly number[]): Promise<void> {
  const rows = items.flatMap(({ accounts, frontier }, i) =>
    accounts.map(({ account }) => ({ account, id: ids[i] ?? 0, frontier })),
  );
  if (rows.length === 0) return;
  await query(
    `UPDATE billing_account b SET last_document = n.id, frontier = greatest(b.frontier, n.frontier)
     FROM (SELECT account, max(id) AS id, max(frontier) AS frontier
           FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (account, id, frontier) GROUP BY account) AS n
     WHERE b.tenant = n.account`,
    [rows.map(({ account }) => account), rows.map(({ id }) => id), rows.map(({ frontier }) => frontier)],
  );
}

interface Numbered {
  item: FinalInvoice;
  sequence: number;
}

/**
 * Documents in one statement. All 500 of a batch were 15 MB of buffers, long enough in use to become old: what counted most
 * of a run's time was the garbage collector, which goes through the whole heap whenever 64 MB of such have gathered.
 */
const AT_ONCE = 100;

/** The ids, in order. */
async function insertDocuments(query: Query, items: readonly FinalInvoice[]): Promise<number[]> {
  if (items.length === 0) return [];
  const next = await takeNumbers(query, items);
  const numbered = items.map((item): Numbered => {
    const name = `${item.kind} ${item.entity}`;
    const sequence = next.get(name) ?? 0;
    next.set(name, sequence + 1);
    return { item, sequence };
  });
  const sent: Promise<number[]>[] = [];
  for (let at = 0; at < numbered.length; at += AT_ONCE) {
    const one = insertSome(givenOnce(query), numbered.slice(at, at + AT_ONCE));
    // Waited for below; when the one before it fails, nobody does.
    one.catch(() => undefined);
    sent.push(one);
    await sent.at(-2);
  }
  return (await Promise.all(sent)).flat();
}

async function insertSome(query: Query, some: readonly Numbered[]): Promise<number[]> {
  const column = <T>(of: (item: FinalInvoice, sequence: number) => T): T[] =>
    some.map(({ item, sequence }) => of(item, sequence));
  const { whole, starts, lengths } = joined(some.map(({ item }) => item.document));
  const rows = await query<{ id: number; entity: string; kind: string; sequence: number }>(
    `INSERT INTO invoice (tenant, entity, kind, from_t, to_t, version, prefix, sequence, number, currency, net, tax, total,
       issued_at, due_at, frontier, digest, voids, request_key, document)
     SELECT tenant, entity, kind, from_t, to_t, version, prefix, sequence, number, currency, net, tax, total, issued_at,
       due_at, frontier, digest, voids, request_key, convert_from(substring($22::bytea FROM start FOR length), 'UTF8')
     FROM unnest($1::integer[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
       $8::integer[], $9::text[], $10::bigint[], $11::text[], $12::text[], $13::numeric[], $14::numeric[],
       $15::numeric[], $16::bigint[], $17::bigint[], $18::bigint[], $19::text[], $20::bigint[], $21::text[])
       AS n (start, length, tenant, entity, kind, from_t, to_t, version, prefix, sequence, number, currency, net, tax,
         total, issued_at, due_at, frontier, digest, voids, request_key)
     RETURNING id, entity, kind, sequence`,
    [
      starts,
      lengths,
      column((item) => item.account),
      column((item) => item.entity),
      column((item) => item.kind),
      column((item) => item.from),
      column((item) => item.to),
      column((item) => item.version),
      column((item) => item.prefix),
      column((_, sequence) => sequence),
      column((item, sequence) => numberText(item.prefix, sequence)),
      column((item) => item.currency),
      column((item) => item.net.toString()),
      column((item) => item.tax.toString()),
      column((item) => item.total.toString()),
      column((item) => item.issuedAt),
      column((item) => item.dueAt),
      column((item) => item.frontier),
      column((item) => item.digest),
      column((item) => item.voids),
      column((item) => item.key ?? null),
      // Last: what the driver has written before is copied when room is made for it.
      whole,
    ],
  );
  const ids = new Map(rows.map((row) => [`${row.sequence} ${row.kind} ${row.entity}`, row.id]));
  return some.map(({ item, sequence }) => ids.get(`${sequence} ${item.kind} ${item.entity}`) ?? 0);
}

/** A credit note leaves the draft of its period alone. */
async function dropDrafts(query: Query, items: readonly FinalInvoice[]): Promise<void> {
  const invoices = items.filter((item) => item.kind === 'invoice');
  if (invoices.length === 0) return;
  await query(
    `DELETE FROM invoice_draft d USING unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (tenant, from_t, to_t)
     WHERE d.tenant = a.tenant AND d.from_t = a.from_t AND d.to_t = a.to_t`,
    [invoices.map((i) => i.account), invoices.map((i) => i.from), invoices.map((i) => i.to)],
  );
}
