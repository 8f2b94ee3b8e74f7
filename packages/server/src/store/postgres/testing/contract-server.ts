/**
 * Empty control stores in one PostgreSQL. Making the tables takes far longer than most cases: a schema is migrated once,
 * emptied after a case, and given to the next one.
 */
import type { ControlStore } from '../../control-store.ts';
import { openPostgres, type PostgresSettings } from '../control-postgres.ts';
import { Database, type PostgresConnection, type Query, quoteName } from '../database.ts';
import { startBarePostgres } from './bare-postgres.ts';

export interface EmptyStore {
  readonly schema: string;
  /** Another handle on it. Closed by `drop`. */
  open(more?: Partial<PostgresSettings>): Promise<ControlStore>;
  /** A session that writes by hand. Closed by `drop`. */
  byHand(): Database;
  /** Closes every handle and forgets the data. */
  drop(): Promise<void>;
}

export interface ContractServer {
  readonly connection: Exclude<PostgresConnection, string>;
  /** Nothing in it, its tables perhaps made already. */
  empty(): EmptyStore;
  /** Not even its tables are made, and its schema goes with it: for cases about migrations. */
  unmade(): EmptyStore;
  stop(): Promise<void>;
}

const quiet = (): void => undefined;

export async function startContractServer(): Promise<ContractServer> {
  const { connection, stop } = await startBarePostgres();
  const free: string[] = [];
  let made = 0;
  const next = (): string => `s${made++}`;
  const session = (schema: string, connections: number): Database =>
    new Database({ connection, schema, connections, log: quiet });
  // A case may end every session but its own: the next statement takes another.
  const admin = session('public', 4);

  const storeIn = (schema: string, forget: () => Promise<void>): EmptyStore => {
    const handles: ControlStore[] = [];
    const hands: Database[] = [];
    return {
      schema,
      open: async (more = {}) => {
        const handle = await openPostgres({ connection, schema, connections: 4, ...more });
        handles.push(handle);
        return handle;
      },
      byHand: () => {
        const db = session(schema, 4);
        hands.push(db);
        return db;
      },
      drop: async () => {
        await Promise.all([...handles.map((handle) => handle.close()), ...hands.map((db) => db.end())]);
        await forget();
      },
    };
  };

  return {
    connection,
    empty: () => {
      const schema = free.pop() ?? next();
      return storeIn(schema, async () => {
        await admin.twice(async () => admin.query(await emptying(admin, schema)));
        free.push(schema);
      });
    },
    unmade: () => {
      const schema = next();
      return storeIn(
        schema,
        async () => void (await admin.twice(() => admin.query(`DROP SCHEMA IF EXISTS ${quoteName(schema)} CASCADE`))),
      );
    },
    stop: async () => {
      await admin.end();
      await stop();
    },
  };
}

/**
 * Statements that leave of a schema what its migrations made. DELETE, because TRUNCATE makes every file anew; as a
 * replica, because rows that are final refuse to go otherwise.
 */
async function emptying(admin: Database, schema: string): Promise<string> {
  const tables = await admin.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename <> 'migration'`,
    [schema],
  );
  const named = (table: string): string => `${quoteName(schema)}.${quoteName(table)}`;
  return [
    'BEGIN',
    'SET LOCAL session_replication_role = replica',
    ...tables.map(({ name }) => `DELETE FROM ${named(name)}`),
    `INSERT INTO ${named('receipt_counter')} (next) VALUES (1)`,
    `SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = '${schema}'`,
    'COMMIT',
  ].join(';\n');
}

/** A session that counts what it is asked, for claims about statements rather than seconds. */
export function counting(db: Database): { db: Database; statements(): number } {
  let statements = 0;
  const counted =
    (query: Query): Query =>
    (text, values) => {
      statements++;
      return query(text, values);
    };
  const counts = {
    query: counted(db.query),
    twice: <T>(work: () => Promise<T>) => db.twice(work),
    transaction: <T>(work: (query: Query) => Promise<T>) => db.transaction((query) => work(counted(query))),
  };
  return { db: counts as unknown as Database, statements: () => statements };
}
