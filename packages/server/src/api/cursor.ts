/** Keyset pages: the cursor is the sort key of the last row, as opaque text. */
import { Problem } from '../errors.ts';

export const writeCursor = (key: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url');

/** The key, which must have the given types in order. Throws Problem. */
export const readCursor = (cursor: string, shape: readonly ('string' | 'number')[]): (string | number)[] => {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(key) && key.length === shape.length && shape.every((type, i) => typeof key[i] === type))
      return key as (string | number)[];
  } catch {
    // Not our text: refused below.
  }
  throw new Problem('request.cursor');
};
