/** The real world behind the agent's arguments. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import type { Clock, Disk, Network, Randomness } from './environment.ts';
import { post } from './post.ts';

export const realClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  // An abort ends the sleep early; it is not an error.
  // Not by node:timers/promises: it costs three times as much, and loops of ours sleep ten times a second.
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      if (signal?.aborted) wake();
      else signal?.addEventListener('abort', wake);
    }),
};

export const realRandomness: Randomness = {
  hex: (n) => randomBytes(n).toString('hex'),
  fraction: () => Math.random(),
};

export const realDisk: Disk = {
  read: (path) => readFileSync(path, 'utf8'),
  list: (path) => readdirSync(path),
  inode: (path) => statSync(path).ino,
  replace: (path, content) => {
    writeFileSync(`${path}.new`, content, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  },
};

/** `timeoutMs` bounds one request from start to the end of its answer. */
export const httpNetwork = (url: string, key: string, timeoutMs = 30_000): Network => ({
  post: (path, body, contentType, signal, headers = {}) =>
    post({
      url: new URL(path, url),
      headers: { ...headers, 'content-type': contentType, authorization: `Bearer ${key}` },
      body,
      timeoutMs,
      signal,
    }),
});
