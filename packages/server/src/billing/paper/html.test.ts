import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHtml } from './html.ts';
import {
  creditNote,
  draft,
  hostile,
  hostileDocument,
  invoice,
  line,
  manyLines,
  open,
  step,
  threeAccounts,
  traffic,
} from './testing/samples.ts';

/** Elements in the order of their tags, and the text between them as a reader sees it. */
function read(html: string): { tags: string[]; text: string } {
  const body = html.replace(/<style>.*?<\/style>/s, '');
  const tags = [...body.matchAll(/<(\/?[a-z][a-z0-9]*)/g)].map((match) => match[1] as string);
  const text = body
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ');
  return { tags, text };
}

const check = (html: string, wanted: readonly string[], unwanted: readonly string[] = []): void => {
  const { text } = read(html);
  for (const one of wanted) assert.ok(text.includes(one), `${one} is missing in: ${text}`);
  for (const one of unwanted) assert.ok(!text.includes(one), `${one} is in: ${text}`);
};

const EMPTY = new Set(['meta', 'br']);

/** Every element that begins ends, in order. */
function assertNested(tags: readonly string[]): void {
  const stack: string[] = [];
  for (const tag of tags) {
    if (tag.startsWith('/')) assert.equal(stack.pop(), tag.slice(1));
    else if (!EMPTY.has(tag)) stack.push(tag);
  }
  assert.deepEqual(stack, []);
}

test('an invoice says who, when, what for, how it was computed, what it comes to and how to pay', () => {
  const document = invoice([line(), traffic({ state: 'unobserved', flags: ['unobserved'] })]);
  check(renderHtml(document, open(document)), [
    'Invoice INV-000001',
    'Northern Cloud GmbH Hafenstraße 12 20457 Hamburg',
    'Tax number: GB999999973',
    'State open Date 2026-11-04 Period 2026-10-01 to 2026-10-31 Due 2026-11-18 Currency EUR Time zone Europe/Berlin',
    '1 Base fee 2026-10-01 to 2026-10-31 1 49.00 49.00',
    'tier 2, above 10 up to 100 90 GB × 0.0777777 = 6.999993',
    'Metered: 123,456,789,000 (network.bytes.sent)',
    'Exactly 14.02283245, rounded (half-up) to 14.02',
    'Unobserved: a part of this time was not seen and never will be.',
    'Net 63.02 USt 19 % DE: of 63.02 11.97 Total EUR 74.99 Left to pay EUR due 2026-11-18 74.99',
    'How to pay Transfer to DE02 1203 0000 0000 2020 51, BYLADEM1001 or by card in the console Reference: INV-000001',
    'Computed from all facts up to 12,345; digest',
    'check with `tollgate invoices verify INV-000001`',
  ]);
});

test('credits and payments are taken off the total, one by one and in sum', () => {
  const document = invoice([line()]);
  const settled = [{ text: 'Credit', at: document.to, amount: 1000n }];
  check(renderHtml(document, open(document, { open: 4331n, settled })), [
    'Total EUR 58.31 Credit, 2026-11-01 -10.00 Other credits and payments -5.00 Left to pay EUR due 2026-11-18 43.31',
  ]);
  check(
    renderHtml(document, open(document, { open: 0n, state: 'paid' })),
    ['State paid', 'Credits and payments so far -58.31 Nothing left to pay 0.00'],
    ['How to pay', 'Overdue'],
  );
  check(renderHtml(document, open(document, { state: 'overdue', open: 4331n })), [
    'Overdue 43.31 EUR was due on 2026-11-18.',
    'due 2026-11-18, overdue',
  ]);
});

test('several accounts have a heading and a sum each, and corrections name what they correct', () => {
  check(renderHtml(threeAccounts, open(threeAccounts)), [
    'Account acme Plan pro 1 Base fee',
    'Lines of account acme 63.02',
    'Account acme-eu Plan pro 3 Base fee',
    'Corrections of earlier invoices 7 Traffic sent 2026-09-01 to 2026-09-30',
    'Corrects INV-000001:3, late or corrected usage',
    'billed on INV-000001:3 = -14.02',
    'Lines of account acme-eu 65.02 Account acme-us',
  ]);
  const { text } = read(renderHtml(threeAccounts, open(threeAccounts)));
  assert.equal(text.split('Lines of account').length - 1, 3);
});

