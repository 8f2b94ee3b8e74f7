/** Counts the bytes of bodies: at once when they are in memory, as they flow when they are streams. Nothing is buffered. */
import type { Readable } from 'node:stream';

/** A body. A node Readable is an AsyncIterable. Text counts as UTF-8. */
export type Content = string | Uint8Array | AsyncIterable<Uint8Array | string>;

const lengthOf = (chunk: unknown): number => {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk);
  return ArrayBuffer.isView(chunk) || chunk instanceof ArrayBuffer ? chunk.byteLength : 0;
};

const isReadable = (body: object): body is Readable =>
  'pipe' in body && typeof body.pipe === 'function' && 'emit' in body && typeof body.emit === 'function';

/**
 * A wrapping stream would hide from a client what kind it is (the S3 client asks a file stream for its length), and a
 * `data` listener would set it flowing. Every way to read a Readable emits `data`, so we look there.
 */
const watch = (stream: Readable, count: (bytes: number) => void): void => {
  const inner = stream.emit;
  stream.emit = function (this: Readable, name: string | symbol, ...args: unknown[]): boolean {
    if (name === 'data') count(lengthOf(args[0]));
    return inner.call(this, name, ...args);
  } as typeof inner;
};

async function* through<T>(chunks: AsyncIterable<T>, count: (bytes: number) => void): AsyncGenerator<T> {
  for await (const chunk of chunks) {
    count(lengthOf(chunk));
    yield chunk;
  }
}

const tap = (count: (bytes: number) => void) =>
  new TransformStream<unknown, unknown>({
    transform: (chunk, controller) => {
      count(lengthOf(chunk));
      controller.enqueue(chunk);
    },
  });

/** The body to use instead of `body`: the same object wherever it can be. `count` must not throw. */
export const counted = <T>(body: T, count: (bytes: number) => void): T => {
  if (typeof body === 'string' || ArrayBuffer.isView(body) || body instanceof ArrayBuffer) count(lengthOf(body));
  else if (body instanceof Blob) count(body.size);
  else if (body instanceof ReadableStream) return body.pipeThrough(tap(count)) as T;
  else if (typeof body === 'object' && body !== null) {
    if (isReadable(body)) watch(body, count);
    else if (Symbol.asyncIterator in body) return through(body as unknown as AsyncIterable<unknown>, count) as T;
  }
  return body;
};
