import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { query } from 'chdb';
import { csvText } from '../domain/csv.ts';
import { parquetFile } from './parquet.ts';

test('CSV quotes what must be quoted, keeps numbers, and lets no cell become a formula', () => {
  const check = (cell: string | null, expected: string) =>
    assert.equal(csvText(['a'], [[cell]]), `a\r\n${expected}\r\n`);
  check('plain', 'plain');
  check(null, '');
  check('say "hi", twice', '"say ""hi"", twice"');
  check('two\nlines', '"two\nlines"');
  check('-12.5', '-12.5');
  check('-12+1', "'-12+1");
  check('=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"');
  check('+1', "'+1");
  check('@x', "'@x");
});

test('the Parquet file is read by another engine as it was written, nulls and odd texts included', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-parquet-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const read = (columns: string[], rows: (string | null)[][]): unknown[] => {
    const file = join(dir, `${rows.length}.parquet`);
    writeFileSync(file, parquetFile(columns, rows));
    const text = query(`SELECT * FROM file('${file}', Parquet)`, 'JSONEachRow');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as unknown);
  };
  const odd = ['', 'ü', '"', 'a\nb', '😀', null, '340282366920938463463374607431768211455.000000000001'];
  for (const count of [0, 1, 7, 8, 9, 1000, 20_000]) {
    const rows = Array.from({ length: count }, (_, i) => [`name${i}`, odd[i % odd.length] ?? null]);
    assert.deepEqual(
      read(['name', 'quantity'], rows),
      rows.map(([name, quantity]) => ({ name, quantity })),
    );
  }
});
