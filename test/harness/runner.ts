/** Runs one test file in a process of its own and tallies it. */

import { join } from 'node:path';
import { run } from 'node:test';
import type { TestFile } from './plan.ts';
import { type Outcome, Tally } from './tally.ts';

export interface FileResult extends Outcome {
  readonly source: string;
  readonly seconds: number;
  /** What the file wrote, last 20,000 characters: printed when something failed. */
  readonly output: string;
}

const OUTPUT_MAX = 20_000;

/** `secondsMax` ends the file's process when it hangs; that is told as a failure. */
export const runFile = async (
  root: string,
  test: TestFile,
  secondsMax: number,
  signal: AbortSignal,
): Promise<FileResult> => {
  const path = join(root, test.file);
  const tally = new Tally(path);
  const began = performance.now();
  let output = '';
  const keep = (text: string): void => {
    output = (output + text).slice(-OUTPUT_MAX);
  };
  const stream = run({ files: [path], concurrency: false, timeout: secondsMax * 1000, signal });
  stream.on('test:pass', (event) => tally.pass(event));
  stream.on('test:fail', (event) => tally.fail(event));
  stream.on('test:stdout', (event) => keep(event.message));
  stream.on('test:stderr', (event) => keep(event.message));
  stream.resume();
  await new Promise<void>((resolve, reject) => {
    stream.on('end', resolve);
    stream.on('error', reject);
  });
  if (tally.outcome.passed + tally.outcome.skips.length + tally.outcome.failures.length === 0)
    tally.outcome.failures.push({ name: test.source, detail: 'the file has no test' });
  return { ...tally.outcome, source: test.source, seconds: (performance.now() - began) / 1000, output };
};
