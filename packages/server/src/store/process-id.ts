/**
 * A process by something that is never given twice on one machine: its number, the clock ticks since boot at which it
 * started, and the boot. A number alone is reused, and a lock by number would hold for ever after a kill -9.
 */
import { readFileSync, statSync } from 'node:fs';

export interface ProcessId {
  pid: number;
  /** Start time in clock ticks since boot, as text; '' where /proc is missing. */
  start: string;
  boot: string;
}

const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

/** Linux tells everything under /proc; elsewhere only a signal tells whether the number is in use. */
const hasProc = read('/proc/self/stat') !== null;
const bootId = (): string => (read('/proc/sys/kernel/random/boot_id') ?? '').trim();

/** The running process with this number; null when there is none, or only its remains (a zombie holds nothing). */
export function processId(pid: number): ProcessId | null {
  if (!hasProc) return answersSignal(pid) ? { pid, start: '', boot: '' } : null;
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the command in brackets and may hold spaces and brackets itself: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields[0], fields[19]];
  if (state === undefined || start === undefined || state === 'Z' || state === 'X') return null;
  return { pid, start, boot: bootId() };
}

/** Whether exactly this process still runs. */
export function isRunning(id: ProcessId): boolean {
  const now = processId(id.pid);
  return now !== null && now.start === id.start && now.boot === id.boot;
}

function answersSignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code === 'EPERM';
  }
}

/** Whether the process's working directory is `folder`; false when it cannot be told. */
export function worksIn(pid: number, folder: string): boolean {
  try {
    const [cwd, wanted] = [statSync(`/proc/${pid}/cwd`), statSync(folder)];
    return cwd.dev === wanted.dev && cwd.ino === wanted.ino;
  } catch {
    return false;
  }
}

/** The words of the process's command line; null when it cannot be told. */
export function commandLine(pid: number): string[] | null {
  const text = read(`/proc/${pid}/cmdline`);
  return text === null ? null : text.split('\0').slice(0, -1);
}