test('taxes print their base and rate, whether they are in the amounts, or why there are none', () => {
  const tax = { name: 'VAT', jurisdiction: 'GB', category: 'reduced', percent: '5', inclusive: true };
  const inclusive = { taxes: [{ ...tax, base: '4667', amount: '233' }], net: '4667', tax: '233', total: '4900' };
  const document = invoice([line({ taxCategory: 'reduced', tax: '233' })], inclusive);
  check(renderHtml(document, open(document)), [
    'Tax: reduced, 2.33',
    'Sum of the lines with the taxes that are in them 49.00 Net 46.67',
    'VAT 5 % GB, reduced: of 46.67, in the amounts of the lines 2.33 Total EUR 49.00',
  ]);
  const exempt = `Reverse charge, ${'Article 196 '.repeat(60)}`.trim();
  const buyer = { name: 'Acme', address: [], taxId: '', exemption: exempt };
  const free = invoice([line()], { taxes: [], tax: '0', total: '4900', buyer });
  check(renderHtml(free, open(free)), [`Net 49.00 Tax exempt: ${exempt} 0.00 Total EUR 49.00`]);
});

test('a draft says that it is none yet and what has to be settled, and asks for no money', () => {
  const document = invoice([line(), traffic({ state: 'pending' })]);
  check(
    renderHtml(document, draft),
    ['DRAFT', 'Draft of an invoice', 'source host/a is not complete', 'Number none yet', 'Pending: usage of this time'],
    ['How to pay', 'Left to pay', 'verify', 'Due'],
  );
  check(renderHtml(document, { ...draft, blocked: [] }), ['It can become final 3 days after the end of the period']);
});

test('a credit note names the invoice and the reason; a void invoice says so', () => {
  check(
    renderHtml(creditNote, open(creditNote, { number: 'CN-000001', open: 0n })),
    ['Credit note CN-000001', 'Corrects INV-000001 Outage of 12 October, agreed with support', 'Total EUR -5.95'],
    ['How to pay', 'Left to pay', 'Due '],
  );
  const document = invoice([line()]);
  check(renderHtml(document, open(document, { state: 'void', open: 0n })), [
    'VOID',
    'A credit note has reversed this invoice in full',
  ]);
  check(renderHtml(document, open(document, { state: 'void', open: 0n, voidedBy: 'CN-000007' })), [
    'Credit note CN-000007 has reversed this invoice in full',
  ]);
});

test('the reason of a credit note is not said again as a step of its lines', () => {
  const reason = 'Outage of 12 October';
  const said = line({
    corrects: `INV-000001:1, ${reason}`,
    quantity: null,
    steps: [step(reason, null, null, '-5')],
    exact: '-5',
  });
  const { text } = read(renderHtml(invoice([said]), open(invoice([said]))));
  assert.equal(text.split(reason).length - 1, 1);
});

test('no text from outside becomes markup, and each keeps its direction to itself', () => {
  const html = renderHtml(hostileDocument, open(hostileDocument, { number: hostile[0] as string }));
  const harmless = renderHtml(invoice([line()]), open(invoice([line()])));
  const known = new Set([...read(harmless).tags, ...['bdi', '/bdi', 'ul', '/ul', 'li', '/li']]);
  const { tags, text } = read(html);
  assert.deepEqual(
    [...new Set(tags)].filter((tag) => !known.has(tag)),
    [],
  );
  assertNested(tags);
  assert.ok(text.includes(`"><img src=x onerror='alert(1)'>`), 'the name is shown as it is');
  assert.match(html, /<bdi>שלום עולם \(Ltd\) مرحبا بالعالم<\/bdi>/);
  assert.doesNotMatch(html.replaceAll('\n', ''), /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
});

test('the file needs nothing from elsewhere and runs nothing', () => {
  const document = invoice(manyLines(20));
  const html = renderHtml(document, open(document));
  assert.doesNotMatch(html, /<(script|link|img|iframe|object|base)|\b(src|href)=|url\(|@import/i);
  assert.match(html, /^<!doctype html>\n<html lang="en">/);
  assert.match(html, /default-src &#39;none&#39;/);
  assertNested(read(html).tags);
});

test('every line is there, under heads of columns that say what they are', () => {
  const document = invoice(manyLines(400));
  const html = renderHtml(document, open(document));
  assert.equal([...html.matchAll(/<tr class="line"/g)].length, 400);
  assert.equal([...html.matchAll(/<th scope="col" role="columnheader"/g)].length, 5);
});
