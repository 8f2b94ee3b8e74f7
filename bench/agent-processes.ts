/** Processes of the bench: each is a file beside this one, spoken to by messages. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const start = (name: string): ChildProcess => fork(fileURLToPath(new URL(`./${name}.js`, import.meta.url)));

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
