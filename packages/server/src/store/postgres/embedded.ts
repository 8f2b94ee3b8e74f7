/**
 * PostgreSQL as a supervised child: made when missing, adopted when it outlived a killed server, started again when it
 * dies, stopped cleanly with us. It listens on a socket in a private folder and on no network.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { asStoreError, type Layout } from '../data-dir.ts';
import { StoreError } from '../errors.ts';
import { commandLine, isRunning, type ProcessId, processId, worksIn } from '../process-id.ts';
import * as cluster from './cluster.ts';
import { type Engine, type EngineSource, findEngine, prepareEngine } from './engine.ts';
import { chooseServiceUser, makeWalkable, type ServiceUser, type UserSettings, userDefaults } from './service-user.ts';
import { socketFolder } from './socket.ts';

export interface EmbeddedSettings {
  layout: Layout;
  uid: number;
  gid: number;
  /** The system's folder for temporary files. */
  temp: string;
  log: (line: string) => void;
  /** Others than the machine's own, for tests. */
  run?: string;
  engine?: EngineSource;
  users?: Partial<Pick<UserSettings, 'wanted' | 'useradd' | 'passwd'>>;
}

const LOG_BYTES = 4 << 20;
/** Recovery after a crash reads the log since the last checkpoint, at most `max_wal_size` of it. */
const READY_TRIES = 6000;
const FAST_STOP_MS = 30_000;

export class EmbeddedPostgres {
  /** Folder of the socket. */
  readonly socket: string;
  private readonly settings: EmbeddedSettings;
  private readonly engine: Engine;
  private readonly user: ServiceUser;
  private running: ProcessId | null = null;
  private stopping = false;
  private reviving: Promise<void> = Promise.resolve();
  private adopted = false;
  private watch: NodeJS.Timeout | undefined;

  private constructor(settings: EmbeddedSettings, user: ServiceUser, engine: Engine, socket: string) {
    this.settings = settings;
    this.user = user;
    this.engine = engine;
    this.socket = socket;
  }

  /** Resolves when it answers queries. The caller holds the data directory's lock. Throws StoreError. */
  static async start(settings: EmbeddedSettings): Promise<EmbeddedPostgres> {
    const { layout, uid, gid, log } = settings;
    const user = chooseServiceUser({ ...userDefaults, ...settings.users, uid, gid }, layout.postgres, log);
    const engine = prepareEngine(settings.engine ?? findEngine(), layout.engine, user, log);
    makeWalkable(layout.root, user, log);
    cluster.ensureCluster(layout.postgres, engine, user, log);
    const socket = socketFolder(
      { root: layout.root, uid, temp: settings.temp, run: settings.run ?? '/run' },
      user,
      log,
    );
    const server = new EmbeddedPostgres(settings, user, engine, socket);
    if (!(await server.adopt())) await server.launchPatiently();
    return server;
  }

  /** How `pg` connects to it. */
  get connection(): { host: string; port: number; user: string; database: string } {
    return { host: this.socket, port: cluster.PORT, user: cluster.ROLE, database: cluster.DATABASE };
  }
  get pid(): number | null {
    return this.running?.pid ?? null;
  }
  /** True when it was running already: another server left it. */
  get wasAdopted(): boolean {
    return this.adopted;
  }

  /** A fast shutdown: open transactions are rolled back, everything committed is on disk; waits for the end. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.reviving;
    clearInterval(this.watch);
    if (this.running !== null) await stopProcess(this.running, this.settings.log);
    this.running = null;
  }

  /**
   * Keeps a postmaster that a killed server left, if it works in our cluster with the very command line we would give
   * it and answers. One of another version or other settings is stopped: what would be started next is what is wanted.
   */
  private async adopt(): Promise<boolean> {
    const { layout, log } = this.settings;
    const file = cluster.readPidFile(layout.postgres);
    const found = file === null ? null : processId(file.pid);
    if (found === null) return false;
    if (!worksIn(found.pid, layout.postgres)) {
      // The number now belongs to somebody else, and PostgreSQL would refuse to start because of it. Should a postmaster
      // be there after all, its shared memory keeps a second one out.
      if (process.platform === 'linux') cluster.removePidFile(layout.postgres);
      return false;
    }
    const wanted = [this.engine.postgres, ...cluster.flags(layout.postgres, this.socket)];
    const same = commandLine(found.pid)?.join('\0') === wanted.join('\0');
    if (same && (await this.answers(found, 500))) {
      log(`adopted the running PostgreSQL (pid ${found.pid})`);
      this.adopted = true;
      this.running = found;
      this.watchAdopted(found);
      return true;
    }
    log(`stopping PostgreSQL (pid ${found.pid}), which was left running with other settings or does not answer`);
    await stopProcess(found, log);
    return false;
  }

