/** One PostgreSQL cluster on disk: making it, the flags it runs with, and what its own pid file says. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { asStoreError, syncFolder } from '../data-dir.ts';
import { StoreError } from '../errors.ts';
import type { Engine } from './engine.ts';
import type { ServiceUser } from './service-user.ts';

/** The superuser of the cluster and its only role. The socket's folder is private: whoever reaches it is let in. */
export const ROLE = 'tollgate';
export const DATABASE = 'postgres';
export const PORT = 5432;

/** Nothing of our own environment reaches PostgreSQL: no locale, no PG variables, no secrets. */
export const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * The cluster's flags. Given on the command line instead of in postgresql.conf, so that a newer server's take effect, and
 * so that a postmaster that outlived us can be told by them (see adopt in embedded.ts).
 */
export function flags(cluster: string, socket: string): string[] {
  const settings: Readonly<Record<string, string | number>> = {
    listen_addresses: '',
    unix_socket_directories: `"${socket.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    port: PORT,
    // Law 1: what is acknowledged survives power loss.
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    // A control store is small and written in short statements: memory and processes are better spent elsewhere.
    shared_buffers: '64MB',
    max_connections: 40,
    work_mem: '8MB',
    max_parallel_workers_per_gather: 0,
    io_method: 'sync',
    jit: 'off',
    // Nobody replicates from it; less log is written.
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_logical_replication_workers: 0,
    // Each checkpoint makes the next change of a page log all of it: with 256 MB, half of what an invoice run logged.
    max_wal_size: '1GB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    // Statements may hold what tenants sent: they stay out of the log.
    log_min_error_statement: 'panic',
    log_line_prefix: '%m [%p] ',
  };
  return ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** Makes the cluster when there is none. Built beside and renamed: a kill in between leaves nothing half made. */
export function ensureCluster(cluster: string, engine: Engine, user: ServiceUser, log: (line: string) => void): void {
  const version = clusterVersion(cluster);
  if (version === engine.major) return;
  if (version !== null)
    throw new StoreError(
      'store.engine_version',
      `${cluster} was made by PostgreSQL ${version}; this server brings PostgreSQL ${engine.major}.`,
      { hint: 'Start the Tollgate that made it, and move its control data with pg_dump.' },
    );
  const beside = `${cluster}.new`;
  try {
    rmSync(beside, { recursive: true, force: true });
    // An empty folder of that name is harmless; one with something in it makes the rename fail, which is right.
    ownFolder(beside, user);
    log('making the control store (PostgreSQL)');
    initdb(beside, engine, user);
    renameSync(beside, cluster);
    syncFolder(dirname(cluster));
  } catch (error) {
    throw asStoreError(error, dirname(cluster));
  }
}

/** A folder only the service user can enter. */
export function ownFolder(path: string, user: ServiceUser): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  if (!user.self) chownSync(path, user.uid, user.gid);
}

function initdb(folder: string, engine: Engine, user: ServiceUser): void {
  // The builtin locale sorts by code point on every machine; the system's locales change under an index.
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  const run = spawnSync(
    engine.initdb,
    ['-D', folder, '-U', ROLE, '--auth=trust', '-E', 'UTF8', '--data-checksums', ...locale],
    { ...identity(user), cwd: '/', env: ENVIRONMENT, encoding: 'utf8', timeout: 120_000 },
  );
  if (run.status === 0) return;
  rmSync(folder, { recursive: true, force: true });
  const said = run.error?.message ?? run.stderr.trim();
  throw new StoreError('store.engine_init', `PostgreSQL could not make its cluster: ${said.slice(-800)}`, {
    hint: 'Is the disk full or read-only?',
  });
}

export const identity = (user: ServiceUser): { uid?: number; gid?: number } =>
  user.self ? {} : { uid: user.uid, gid: user.gid };

function clusterVersion(cluster: string): string | null {
  const file = join(cluster, 'PG_VERSION');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

export interface PidFile {
  pid: number;
  socket: string;
}

/** What the postmaster wrote about itself; null when there is no such file or it is torn. */
export function readPidFile(cluster: string): PidFile | null {
  try {
    const lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    return Number.isInteger(pid) && pid > 0 ? { pid, socket: lines[4] ?? '' } : null;
  } catch {
    return null;
  }
}

export const removePidFile = (cluster: string): void => rmSync(join(cluster, 'postmaster.pid'), { force: true });

/** The end of PostgreSQL's log, for an error message. */
export function logTail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-5).join(' | ').slice(-1000);
  } catch {
    return '';
  }
}
