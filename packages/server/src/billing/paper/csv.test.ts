import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linesCsv } from './csv.ts';
import { hostile, invoice, line, threeAccounts, traffic } from './testing/samples.ts';

/** Cells of RFC 4180, read as a spreadsheet does. */
function read(csv: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
  }
  assert.deepEqual(rows.pop(), []);
  return rows;
}

test('a row for each line has its numbers exactly, its times with their zone, and its digest', () => {
  const document = invoice([line(), traffic({ flags: ['spread', 'unobserved'], state: 'unobserved' })]);
  const [heads, , row] = read([...linesCsv([{ number: 'INV-000001', document }])].join(''));
  assert.deepEqual(Object.fromEntries((heads ?? []).map((name, i) => [name, row?.[i]])), {
    number: 'INV-000001',
    line: '2',
    account: 'acme',
    plan: 'pro',
    price: 'traffic',
    name: 'Traffic sent',
    from: '2026-10-01T00:00:00+02:00',
    to: '2026-11-01T00:00:00+01:00',
    meter: 'network.bytes.sent',
    quantity: '123.456789',
    unit: 'GB',
    state: 'unobserved',
    flags: 'spread unobserved',
    exact: '14.02283245',
    amount: '14.02',
    currency: 'EUR',
    tax_category: '',
    corrects: '',
    digest: '10b7247cebc600ffca5d44cec97672fa666c32253093cb784dcfd2ea6ad32edb',
  });
});

test('documents come one by one: a piece for the heads, and one for each', () => {
  const pieces = [...linesCsv(['INV-1', 'INV-2'].map((number) => ({ number, document: threeAccounts })))];
  assert.equal(pieces.length, 3);
  assert.deepEqual(
    read(pieces.join(''))
      .slice(1)
      .map(([number, no]) => `${number}:${no}`),
    ['INV-1', 'INV-2'].flatMap((number) => threeAccounts.lines.map(({ no }) => `${number}:${no}`)),
  );
});

test('a name is kept whole, and none is run as a formula', () => {
  const document = invoice(hostile.map((name) => line({ name, quantity: null, amount: '-500' })));
  const rows = read([...linesCsv([{ number: '', document }])].join('')).slice(1);
  assert.deepEqual(
    rows.map((row) => row[5]),
    hostile.map((name) => (name.startsWith('=') ? `'${name}` : name)),
  );
  assert.deepEqual(new Set(rows.map((row) => `${row[9]}${row[14]}`)), new Set(['-5.00']));
});
