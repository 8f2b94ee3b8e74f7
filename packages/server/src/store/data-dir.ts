/**
 * The data directory: where it is, what lies in it, and that one server at a time, of a version that understands it,
 * writes to it. Settings are arguments; config.ts reads them.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { codeOf, StoreError } from './errors.ts';
import { takeServerLock } from './server-lock.ts';

/** Grows when a server of an older version could no longer read or safely write what this one leaves. */
export const LAYOUT_VERSION = 1;

export interface PlaceSettings {
  /** As the user gave it; '' for the default place. */
  dataDir: string;
  uid: number;
  home: string;
  /** $XDG_DATA_HOME; '' when not set (or not absolute: the standard says to ignore it then). */
  xdgDataHome: string;
}

/** Where everything in a data directory lies. All paths are absolute. */
export interface Layout {
  root: string;
  /** The layout's version, a whole number in a line. */
  version: string;
  lock: string;
  /** The usage store's directory (chDB), one process at a time. */
  usage: string;
  /** PostgreSQL's cluster, 0700 of the user it runs as. */
  postgres: string;
  postgresLog: string;
  /** Copies of PostgreSQL's programs, a folder per version, where they cannot be used as installed. */
  engine: string;
  /** Closed days as Parquet with their manifest. */
  published: string;
  adminKey: string;
}

export interface DataDir {
  layout: Layout;
  /** Lets another server in. Stores must be closed before. */
  release(): void;
}

export function dataDirPath(settings: PlaceSettings): string {
  if (settings.dataDir !== '') return resolve(settings.dataDir);
  if (settings.uid === 0) return '/var/lib/tollgate';
  const share = isAbsolute(settings.xdgDataHome) ? settings.xdgDataHome : join(settings.home, '.local', 'share');
  return join(share, 'tollgate');
}

export function layoutOf(root: string): Layout {
  const at = (name: string): string => join(root, name);
  return {
    root,
    version: at('version'),
    lock: at('server.lock'),
    usage: at('usage'),
    postgres: at('postgres'),
    postgresLog: at('postgres.log'),
    engine: at('engine'),
    published: at('published'),
    adminKey: at('admin.key'),
  };
}

/** A short name for a data directory: socket paths hold at most 107 bytes, directories may be longer. */
export const shortName = (root: string): string => createHash('sha256').update(root).digest('hex').slice(0, 12);

/**
 * Makes the directory when it is missing, takes the server's lock, and checks the layout's version.
 * Throws StoreError: `store.not_writable`, `store.locked`, `store.newer_layout`.
 */
export function openDataDir(root: string, uid: number): DataDir {
  const layout = layoutOf(root);
  const version = guarded(root, () => {
    makeFolder(root, uid);
    return readVersion(layout.version);
  });
  // Before anything is written: a newer server's directory is left exactly as it is.
  if (version !== null && version > LAYOUT_VERSION) throw newer(root, version);
  const lock = guarded(root, () => takeServerLock(layout.lock));
  try {
    guarded(root, () => {
      if (version === null) writeDurably(layout.version, `${LAYOUT_VERSION}\n`);
      makeFolder(layout.usage, -1);
    });
  } catch (error) {
    lock.release();
    throw error;
  }
  return { layout, release: () => lock.release() };
}

/** For a server that only reads: there must be something to read. Throws StoreError `store.nothing_stored`. */
export function requireStored(root: string): void {
  const layout = layoutOf(root);
  if (existsSync(layout.version) && existsSync(layout.usage)) return;
  const days = existsSync(root)
    ? readdirSync(root).filter((name) => existsSync(join(root, name, 'manifest.json')))
    : [];
  throw new StoreError(
    'store.nothing_stored',
    days.length > 0
      ? `${root} holds published days, not a data directory.`
      : `${root} is no data directory: there is nothing to serve.`,
    {
      hint:
        days.length > 0
          ? 'Read the Parquet files with any program that can (docs/reference/parquet.md), or serve a copy of the whole data directory.'
          : 'Give a copy of a data directory with TOLLGATE_DATA_DIR (docs/operating/backup.md).',
    },
  );
}

/**
 * As root others may walk through the directory, because PostgreSQL runs as another user below it; what lies in it is
 * private by its own mode. A directory that exists keeps the mode somebody gave it.
 */
function makeFolder(path: string, uid: number): void {
  if (makeParents(path, uid === 0 ? 0o755 : 0o700)) chmodSync(path, uid === 0 ? 0o711 : 0o700);
  else if (!statSync(path).isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
}

/** Whether it made the folder. Node's own recursive form answers ENOENT on a read-only file system, which helps nobody. */
function makeParents(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    // On a read-only file system a folder that exists may be refused before it is noticed.
    if (codeOf(error) === 'EROFS' && existsSync(path)) return false;
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    makeParents(dirname(path), mode);
    mkdirSync(path, { mode });
    return true;
  }
}

function readVersion(path: string): number | null {
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (text === '') return null;
    const version = Number(text);
    if (Number.isSafeInteger(version) && version > 0) return version;
    throw new StoreError(
      'store.newer_layout',
      `${path} does not say a version of the layout but: ${text.slice(0, 40)}`,
      {
        hint: 'Is this a data directory of Tollgate? Give another one with TOLLGATE_DATA_DIR.',
      },
    );
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all, also after a power cut: written beside, synced, renamed, and the folder synced. */
export function writeDurably(path: string, text: string, mode = 0o644): void {
  const beside = `${path}.new`;
  const file = openSync(beside, 'w', mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
  syncFolder(resolve(path, '..'));
}

export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Runs `work` and turns the system's refusals into one that says the path, the user and what to do. */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error, path);
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'a file of that name is in the way',
  ELOOP: 'links go round in circles',
  ENAMETOOLONG: 'the path is too long',
};

export function asStoreError(error: unknown, path: string): unknown {
  const reason = reasons[codeOf(error)];
  if (error instanceof StoreError || reason === undefined) return error;
  const hint = ['ENOSPC', 'EDQUOT'].includes(codeOf(error))
    ? 'Free some space, or give another folder with TOLLGATE_DATA_DIR.'
    : 'Give a folder this user owns with TOLLGATE_DATA_DIR, or make this one theirs with chown.';
  return new StoreError('store.not_writable', `Cannot write to ${path} as ${userName()}: ${reason}.`, {
    hint,
    cause: error,
  });
}

function userName(): string {
  const uid = process.getuid?.() ?? -1;
  try {
    return `${userInfo().username} (uid ${uid})`;
  } catch {
    // A container may run a number that has no name.
    return `uid ${uid}`;
  }
}

const newer = (root: string, version: number): StoreError =>
  new StoreError(
    'store.newer_layout',
    `${root} was written by a newer Tollgate: its layout is ${version}, this server knows up to ${LAYOUT_VERSION}.`,
    { hint: 'Start the newer version, or restore a copy from before the upgrade.' },
  );
