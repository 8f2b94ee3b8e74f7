/**
 * One server per data directory. The lock is the kernel's: flock on `server.lock`, taken by the flock command on our own
 * open file and held by us for as long as the file is open, so it ends with the process however that ends, and holds
 * between containers that share a volume but see different process numbers. Node has no call for it.
 *
 * Where the command is missing, every server announces itself in a file of its own first and looks at the others then:
 * of two that start together at least one sees the other, so never both go on (they may both give up).
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, ftruncateSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { StoreError } from './errors.ts';
import { isRunning, type ProcessId, processId } from './process-id.ts';

export interface ServerLock {
  release(): void;
}

export interface LockSettings {
  /** Commands tried in turn; an empty list leaves the announcement alone. */
  flock?: readonly string[];
}

const FLOCK = ['flock', '/usr/bin/flock', '/bin/flock'];

/** Takes the lock or throws `store.locked`. Errors of the file system come as they are. */
export function takeServerLock(path: string, settings: LockSettings = {}): ServerLock {
  const me = processId(process.pid) ?? { pid: process.pid, start: '', boot: '' };
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const kernel = flock(file, settings.flock ?? FLOCK);
    const named = readHolder(path);
    if (kernel === 'held') throw locked(path, named);
    if (named !== null && isRunning(named) && named.pid !== me.pid) throw locked(path, named);
    const announced = kernel === 'absent' ? announce(path, me) : null;
    ftruncateSync(file, 0);
    writeSync(file, JSON.stringify(me), 0);
    return {
      release: () => {
        // The file itself stays: removing it would let a third server lock another file of the same name.
        ftruncateSync(file, 0);
        if (announced !== null) rmSync(announced, { force: true });
        closeSync(file);
      },
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** The server that holds the lock, as far as its file tells; null when none runs. */
export function lockHolder(path: string): ProcessId | null {
  const holder = readHolder(path);
  return holder !== null && isRunning(holder) ? holder : null;
}

function flock(file: number, commands: readonly string[]): 'taken' | 'held' | 'absent' {
  for (const command of commands) {
    const run = spawnSync(command, ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', file], timeout: 5000 });
    if (run.status === 0) return 'taken';
    if (run.status === 1) return 'held';
  }
  return 'absent';
}

function announce(path: string, me: ProcessId): string {
  const mine = `${path}.${me.pid}.${me.start}`;
  closeSync(openSync(mine, constants.O_RDWR | constants.O_CREAT, 0o600));
  const prefix = `${basename(path)}.`;
  for (const name of readdirSync(dirname(path)).filter((name) => name.startsWith(prefix))) {
    const [pid, start] = name.slice(prefix.length).split('.');
    if (name === basename(mine) || pid === undefined || start === undefined) continue;
    const other = { pid: Number(pid), start, boot: me.boot };
    if (!isRunning(other)) {
      rmSync(join(dirname(path), name), { force: true });
      continue;
    }
    rmSync(mine, { force: true });
    throw locked(path, other);
  }
  return mine;
}

function readHolder(path: string): ProcessId | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    const { pid, start, boot } = value as Record<string, unknown>;
    return typeof pid === 'number' && typeof start === 'string' && typeof boot === 'string'
      ? { pid, start, boot }
      : null;
  } catch {
    // Empty or torn: a server that has just started, or died while writing. The kernel's lock decides.
    return null;
  }
}

const locked = (path: string, holder: ProcessId | null): StoreError =>
  new StoreError(
    'store.locked',
    `Another Tollgate server${holder === null ? '' : ` (pid ${holder.pid})`} is using ${dirname(path)}.`,
    { hint: 'Stop it first, or give this one a data directory of its own (TOLLGATE_DATA_DIR).' },
  );
