import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { save } from './download.ts';
import { terminal } from './testing/terminal.ts';

/** `Zürich` in pieces that cut the letter of two bytes. */
const cut = (): ReadableStream<Uint8Array> => {
  const bytes = new TextEncoder().encode('Zürich\n');
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.subarray(0, 2));
      controller.enqueue(bytes.subarray(2));
      controller.close();
    },
  });
};

test('no letter is lost between two pieces, on a terminal or in a file that only its owner reads', async (t) => {
  const io = terminal();
  await save(io, cut(), '-');
  assert.equal(io.written.out, 'Zürich\n');
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'lines.csv');
  await save(io, cut(), file);
  assert.equal(readFileSync(file, 'utf8'), 'Zürich\n');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(io.written.err, `Wrote ${file}.\n`);
});