  /** The backends of a killed postmaster end a moment after it, and hold its shared memory until then. */
  private async launchPatiently(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.launch();
      } catch (error) {
        const held = error instanceof StoreError && error.message.includes('pre-existing shared memory');
        if (!held || tries >= 20) throw error;
        await pause(100);
      }
    }
  }

  private async launch(): Promise<void> {
    const { layout } = this.settings;
    const child = this.spawn();
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    const started = child.pid === undefined ? null : processId(child.pid);
    const up = started !== null && (await this.answers(started, READY_TRIES));
    if (!up || started === null) {
      if (started !== null && isRunning(started)) child.kill('SIGINT');
      const tail = cluster.logTail(layout.postgresLog);
      throw new StoreError('store.engine_start', `PostgreSQL did not start (${await ended}): ${tail}`, {
        hint: `Its log is ${layout.postgresLog}.`,
      });
    }
    this.running = started;
    void ended.then((how) => this.died(started, how));
  }

  private spawn(): ChildProcess {
    const { layout } = this.settings;
    try {
      const log = openLog(layout.postgresLog);
      // A session of its own: Ctrl-C goes to the terminal's whole process group, and PostgreSQL must outlive our last
      // write. The log is a file, not a pipe, because a pipe would end with us.
      const child = spawn(this.engine.postgres, cluster.flags(layout.postgres, this.socket), {
        ...cluster.identity(this.user),
        cwd: '/',
        env: cluster.ENVIRONMENT,
        detached: true,
        stdio: ['ignore', log, log],
      });
      child.unref();
      closeSync(log);
      return child;
    } catch (error) {
      throw asStoreError(error, layout.postgresLog);
    }
  }

  /** Waits until it takes a query, as long as it runs. `tries` are 10 ms apart at first, 50 ms later. */
  private async answers(process: ProcessId, tries: number): Promise<boolean> {
    for (let i = 0; i < tries && isRunning(process); i++) {
      if (i === 200) this.settings.log('waiting for PostgreSQL: it is recovering from a crash');
      if (await this.ping()) return isRunning(process);
      await pause(i < 100 ? 10 : 50);
    }
    return false;
  }

  private async ping(): Promise<boolean> {
    const client = new pg.Client({ ...this.connection, password: '', connectionTimeoutMillis: 5000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  private died(process: ProcessId, how: string): void {
    if (this.stopping || this.running !== process) return;
    this.running = null;
    clearInterval(this.watch);
    this.settings.log(`PostgreSQL (pid ${process.pid}) ended: ${how}. Starting it again`);
    this.reviving = this.revive();
  }

  /** Meanwhile every statement fails as `store.unavailable`, and nothing is acknowledged. */
  private async revive(): Promise<void> {
    for (let wait = 100; !this.stopping; wait = Math.min(wait * 2, 5000)) {
      try {
        await this.launch();
        this.settings.log('PostgreSQL runs again');
        return;
      } catch (error) {
        this.settings.log(`PostgreSQL does not start yet: ${error instanceof Error ? error.message : String(error)}`);
        await pause(wait);
      }
    }
  }

  /** It is no child of ours, so nothing tells us of its end. */
  private watchAdopted(process: ProcessId): void {
    this.watch = setInterval(() => {
      if (!isRunning(process)) this.died(process, 'it is gone');
    }, 250);
    this.watch.unref();
  }
}

/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one: safe too, the next start recovers. */
async function stopProcess(target: ProcessId, log: (line: string) => void): Promise<void> {
  signal(target, 'SIGINT');
  if (await gone(target, FAST_STOP_MS)) return;
  log(`PostgreSQL (pid ${target.pid}) does not stop: ending it at once, the next start recovers`);
  signal(target, 'SIGQUIT');
  if (await gone(target, 10_000)) return;
  throw new StoreError('store.engine_stop', `PostgreSQL (pid ${target.pid}) does not stop.`);
}

function signal(target: ProcessId, name: 'SIGINT' | 'SIGQUIT'): void {
  try {
    if (isRunning(target)) process.kill(target.pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}

async function gone(target: ProcessId, ms: number): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += 10) {
    if (!isRunning(target)) return true;
    await pause(10);
  }
  return !isRunning(target);
}

function openLog(path: string): number {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}
