/** A folder of files as an object store: keys are paths below it. */
import { createReadStream, createWriteStream, type Stats } from 'node:fs';
import { link, lstat, mkdir, open, opendir, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Randomness } from '../environment.ts';
import { realRandomness } from '../real.ts';
import type { Content } from './content.ts';
import type { ObjectStore } from './storage.ts';
import type { StoredObject } from './store-ledger.ts';

/** Files being written end like this; they are no objects yet. */
const PART = '.tollgate-part';

const isMissing = (error: unknown): boolean => {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
};

const quietly = async <T>(work: Promise<T>): Promise<T | undefined> => {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

/** Symbolic links are neither followed nor counted when listed. */
async function* walk(folder: string, prefix: string, wanted: string): AsyncGenerator<StoredObject> {
  const entries = await quietly(opendir(folder));
  if (!entries) return;
  for await (const entry of entries) {
    const key = prefix + entry.name;
    if (entry.isDirectory() && (`${key}/`.startsWith(wanted) || wanted.startsWith(`${key}/`)))
      yield* walk(join(folder, entry.name), `${key}/`, wanted);
    if (!entry.isFile() || !key.startsWith(wanted) || key.endsWith(PART)) continue;
    const stats = await quietly(lstat(join(folder, entry.name)));
    if (stats) yield { key, size: stats.size };
  }
}

const source = (body: Content): Readable =>
  typeof body === 'string' || body instanceof Uint8Array
    ? Readable.from([body], { objectMode: false })
    : Readable.from(body);

/**
 * Writes are atomic: beside the file, then renamed (put) or linked (add) into place. Not synced: that is the caller's
 * choice to make. Throws RangeError for keys that leave the folder; other errors are those of node:fs.
 */
export const fileTreeStore = (
  root: string,
  random: Pick<Randomness, 'hex'> = realRandomness,
): Required<ObjectStore> => {
  const base = resolve(root);
  const pathOf = (key: string): string => {
    const isPlain = key.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
    const path = join(base, key);
    if (
      !isPlain ||
      key.includes('\0') ||
      key.endsWith(PART) ||
      !path.startsWith(base + sep) ||
      (sep !== '/' && key.includes(sep))
    )
      throw new RangeError(`not a key of a file tree: ${JSON.stringify(key)}`);
    return path;
  };
  const stat = async (key: string): Promise<Stats | undefined> => {
    const stats = await quietly(lstat(pathOf(key)));
    return stats?.isFile() ? stats : undefined;
  };
  /** Writes a part file and hands its name to `place`; the part is gone afterwards. */
  const write = async <T>(
    key: string,
    body: Content,
    place: (part: string, path: string) => Promise<T>,
  ): Promise<T> => {
    const path = pathOf(key);
    await mkdir(dirname(path), { recursive: true });
    const part = `${path}.${random.hex(8)}${PART}`;
    try {
      await pipeline(source(body), createWriteStream(part, { flags: 'wx' }));
      return await place(part, path);
    } finally {
      await rm(part, { force: true });
    }
  };
  return {
    async get(key) {
      const file = await quietly(open(pathOf(key)));
      if (!file) return undefined;
      if ((await file.stat()).isFile()) return createReadStream('', { fd: file });
      await file.close();
      return undefined;
    },
    put: (key, body) => write(key, body, rename),
    add: (key, body) =>
      write(key, body, async (part, path) => {
        try {
          await link(part, path);
          return true;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
          throw error;
        }
      }),
    async delete(key, options) {
      const path = pathOf(key);
      if (options?.recursive) await rm(path, { recursive: true, force: true });
      else if (await stat(key)) await quietly(unlink(path));
    },
    list: (prefix) => walk(base, '', prefix),
    size: async (key) => (await stat(key))?.size,
    async rename(from, to) {
      const target = pathOf(to);
      await mkdir(dirname(target), { recursive: true });
      await rename(pathOf(from), target);
    },
  };
};
