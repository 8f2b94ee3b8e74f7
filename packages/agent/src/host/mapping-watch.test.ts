import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MappingFile, type MappingFiles, SETTLED_MS } from './mapping-watch.ts';
import { realMappingFiles } from './wiring-files.ts';

const rules = (...accounts: string[]): string =>
  `objects:\n${accounts.map((a) => `  - { match: { name: ${a} }, account: ${a} }\n`).join('')}`;

/** A real folder; the clock of the files is ours, so that two writings in one tick are two. */
const setting = () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-mapping-'));
  const path = join(folder, 'mapping.yaml');
  let clock = 1_000_000;
  const time = { ms: 0 };
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
    open: (files = realMappingFiles) =>
      new MappingFile(path, files, ({ level, message }) => reports.push(`${level} ${message}`), {
        elapsed: () => time.ms,
      }),
    time,
    /** Two looks, as far apart as it takes. */
    look(file: MappingFile): boolean {
      const first = file.check();
      time.ms += SETTLED_MS;
      return file.check() || first;
    },
    end: () => rmSync(folder, { recursive: true }),
  };
};

test('a changed file is taken over when two looks in a row agree, an unchanged one is not read again', () => {
  const s = setting();
  s.write(rules('a'));
  const file = s.open();
  assert.deepEqual([file.version, file.current.rules.length, s.look(file)], [1, 1, false]);
  s.write(rules('a', 'b'));
  assert.equal(file.check(), false);
  s.time.ms += SETTLED_MS - 1;
  assert.equal(file.check(), false, 'two passes in one moment are one look');
  s.time.ms += 1;
  assert.deepEqual([file.check(), file.version, file.current.rules.length], [true, 2, 2]);
  assert.equal(s.look(file), false);
  assert.equal(file.reload(), true, 'asked for by hand');
  s.end();
});

test('a file that is still being written is not in force before it is whole', () => {
  const s = setting();
  s.write(rules('a', 'b'));
  const file = s.open();
  s.write(rules('c'));
  assert.equal(file.check(), false);
  s.time.ms += SETTLED_MS;
  s.write(rules('c', 'd'));
  assert.deepEqual([file.check(), file.current.rules[0]?.account], [false, 'a']);
  s.time.ms += SETTLED_MS;
  assert.deepEqual([file.check(), file.current.rules.map(({ account }) => account)], [true, ['c', 'd']]);
  s.end();
});

test('rules that went are counted in the report', () => {
  const s = setting();
  s.write(rules('a', 'b', 'c'));
  const file = s.open();
  s.write(rules('a'));
  s.look(file);
  s.write(rules('a', 'd'));
  s.look(file);
  s.write(rules('d', 'a'));
  s.look(file);
  s.write(rules('e', 'a'));
  s.look(file);
  assert.deepEqual(
    s.reports.map((r) => r.replace(s.path, 'FILE')),
    [
      'info FILE: 3 rules in force',
      'warn FILE: 1 rules in force; 2 of those before are gone',
      'info FILE: 2 rules in force',
      'info FILE: 2 rules in force',
      'warn FILE: 2 rules in force; 1 of those before are gone',
    ],
  );
  s.end();
});

test('a file that could not be read for a moment is taken over though its stamp is the old one', () => {
  const s = setting();
  s.write(rules('a'));
  let broken = false;
  const files: MappingFiles = {
    ...realMappingFiles,
    read: (path) => {
      if (broken) throw new Error('EIO');
      return realMappingFiles.read(path);
    },
  };
  const file = s.open(files);
  s.write(rules('b'));
  broken = true;
  assert.equal(s.look(file), false);
  assert.match(file.problems.join(), /EIO/);
  broken = false;
  assert.equal(s.look(file), true);
  assert.deepEqual([file.current.rules[0]?.account, file.problems], ['b', []]);
  s.end();
});

test('a file with a fault leaves the one before in force, and is reported once, with its lines', () => {
  const s = setting();
  s.write(rules('a'));
  const file = s.open();
  s.write('objects:\n  - { match: { nam: x }, account: a }\n');
  assert.equal(s.look(file), false);
  assert.equal(s.look(file), false);
  assert.equal(file.current.rules[0]?.account, 'a');
  assert.deepEqual(file.problems, [`${s.path}:2:16: there is no field to match "nam"; did you mean "name"?`]);
  assert.deepEqual(s.reports.slice(1), [`error ${file.problems[0]}\nthe mapping before stays in force`]);
  s.write(rules('b'));
  assert.equal(s.look(file), true);
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
  assert.equal(s.look(file), true);
  rmSync(s.path);
  file.check();
  assert.equal(file.check(), false);
  assert.deepEqual([file.current.rules.length, s.reports.length], [1, 3]);
  s.end();
});
