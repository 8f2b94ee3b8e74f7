/**
 * PostgreSQL without its supervisor and without syncs: for cases that ask what the statements do. Whatever asks what
 * survives a kill takes EmbeddedPostgres, with syncs on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { openDataDir } from '../../data-dir.ts';
import * as cluster from '../cluster.ts';
import type { PostgresConnection } from '../database.ts';
import { findEngine, prepareEngine } from '../engine.ts';
import { chooseServiceUser, makeWalkable, userDefaults } from '../service-user.ts';
import { socketFolder } from '../socket.ts';

export interface BarePostgres {
  readonly connection: Exclude<PostgresConnection, string>;
  stop(): Promise<void>;
}

const quiet = (): void => undefined;
/** Given after ours, so they win. A sync is most of what a short statement takes on a disk. */
const WITHOUT_SYNCS = ['-c', 'fsync=off', '-c', 'full_page_writes=off'];

export async function startBarePostgres(): Promise<BarePostgres> {
  const temp = mkdtempSync(join(tmpdir(), 'tg-postgres-'));
  const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  const dir = openDataDir(join(temp, 'data'), uid);
  const { layout } = dir;
  const user = chooseServiceUser({ ...userDefaults, uid, gid, wanted: 'nobody' }, layout.postgres, quiet);
  const engine = prepareEngine(findEngine(), layout.engine, user, quiet);
  makeWalkable(layout.root, user, quiet);
  cluster.ensureCluster(layout.postgres, engine, user, quiet);
  const host = socketFolder({ root: layout.root, uid, temp, run: temp }, user, quiet);
  const child = spawn(engine.postgres, [...cluster.flags(layout.postgres, host), ...WITHOUT_SYNCS], {
    ...cluster.identity(user),
    cwd: '/',
    env: cluster.ENVIRONMENT,
    stdio: 'ignore',
  });
  const connection = { host, port: cluster.PORT, user: cluster.ROLE, database: cluster.DATABASE };
  const stop = async (): Promise<void> => {
    await ended(child);
    dir.release();
    rmSync(temp, { recursive: true, force: true });
  };
  try {
    await answering(child, connection);
  } catch (error) {
    await stop();
    throw error;
  }
  return { connection, stop };
}

async function answering(child: ChildProcess, connection: BarePostgres['connection']): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const client = new pg.Client({ ...connection, password: '' });
    client.on('error', quiet);
    try {
      await client.connect();
      return;
    } catch {
      await pause(10);
    } finally {
      await client.end().catch(quiet);
    }
  }
  throw new Error(`PostgreSQL ended before it answered: ${child.exitCode ?? child.signalCode}`);
}

/** At once: nobody reads the cluster again. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGQUIT');
  await gone;
}
