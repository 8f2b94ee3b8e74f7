import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram } from './program.ts';
import { run, terminal } from './testing/terminal.ts';

const vector = (id: string, quantity: string, total: string, model = 'per_unit') =>
  `{"id":"${id}","model":"${model}","input":{"unit_amount":"10","quantity":${quantity}},"expected":{"total":"${total}"}}`;
const equal = '{"id":"a","computed":{"total":"20"},"expected":{"total":"20"},"equal":true}\n';

/** Each row: what was given -> exit code, lines written, the count. */
async function check(rows: [given: string, code: number, lines: RegExp[], count: string][]): Promise<void> {
  for (const [given, code, lines, count] of rows) {
    const ran = await run(['rate', '-'], given);
    const written = ran.out.split('\n').filter((line) => line !== '');
    assert.deepEqual([ran.code, ran.err, written.length], [code, `${count} equal\n`, lines.length], given);
    for (const [at, line] of lines.entries()) assert.match(written[at] ?? '', line);
  }
}

test('vectors are read as a document, a list, one alone or lines, and answered a line each', async () => {
  const [a, b] = [vector('a', '"2"', '20'), vector('b', '2', '20.0')];
  await check([
    [`{"title":"t","vectors":[${a},${b}]}`, 0, [/"id":"a".*"equal":true/, /"id":"b".*"equal":true/], '2 of 2'],
    [`[${a},\n${b}]`, 0, [/"id":"a"/, /"id":"b"/], '2 of 2'],
    [`${a}\n\n${b}\n`, 0, [/"id":"a"/, /"id":"b"/], '2 of 2'],
    [a, 0, [/"id":"a"/], '1 of 1'],
  ]);
  assert.equal((await run(['rate', '-'], a)).out, equal);
});

test('one that is not equal, not known or not readable is told, the others go on, and the exit code is 1', async () => {
  const good = vector('a', '"2"', '20');
  await check([
    [`${good}\n${vector('b', '"2"', '20.01')}`, 1, [/"equal":true/, /"total":"20".*"equal":false\}/], '1 of 2'],
    [`${good}\n${vector('b', '"2"', '20', 'nope')}\n${good}`, 1, [/true/, /"error":"no model nope/, /true/], '2 of 3'],
    [`${good}\n{"id": oops\n${good}`, 1, [/true/, /"error":"not JSON/, /true/], '2 of 3'],
    ['{\n"vectors": [\noops\n', 1, [/"error":"not JSON/], '0 of 1'],
    ['[]', 1, [], '0 of 0'],
  ]);
});

test('numbers are read exactly, as they were written', async () => {
  await check([
    [vector('a', '0.1', '1'), 0, [/"total":"1"/], '1 of 1'],
    [vector('a', '9007199254740993', '90071992547409930'), 0, [/"90071992547409930"/], '1 of 1'],
    [vector('a', '1.00000000000000001', '10.0000000000000001'), 0, [/"10.0000000000000001"/], '1 of 1'],
  ]);
});

test('a large file shows on a terminal how far it is, apart from the lines', async () => {
  const io = {
    ...terminal([...Array(2_000).keys()].map((i) => vector(`v${i}`, '"2"', '20')).join('\n')),
    interactive: true,
  };
  let now = 0;
  io.now = () => {
    now += 600;
    return now;
  };
  assert.equal(await runProgram(['rate', '-'], io, '9.9.9'), 0);
  assert.match(io.written.err, /#+\.+ +\d+% {2}[\d,]+ of 2,000 vectors, 0 different/);
  assert.ok(io.written.err.endsWith('\r\u001b[K2000 of 2000 equal\n'));
  assert.equal(io.written.out.split('\n').length, 2_001);
});

test('a file is read by its name, and one that is not there is named', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-rate-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'vectors.json');
  writeFileSync(file, vector('a', '"2"', '20'));
  const ran = await run(['rate', file]);
  assert.deepEqual([ran.code, ran.out], [0, equal]);
  const none = await run(['rate', join(dir, 'none.json')]);
  assert.equal(none.code, 1);
  assert.match(none.err, /none\.json cannot be read/);
});
