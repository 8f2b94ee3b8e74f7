import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { InvoiceDocument } from '../invoice/document.ts';
import { renderPdf } from './pdf.ts';
import type { Standing } from './standing.ts';
import {
  creditNote,
  draft,
  hostileDocument,
  invoice,
  line,
  manyLines,
  open,
  step,
  threeAccounts,
  traffic,
} from './testing/samples.ts';

const hasTool = (): boolean => {
  try {
    execFileSync('pdftotext', ['-v'], { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
};
const skip = !hasTool() && 'needs pdftotext (poppler-utils)';

/** Text of each page, as it stands on it, with single blanks. */
async function pagesOf(
  document: InvoiceDocument,
  standing: Standing = open(document),
  order: '-layout' | '-raw' = '-layout',
): Promise<string[]> {
  const input = await renderPdf(document, standing);
  const text = execFileSync('pdftotext', [order, '-enc', 'UTF-8', '-', '-'], { input, encoding: 'utf8' });
  return text
    .split('\f')
    .slice(0, -1)
    .map((page) =>
      page
        .replace(/\s+/g, ' ')
        .trim()
        .replace(/(\d) \/ (\d)/g, '$1/$2'),
    );
}

const check = async (document: InvoiceDocument, wanted: readonly string[], standing?: Standing): Promise<void> => {
  const text = (await pagesOf(document, standing)).join(' ');
  for (const one of wanted) assert.ok(text.includes(one), `${one} is missing in: ${text}`);
};

const count = (text: string, what: string): number => text.split(what).length - 1;

test('the same document is the same bytes, whatever was printed before', async () => {
  const document = invoice([line(), traffic()]);
  const first = await renderPdf(document, open(document));
  await renderPdf(hostileDocument, open(hostileDocument));
  const second = await renderPdf(structuredClone(document), open(document));
  assert.ok(first.equals(second));
  assert.match(first.toString('latin1'), /\(D:20261104083000Z\)/);
  const other = await renderPdf(document, open(document, { number: 'INV-000002' }));
  const idOf = (pdf: Buffer): string | undefined => /\/ID \[<([0-9a-f]{32})>/.exec(pdf.toString('latin1'))?.[1];
  assert.match(idOf(first) ?? '', /^[0-9a-f]{32}$/);
  assert.notEqual(idOf(first), idOf(other));
});

test('a long invoice lets everything else have its turn, and two at once are as each alone', async () => {
  const document = invoice(manyLines(80));
  const alone = await renderPdf(document, open(document));
  let turns = 0;
  let isDone = false;
  const tick = (): void => {
    turns++;
    if (!isDone) setImmediate(tick);
  };
  setImmediate(tick);
  const [first, second] = await Promise.all([
    renderPdf(document, open(document)),
    renderPdf(threeAccounts, open(threeAccounts)),
  ]);
  isDone = true;
  assert.ok(turns > 14, `${turns} turns`);
  assert.ok(first.equals(alone));
  assert.ok(second.equals(await renderPdf(threeAccounts, open(threeAccounts))));
});

test('the text of the page can be read back: who, what, exact figures, total and proof', { skip }, async () => {
  const document = invoice([line(), traffic({ state: 'unobserved', flags: ['unobserved'] })]);
  await check(document, [
    'Invoice INV-000001',
    'Hafenstraße 12',
    'Period 2026-10-01 to 2026-10-31',
    '1 Base fee 1 49.00 49.00',
    '2 Traffic sent 123.456789 GB 14.02',
    'tier 3, above 100 22.456789 GB × 0.05 = 1.12283945',
    'Unobserved: a part of this time was not seen',
    'USt 19 % 11.97',
    'Total EUR 74.99',
    'Left to pay EUR 74.99',
    'Reference: INV-000001',
    '1/1',
    'facts up to 12,345; digest',
    'check with `tollgate invoices verify INV-000001`',
  ]);
});

test('hundreds of lines are all there, none is cut by the end of a page, each page has heads and its number', {
  skip,
}, async () => {
  const lines = manyLines(400).map((one) => ({ ...one, name: `${one.name} <` }));
  const pages = await pagesOf(invoice(lines));
  assert.ok(pages.length > 20);
  for (const [i, page] of pages.entries()) {
    assert.ok(page.includes(`${i + 1}/${pages.length}`), page);
    assert.ok(page.includes('No What Quantity Unit price Amount EUR') || i === pages.length - 1, page);
    // What stands first and last of a usage line.
    assert.equal(count(page, '123.456789 GB 14.02'), count(page, 'Exactly 14.02283245'), page);
    assert.equal(count(page, 'Unobserved:'), count(page, 'Usage between two readings'), page);
  }
  const text = pages.join(' ');
  for (const [i, { name }] of lines.entries()) assert.ok(text.includes(` ${i + 1} ${name}`), `${i + 1} ${name}`);
  assert.equal(count(text, 'Exactly 14.02283245'), lines.filter(({ kind }) => kind === 'usage').length);
});

test('a line taller than a page goes on over the next ones, with all its steps', { skip }, async () => {
  const steps = Array.from({ length: 300 }, (_, i) => step(`zone ${i + 1}.`, '1', '0.01', '0.01'));
  const pages = await pagesOf(invoice([line(), traffic({ steps }), line({ name: 'Last one' })]));
  assert.ok(pages.length >= 4 && pages.length <= 6, String(pages.length));
  const text = pages.join(' ');
  for (const { text: zone } of steps) assert.equal(count(text, ` ${zone} 1 GB`), 1, zone);
  assert.equal(
    count(text, 'No What Quantity'),
    pages.filter((page) => page.includes('zone') || page.includes('Last')).length,
  );
});

test('figures of any length are printed whole', { skip }, async () => {
  const long = `${'9'.repeat(26)}.123456789012`;
  const fraction = `${'7'.repeat(40)}/${'3'.repeat(39)}`;
  const steps = [step('all', long, '0.000000000000000001', fraction), step('less', null, null, '-1')];
  const document = invoice([
    traffic({ quantity: long, amount: (10n ** 20n).toString(), exact: `${10n ** 18n}`, steps }),
  ]);
  const text = (await pagesOf(document, open(document), '-raw')).join(' ');
  const digits = text.replace(/[ ,]/g, '');
  assert.equal(count(digits, long), 2, digits);
  assert.ok(digits.includes(`×0.000000000000000001=${fraction}`), digits);
  assert.ok(text.includes('1,000,000,000,000,000,000.00'), text);
});

test('three accounts, a credit note and a draft say what they are', { skip }, async () => {
  await check(threeAccounts, ['Account acme-eu', 'Corrects INV-000001:3, late', 'Lines of account acme-eu 65.02']);
  const note = open(creditNote, { number: 'CN-000001', open: 0n });
  await check(creditNote, ['Credit note CN-000001', 'Outage of 12 October, agreed', 'Total EUR -5.95'], note);
  const document = invoice([line(), traffic({ state: 'pending' })]);
  await check(document, ['Draft of an invoice', 'source host/a is not complete', 'none yet: a draft'], draft);
});

test('a draft and a void invoice are stamped on each page', async () => {
  const document = invoice(manyLines(30));
  const stamps = async (standing: Standing): Promise<number> =>
    count((await renderPdf(document, standing)).toString('latin1'), '/ca 0.12');
  assert.equal(await stamps(open(document)), 0);
  assert.ok((await stamps(draft)) > 0);
  assert.ok((await stamps(open(document, { state: 'void' }))) > 0);
});

test('names in any script or meant to harm print, with a sign for what no font has', { skip }, async () => {
  const text = (await pagesOf(hostileDocument)).join(' ');
  for (const shown of ['<script>alert(1)</script>', '\ufffdtxt.exe', '(5,000 characters)', '\ufffd'])
    assert.ok(text.includes(shown), shown);
  // The reader of the text may put marks of direction round them.
  assert.match(text, /שלום עולם/);
  assert.match(text, /مرحبا بالعالم/);
});

const DROID = '/usr/share/fonts-droid-fallback/truetype/DroidSansFallback.ttf';
const noFont = !existsSync(DROID) && 'needs fonts-droid-fallback';

test('what is written in China, Japan and Korea prints with a font named for it', {
  skip: skip || noFont,
}, async () => {
  const input = await renderPdf(hostileDocument, open(hostileDocument), DROID);
  const text = execFileSync('pdftotext', ['-layout', '-enc', 'UTF-8', '-', '-'], { input, encoding: 'utf8' });
  assert.ok(text.includes('株式会社東雲 서울 클라우드'));
});
