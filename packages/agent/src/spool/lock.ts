/**
 * One process a spool: a file with the holder's pid and, where the system tells it, when that process began, on which boot
 * and in which pid namespace: in another one the pid says nothing, and the holder is asked by watching its files. Beside
 * it a socket whose name only one process can have, where the system has such names: a file alone cannot be taken over
 * from a dead holder without a moment in which two do it at once (2 of 200 rounds on a busy machine).
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { link, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Folders held by this process: its own pid in a lock file is otherwise that of a life before, in a container. */
const held = new Set<string>();

/** Ticks since boot at which the process began: a pid that was given out again is another process. '' unknown. */
const beginning = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Where pids mean something: boot and pid namespace. '-' unknown. */
const place = (): string => {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '-';
  }
};

const own = (): string => `${process.pid} ${beginning(process.pid) || '-'} ${place()}\n`;

/** unknown: it has the pid of ours, or is of another place. */
const stateOf = (content: string): 'alive' | 'dead' | 'unknown' => {
  const [pid = '', began = '-', where = '-'] = content.trim().split(' ');
  const number = Number(pid);
  if (!Number.isSafeInteger(number) || number <= 0) return 'dead';
  if (number === process.pid || (where !== '-' && where !== place())) return 'unknown';
  const isSame = began === '-' || beginning(number) === '' || beginning(number) === began;
  return isAlive(number) && isSame ? 'alive' : 'dead';
};

/** Sizes and times of all that a holder writes: a heartbeat every second, when there is nothing else. */
const printOf = async (folder: string): Promise<string> => {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('lock')).sort();
  const prints = names.map(async (name) => {
    const found = await stat(join(folder, name)).catch(() => null);
    return `${name} ${found?.size} ${found?.mtimeMs}`;
  });
  return (await Promise.all(prints)).join('\n');
};

const moves = async (folder: string, watchMs: number): Promise<boolean> => {
  const before = await printOf(folder);
  await sleep(watchMs);
  return (await printOf(folder)) !== before;
};

/**
 * Removes the lock of a dead process. Moved first: two that find it dead at once must not remove each other's new one, so
 * who moved something else puts it back.
 */
const takeAway = async (path: string, content: string): Promise<void> => {
  const aside = `${path}.${process.pid}`;
  if ((await textOf(path)) !== content) return;
  await rename(path, aside).catch(() => undefined);
  const moved = await readFile(aside, 'utf8').catch(() => content);
  if (moved !== content) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
};

const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/** Written aside and then linked: nobody sees a lock that does not yet say whose it is. False: there is one. */
const put = async (path: string, content: string): Promise<boolean> => {
  const aside = `${path}.${process.pid}.new`;
  await writeFile(aside, content, { mode: 0o600 });
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
};

const TRIES = 5;
/** Whoever else found the same dead lock has put back by then what he moved. */
const SETTLE_MS = 50;
/** Of a holder in another place: two heartbeats are due in it. */
const WATCH_MS = 3000;

const acquire = async (folder: string, path: string, watchMs: number): Promise<void> => {
  const content = own();
  for (let left = TRIES; left > 0; left--) {
    if (await put(path, content)) {
      if (left === TRIES) return;
      await sleep(SETTLE_MS);
      if ((await textOf(path)) === content) return;
    }
    const holder = await textOf(path);
    const state = stateOf(holder);
    if (state === 'alive' || (state === 'unknown' && (await moves(folder, watchMs))))
      throw inUse(folder, `process ${holder.trim().split(' ')[0]}`);
    await takeAway(path, holder);
  }
  throw inUse(folder, 'a process that begins as well');
};

const inUse = (folder: string, who: string): Error => new Error(`the spool ${folder} is in use by ${who}`);

/** Of this machine (of this network namespace) and Linux alone; the kernel lets go of it when the process ends, however. */
const claimName = async (folder: string): Promise<() => void> => {
  if (process.platform !== 'linux') return () => undefined;
  const { dev, ino } = await stat(folder);
  const server = createServer((socket) => socket.destroy());
  const isTaken = await new Promise<boolean>((resolve) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EADDRINUSE'));
    server.listen(`\0tollgate-spool/${dev}:${ino}`, () => resolve(false));
  });
  if (isTaken) {
    const [pid = ''] = (await textOf(join(folder, 'lock'))).trim().split(' ');
    throw inUse(folder, pid === '' ? 'a process that begins as well' : `process ${pid}`);
  }
  server.unref();
  return () => server.close();
};

/** Rejects when another living process, or another spool of this one, has it. */
export async function lockFolder(folder: string, watchMs = WATCH_MS): Promise<() => Promise<void>> {
  const path = join(folder, 'lock');
  if (held.has(folder)) throw inUse(folder, 'this process');
  held.add(folder);
  let letGo = (): void => undefined;
  try {
    letGo = await claimName(folder);
    await acquire(folder, path, watchMs);
  } catch (error) {
    letGo();
    held.delete(folder);
    throw error;
  }
  return async () => {
    await rm(path, { force: true });
    letGo();
    held.delete(folder);
  };
}
