import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentText } from '../billing/invoice/canonical.ts';
import { invoice as documentOf, line } from '../billing/paper/testing/samples.ts';
import { invoice } from '../store/contract/billing-cases.ts';
import { openApi } from './testing/api.ts';

test('an invoice of more lines than are printed is given as CSV, and more PDFs than can wait are refused', async (t) => {
  const api = await openApi(t);
  await api.account('acme');
  const lines = Array.from({ length: 5001 }, () => line());
  const long = documentText(documentOf(lines));
  const short = documentText(documentOf(lines.slice(0, 2)));
  await api.context.control.billing.finalise([invoice(0, { document: long }), invoice(1, { document: short })]);
  const ask = (number: string, format: string) =>
    api.call(api.admin, 'GET', `/api/v1/invoices/${number}/paper?format=${format}`);
  for (const format of ['html', 'pdf']) {
    const { status, body } = await ask('INV-000001', format);
    assert.deepEqual([status, body.code], [422, 'invoice.too_long']);
    assert.equal((await ask('INV-000002', format)).status, 200);
  }
  const many = await Promise.all(Array.from({ length: 80 }, () => ask('INV-000002', 'pdf')));
  const refused = many.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 0 && refused.length <= 48, `${refused.length} of 80 refused`);
  assert.deepEqual([...new Set(refused.map(({ status, body }) => `${status} ${body.code}`))], ['503 server.busy']);
  const csv = await ask('INV-000001', 'csv');
  assert.equal(csv.status, 200);
  assert.equal(csv.text.split('\r\n').length, 5003);
});
