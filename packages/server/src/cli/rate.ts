/** tollgate rate: other systems' published figures, computed with the rating of our invoices. No server, no state. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Json, type RatedVector, rateVector } from '../billing/rate/vectors/index.ts';
import { JsonError, JsonNumber, type JsonValue, readJson } from '../domain/json-exact.ts';
import { CliError, Exit, type Io } from './io.ts';
import { withProgress } from './progress.ts';
import { grouped } from './quantity.ts';

/** A file of vectors is read whole; more come as JSON lines in several files. */
const BOUNDS = { maxLength: 64 * 1024 * 1024, maxDepth: 64 };

/** Vectors between two looks at how far it is: some milliseconds. */
const STEP = 100;

const textOf = async (io: Io, file: string): Promise<string> => {
  if (file === '-') {
    const chunks: Uint8Array[] = [];
    for await (const chunk of io.stdin()) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    return Buffer.concat(chunks).toString('utf8');
  }
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(Exit.failure, `${file} cannot be read: ${(error as Error).message}`);
  }
};

/** Plain data; a number that a double would change stays the text it was written as. */
const plainOf = (value: JsonValue): Json => {
  if (value instanceof JsonNumber) return /^-?\d{1,15}$/.test(value.text) ? Number(value.text) : value.text;
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, item]) => [name, plainOf(item)]));
  if (Array.isArray(value)) return value.map(plainOf);
  return value as Json;
};

/** A document with `vectors`, a list of them, or a line each. What is not JSON is one vector that cannot be read. */
const vectorsOf = (text: string): (Json | JsonError)[] => {
  const whole = read(text);
  if (whole instanceof JsonError) {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    const each = lines.map(read);
    // A broken document is one complaint, not one for each of its lines.
    return each.every((line) => line instanceof JsonError) ? [whole] : each;
  }
  if (Array.isArray(whole)) return [...whole];
  const vectors = typeof whole === 'object' && whole !== null && 'vectors' in whole ? whole.vectors : undefined;
  return Array.isArray(vectors) ? [...vectors] : [whole];
};

const read = (text: string): Json | JsonError => {
  try {
    return plainOf(readJson(text, BOUNDS));
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
};

const rated = (vector: Json | JsonError): RatedVector =>
  vector instanceof JsonError
    ? { id: '', computed: null, expected: null, equal: false, error: `not JSON: ${vector.message}` }
    : rateVector(vector);

export const rateCommand = (program: Command, io: Io, end: (code: number) => void): void => {
  program
    .command('rate <file>')
    .description('published rating figures computed with the rating of invoices: no server (- for standard input)')
    .addHelpText(
      'after',
      '\nReads a document with `vectors`, a list, or JSON lines; writes a line each: id, computed, expected, equal.' +
        '\nEnds with 1 when one is not equal.\n',
    )
    .action(async (file: string) => {
      const vectors = vectorsOf(await textOf(io, file));
      const lines: string[] = [];
      let wrong = 0;
      const rateAll = async (): Promise<void> => {
        for (const vector of vectors) {
          const line = rated(vector);
          if (!line.equal) wrong += 1;
          lines.push(`${JSON.stringify(line)}\n`);
          // Room for the bar to be drawn.
          if (lines.length % STEP === 0) await io.sleep(0);
        }
      };
      await withProgress(io, rateAll(), async () => ({
        part: lines.length / vectors.length,
        text: `${grouped(String(lines.length))} of ${grouped(String(vectors.length))} vectors, ${wrong} different`,
      }));
      // Not while the bar stands on the terminal.
      for (const line of lines) io.out(line);
      io.err(`${vectors.length - wrong} of ${vectors.length} equal\n`);
      if (wrong > 0 || vectors.length === 0) end(Exit.failure);
    });
};
