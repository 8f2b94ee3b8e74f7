/** A PostgreSQL of its own with the tables of a control store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDataDir } from '../../../store/data-dir.ts';
import { openPostgres } from '../../../store/postgres/control-postgres.ts';
import type { PostgresConnection } from '../../../store/postgres/database.ts';
import { EmbeddedPostgres } from '../../../store/postgres/embedded.ts';

export interface TestPostgres {
  connection: PostgresConnection;
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<TestPostgres> {
  const temp = mkdtempSync(join(tmpdir(), 'tg-grants-'));
  const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  const dir = openDataDir(join(temp, 'data'), uid);
  const users = { wanted: 'nobody' };
  const log = (): void => undefined;
  const server = await EmbeddedPostgres.start({ layout: dir.layout, uid, gid, temp, run: temp, users, log });
  await (await openPostgres({ connection: server.connection })).close();
  return {
    connection: server.connection,
    stop: async () => {
      await server.stop();
      dir.release();
      rmSync(temp, { recursive: true, force: true });
    },
  };
}
