/** One process a spool: a file with the holder's pid and, where the system tells it, the time that process began. */
import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

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

const holds = (content: string): boolean => {
  const [pid = '', began = ''] = content.trim().split(' ');
  const number = Number(pid);
  if (!Number.isSafeInteger(number) || number <= 0 || number === process.pid) return false;
  return isAlive(number) && (began === '' || beginning(number) === '' || beginning(number) === began);
};

/**
 * Removes the lock of a dead process. Moved first: two that find it dead at once must not remove each other's new one, so
 * who moved something else puts it back.
 */
const takeAway = async (path: string, content: string): Promise<void> => {
  const aside = `${path}.${process.pid}`;
  await rename(path, aside).catch(() => undefined);
  const moved = await readFile(aside, 'utf8').catch(() => content);
  if (moved !== content) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
};

/** Throws when another living process, or another spool of this one, has it. */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, 'lock');
  const inUse = (who: string): Error => new Error(`the spool ${folder} is in use by ${who}`);
  if (held.has(folder)) throw inUse('this process');
  held.add(folder);
  try {
    const own = `${process.pid} ${beginning(process.pid)}\n`;
    for (let attempt = 0; ; attempt++) {
      try {
        await writeFile(path, own, { flag: 'wx', mode: 0o600 });
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 3) throw error;
      }
      const content = await readFile(path, 'utf8').catch(() => '');
      if (holds(content)) throw inUse(`process ${content.trim().split(' ')[0]}`);
      await takeAway(path, content);
    }
  } catch (error) {
    held.delete(folder);
    throw error;
  }
  return async () => {
    held.delete(folder);
    await rm(path, { force: true });
  };
}
