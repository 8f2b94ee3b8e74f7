/** Documents of before stay as they were written, and are still what the facts say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, documentText, readDocument } from '../invoice/canonical.ts';
import type { InvoiceDocument } from '../invoice/document.ts';
import type { BillingWorld } from '../run/testing/world.ts';
import { Pass } from './pass.ts';
import { layout1, worldOfLayout1 } from './testing/layout-1.ts';
import { proofOf, verdictsOf } from './testing/proof.ts';

const { id } = layout1;

/** The invoice that was made then takes the place of the one that is made now. */
async function worldWith(stored: { document: string; digest: string }): Promise<BillingWorld> {
  const world = await worldOfLayout1();
  const { invoice } = world.billing;
  world.billing.invoice = async (asked) => {
    const found = await invoice(asked);
    return found?.id === id ? { ...found, ...stored } : found;
  };
  return world;
}

const told = async (stored: { document: string; digest: string }): Promise<string> =>
  (await verdictsOf(proofOf(await worldWith(stored)), { id })).join();

/** Stored with another content, and a digest to match. */
function changed(change: (line: InvoiceDocument['lines'][number]) => object): { document: string; digest: string } {
  const one = readDocument(layout1.document);
  const document = documentText({ ...one, lines: one.lines.map((line) => ({ ...line, ...change(line) })) });
  return { document, digest: digestOf(document) };
}

test('an invoice of layout 1 verifies as it was written, and what is made now is of layout 2', async () => {
  assert.equal(digestOf(layout1.document), layout1.digest);
  assert.equal(await told(layout1), 'INV-000002: equal');
  const now = await (await worldOfLayout1()).billing.invoice(id);
  assert.deepEqual([readDocument(layout1.document).layout, readDocument(now?.document ?? '').layout], [1, 2]);
});

test('reconciliation finds nothing in an invoice of layout 1', async () => {
  const world = await worldWith(layout1);
  const deps = { billing: world.billing, meteredAt: (asOf: number) => world.usage.meteredAt(asOf) };
  const pass = new Pass(deps, id);
  await pass.again([id]);
  assert.deepEqual(pass.result().findings, []);
});

test('an invoice of layout 1 is still held against what was used: amount, quantity, state, and the digests of events', async () => {
  const other = 'f'.repeat(64);
  const withSeries = (kind: string, change: object) => (line: InvoiceDocument['lines'][number]) =>
    line.price === kind ? { series: line.series.map((one) => ({ ...one, ...change })) } : {};
  const of = (price: string, change: object) => (line: InvoiceDocument['lines'][number]) =>
    line.price === price ? change : {};
  for (const [what, change, expected] of [
    ['another amount', of('sent', { amount: '1' }), /differs in amount\./],
    ['another state', of('sent', { state: 'known' }), /differs in state\./],
    ['another quantity of a series', withSeries('sent', { quantity: 1n }), /differs in digest, series\./],
    ['another series', withSeries('sent', { series: 9 }), /differs in digest, series\./],
    ['another digest of events', withSeries('tokens', { digest: other }), /differs in series\./],
    ['another digest of the line', of('sent', { digest: other }), /differs in digest\./],
  ] as const)
    assert.match(await told(changed(change)), expected, what);
});
