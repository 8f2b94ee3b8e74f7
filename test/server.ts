/**
 * The real server as a process of its own, on a free port with stores of its own. Ends only what it started: the server
 * by its process id, and the PostgreSQL that may outlive a killed server by the id in its own data directory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const bin = join(import.meta.dirname, '..', '..', 'packages', 'server', 'bin', 'tollgate.js');

export interface ServerOptions {
  /** Reused across starts; a fresh one by default. */
  dataDir?: string;
  env?: Readonly<Record<string, string>>;
  args?: readonly string[];
  /** Put before the command: `strace ...`. */
  wrapper?: readonly string[];
  readyMs?: number;
}

export interface Server {
  readonly url: string;
  /** The administrator's key; there once the server has been ready. */
  readonly key: string;
  readonly pid: number;
  readonly dataDir: string;
  /** What it wrote so far, for the message of a failure. */
  output(): string;
  readonly exited: Promise<number | null>;
  /** SIGTERM, and waits; after 30 s SIGKILL. */
  stop(): Promise<void>;
  /** SIGKILL, and waits. PostgreSQL is left running, as after a crash. */
  kill(): Promise<void>;
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });

/** A data directory the service user can walk into, also when this process is root. */
export const makeDataDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-test-'));
  chmodSync(dir, 0o711);
  return join(dir, 'data');
};

/** Servers still running when this process ends, however it ends. */
const running = new Set<{ child: ChildProcess; dataDir: string }>();
process.on('exit', () => {
  for (const { child, dataDir } of running) {
    child.kill('SIGKILL');
    stopPostgres(dataDir);
  }
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** A server process, not waited for: `ready` rejects when it ends before it answers. */
export interface Launched extends Server {
  readonly ready: Promise<void>;
}

export const startServer = async (options: ServerOptions = {}): Promise<Server> => {
  const server = await launchServer(options);
  try {
    await server.ready;
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
};

export const launchServer = async (options: ServerOptions = {}): Promise<Launched> => {
  const dataDir = options.dataDir ?? makeDataDir();
  const port = await freePort();
  const [command = process.execPath, ...before] = [...(options.wrapper ?? []), process.execPath];
  const child = spawn(command, [...before, bin, 'serve', ...(options.args ?? [])], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      TOLLGATE_DATA_DIR: dataDir,
      TOLLGATE_HTTP_PORT: String(port),
      TOLLGATE_RLS_PORT: '0',
      TOLLGATE_COLLECTOR: 'false',
      TOLLGATE_ZONE: 'UTC',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const entry = { child, dataDir };
  running.add(entry);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
    });
  }
  const exited = new Promise<number | null>((resolve) => {
    child.on('exit', (code) => {
      running.delete(entry);
      resolve(code);
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    const code = await Promise.race([exited, wait(30_000, 'late' as const, { ref: false })]);
    if (code === 'late') {
      child.kill('SIGKILL');
      await exited;
    }
  };
  const readiness = ready(url, exited, () => output, options.readyMs ?? 60_000);
  readiness.catch(() => undefined);
  return {
    ready: readiness,
    url,
    get key() {
      return readFileSync(join(dataDir, 'admin.key'), 'utf8').trim();
    },
    pid: child.pid ?? 0,
    dataDir,
    output: () => `${output}\n--- the end of its log:\n${endOf(join(dataDir, 'tollgate.log'))}`,
    exited,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
};

const ready = async (url: string, exited: Promise<number | null>, output: () => string, ms: number): Promise<void> => {
  let gone = false;
  void exited.then(() => {
    gone = true;
  });
  for (const began = performance.now(); performance.now() - began < ms; await wait(25)) {
    if (gone) throw new Error(`the server ended before it was ready:\n${output()}`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
  }
  throw new Error(`the server was not ready after ${ms} ms:\n${output()}`);
};

/** The last lines of a file, '' when there is none. */
const endOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').slice(-4000);
  } catch {
    return '';
  }
};

/** Process ids of PostgreSQL servers whose data directory lies below `dir`, read from their own files. */
const postgresOf = (dir: string, depth = 3): number[] => {
  let entries: string[];
  try {
    entries = readdirSync(dir);
  } catch {
    return [];
  }
  if (entries.includes('postmaster.pid')) {
    const pid = Number(readFileSync(join(dir, 'postmaster.pid'), 'utf8').split('\n')[0]);
    return Number.isSafeInteger(pid) && pid > 1 && commandOf(pid).includes('postgres') ? [pid] : [];
  }
  if (depth === 0) return [];
  return entries.flatMap((entry) => postgresOf(join(dir, entry), depth - 1));
};

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
};

/** Immediate shutdown of the PostgreSQL below this data directory; the next start would recover it. */
export const stopPostgres = (dataDir: string): void => {
  for (const pid of postgresOf(dataDir)) {
    try {
      process.kill(pid, 'SIGQUIT');
    } catch {
      // It ended by itself.
    }
  }
};

/** Ends what outlived a server and removes its directory. */
export const removeDataDir = async (dataDir: string): Promise<void> => {
  stopPostgres(dataDir);
  for (let n = 0; n < 200 && postgresOf(dataDir).length > 0; n++) await wait(25);
  rmSync(join(dataDir, '..'), { recursive: true, force: true, maxRetries: 5 });
};

/** Runs `work` against a server of its own and takes everything away again. */
export const withServer = async (
  work: (server: Server) => Promise<void>,
  options: ServerOptions = {},
): Promise<void> => {
  const server = await startServer(options);
  try {
    await work(server);
  } catch (error) {
    throw withContext(error, `--- the server wrote:\n${server.output()}`);
  } finally {
    await server.stop();
    if (!options.dataDir) await removeDataDir(server.dataDir);
  }
};

/** The same failure with what is known around it. Some errors have a message that cannot be set. */
export const withContext = (error: unknown, context: string): Error => {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new Error(`${message}\n${context}`, { cause: error });
};
