/** Processes of the bench: each is a file beside this one, spoken to by messages. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const canPin =
  cpus().length > 1 && (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'taskset')));

/** `core`: the only one it runs on, where the machine has more than one and `taskset`. */
export const start = (name: string, core?: number): ChildProcess => {
  const pinned = core !== undefined && canPin;
  return fork(
    fileURLToPath(new URL(`./${name}.js`, import.meta.url)),
    pinned ? { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath] } : {},
  );
};

/** The next message of a process; rejects when it ends before. */
export const next = async <T>(from: ChildProcess): Promise<T> => {
  const gone = new AbortController();
  const exit = once(from, 'exit', { signal: gone.signal }).then(([code]) => {
    throw new Error(`a process of the bench ended with ${code}`);
  });
  try {
    return (await Promise.race([once(from, 'message').then(([message]) => message), exit])) as T;
  } finally {
    exit.catch(() => undefined);
    gone.abort();
  }
};
