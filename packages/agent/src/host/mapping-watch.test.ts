import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MappingFile } from './mapping-watch.ts';
import { realMappingFiles } from './wiring-files.ts';

const rules = (...accounts: string[]): string =>
  `objects:\n${accounts.map((a) => `  - { match: { name: ${a} }, account: ${a} }\n`).join('')}`;

/** A real folder; the clock of the files is ours, so that two writings in one tick are two. */
const setting = () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-mapping-'));
  const path = join(folder, 'mapping.yaml');
  let clock = 1_000_000;
  const reports: string[] = [];
  return {
    path,
    reports,
    write(text: string): void {
      writeFileSync(`${path}.new`, text);
      clock += 10;
      utimesSync(`${path}.new`, clock, clock);
      renameSync(`${path}.new`, path);
    },
    open: () => new MappingFile(path, realMappingFiles, ({ level, message }) => reports.push(`${level} ${message}`)),
    end: () => rmSync(folder, { recursive: true }),
  };
};

test('a changed file is taken over at the next look, an unchanged one is not read again', () => {
  const s = setting();
  s.write(rules('a'));
  const file = s.open();
  assert.deepEqual([file.version, file.current.rules.length, file.check()], [1, 1, false]);
  s.write(rules('a', 'b'));
  assert.deepEqual([file.check(), file.version, file.current.rules.length], [true, 2, 2]);
  assert.equal(file.check(), false);
  assert.equal(file.reload(), true);
  s.end();
});

test('a file with a fault leaves the one before in force, and is reported once, with its lines', () => {
  const s = setting();
  s.write(rules('a'));
  const file = s.open();
  s.write('objects:\n  - { match: { nam: x }, account: a }\n');
  assert.equal(file.check(), false);
  assert.equal(file.check(), false);
  assert.equal(file.current.rules[0]?.account, 'a');
  assert.deepEqual(file.problems, [`${s.path}:2:16: there is no field to match "nam"; did you mean "name"?`]);
  assert.deepEqual(s.reports.slice(1), [`error ${file.problems[0]}\nthe mapping before stays in force`]);
  s.write(rules('b'));
  assert.equal(file.check(), true);
  assert.deepEqual([file.current.rules[0]?.account, file.problems.length], ['b', 0]);
  s.end();
});

test('a file that is missing or goes away is reported once and taken over when it is there', () => {
  const s = setting();
  const file = s.open();
  file.check();
  assert.deepEqual([file.version, s.reports.length], [0, 1]);
  assert.match(s.reports[0] ?? '', /cannot be read.*\nnothing is attributed until it is mended/);
  s.write(rules('a'));
  assert.equal(file.check(), true);
  rmSync(s.path);
  file.check();
  assert.equal(file.check(), false);
  assert.deepEqual([file.current.rules.length, s.reports.length], [1, 3]);
  s.end();
});
