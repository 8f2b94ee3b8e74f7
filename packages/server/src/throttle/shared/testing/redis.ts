/** A Redis of its own on a socket in a temporary folder, durable as the documentation asks for. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** False when there is a Redis to be started, otherwise why a test is skipped. */
export const needsRedis = (): false | string => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs redis-server';
  }
};

export interface Redis {
  url: string;
  /** SIGKILL, and waits; what it knew comes back with `start`. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** SIGKILL, and what it knew is gone; it is not started. */
  lose(): Promise<void>;
  /** SIGSTOP and SIGCONT: there, and saying nothing. */
  hang(): void;
  wake(): void;
  stop(): Promise<void>;
}

/** More arguments: of TLS. The address is the socket's all the same. */
export async function startRedis(more: readonly string[] = []): Promise<Redis> {
  const dir = mkdtempSync(join(tmpdir(), 'tg-redis-'));
  const path = join(dir, 'redis.sock');
  let child: ChildProcess;
  const start = async (): Promise<void> => {
    rmSync(path, { force: true });
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'];
    child = spawn(
      'redis-server',
      ['--port', '0', '--unixsocket', path, '--dir', dir, '--save', '', ...durable, ...more],
      {
        stdio: 'ignore',
      },
    );
    for (let n = 0; n < 400 && !existsSync(path); n++) await wait(10);
  };
  const kill = async (): Promise<void> => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await gone;
  };
  await start();
  return {
    url: `unix:${path}`,
    kill,
    start,
    lose: async () => {
      await kill();
      rmSync(join(dir, 'appendonlydir'), { recursive: true, force: true });
    },
    hang: () => void child.kill('SIGSTOP'),
    wake: () => void child.kill('SIGCONT'),
    stop: async () => {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
