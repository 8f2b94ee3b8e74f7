/** Answers that come line by line, each an object of JSON. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

export async function* linesOf<T>(answer: Response): AsyncGenerator<T> {
  const lines = createInterface({ input: Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]) });
  for await (const line of lines) yield JSON.parse(line) as T;
}
