/** What a server answers, as it comes, into a file or on the terminal. */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { connect } from './connect.ts';
import { CliError, Exit, type Io } from './io.ts';
import { plain } from './table.ts';

/** Into a file that only its owner reads: it is about people and money. `-` is standard output, for text alone. */
export const save = async (io: Io, body: ReadableStream, file: string): Promise<void> => {
  const bytes = Readable.fromWeb(body);
  if (file === '-') {
    for await (const part of bytes.setEncoding('utf8')) io.out(String(part));
    return;
  }
  const target = createWriteStream(file, { mode: 0o600 });
  target.on('error', (error) => bytes.destroy(error));
  try {
    await pipeline(bytes, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).path === undefined) throw error;
    throw new CliError(Exit.failure, `${file} cannot be written: ${(error as Error).message}`);
  }
  io.err(`Wrote ${plain(file)}.\n`);
};

/** The answer to a GET of this path. */
export const download = async (io: Io, path: string, file: string): Promise<void> => {
  const { body } = await connect(io).send('GET', path);
  if (body !== null) await save(io, body as ReadableStream, file);
};
