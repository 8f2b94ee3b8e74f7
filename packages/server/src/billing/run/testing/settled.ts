/** What holds of all documents together, whoever got them. */
import assert from 'node:assert/strict';
import { documentText, readDocument } from '../../invoice/canonical.ts';
import { chargesIn } from '../../invoice/charges.ts';
import { compose, partiesOf } from '../../invoice/compose.ts';
import { scopesOf } from '../../invoice/frames.ts';
import { historyOf } from '../../invoice/history.ts';
import { expectedDraft, readAll } from '../expected.ts';
import type { BillingWorld } from './world.ts';

/** Computed again as of its S, with every earlier document looked at, each invoice is the same to the byte. */
export async function checkAgain({ billing, usage }: BillingWorld): Promise<void> {
  const deps = { billing, meteredAt: (asOf: number | null) => usage.meteredAt(asOf) };
  for (const { id } of await billing.invoices({ kind: 'invoice', limit: 1000 })) {
    const invoice = await billing.invoice(id);
    assert.ok(invoice);
    const { account, frontier, version, number } = invoice;
    const { draft } = await expectedDraft(deps, account, invoice, frontier, { version, before: id });
    assert.equal(documentText(draft.document), invoice.document, number);
  }
}

const DAY = 86_400_000;

/** Each account's periods that are over with its payer's last invoice: billed over all documents is what they cost. */
export async function checkSettled({ billing, usage }: BillingWorld, accounts: readonly string[]): Promise<void> {
  const billed = new Map<string, bigint>();
  const ends = new Map<string, number>();
  /** Of who is paid for by somebody who never had anything to pay: what was billed before counts all the same. */
  const endsFor = new Map<string, number>();
  for (const { id } of await billing.invoices({ kind: 'invoice', limit: 1000 })) {
    const invoice = await billing.invoice(id);
    assert.ok(invoice);
    if (invoice.voidedBy !== null) continue;
    ends.set(invoice.account, Math.max(invoice.to, ends.get(invoice.account) ?? 0));
    const { lines, accounts: of = [invoice.account] } = readDocument(invoice.document);
    for (const id of of) endsFor.set(id, Math.max(invoice.to, endsFor.get(id) ?? 0));
    for (const { key, amount } of lines) {
      billed.set(key, (billed.get(key) ?? 0n) + BigInt(amount));
    }
  }
  const reader = await usage.meteredAt(null);
  const { book } = reader;
  const known = new Set<string>();
  for (const account of accounts) {
    const payer = book.billing.payerOf(account);
    const to = ends.get(payer) ?? endsFor.get(account) ?? 0;
    const frame = { from: 0, to, next: to + 500 * DAY };
    const histories = [historyOf(book, account)];
    const { conventions } = partiesOf(book, payer).entity;
    const charges = chargesIn(book, payer, frame, conventions, histories, scopesOf(histories, frame));
    const asks = charges.usage.map(({ ask }) => ask);
    const metered = await readAll(reader, asks);
    const common = { book, charges, metered, earlier: [], documents: [], frontier: 0, version: 1 };
    const over = new Set(charges.scopes.filter(({ stage }) => stage === 'ended').map(({ period }) => period.from));
    const due = new Map<string, { sum: bigint; isOver: boolean }>();
    for (const { key, amount } of compose(common).document.lines) {
      const isOver = over.has(Number(key.split('|')[3]));
      due.set(key, { sum: (due.get(key)?.sum ?? 0n) + BigInt(amount), isOver });
    }
    for (const [key, { sum, isOver }] of due) {
      known.add(key);
      if (isOver) assert.equal(billed.get(key) ?? 0n, sum, `${key}, billed against due`);
      else assert.ok([0n, sum].includes(billed.get(key) ?? 0n), `${key}: ${billed.get(key)} is billed ahead of ${sum}`);
    }
  }
  for (const [key, sum] of billed) if (!known.has(key)) assert.equal(sum, 0n, `${key} is billed, and not due`);
}
