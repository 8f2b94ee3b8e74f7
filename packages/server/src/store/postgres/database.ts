/**
 * Connections to PostgreSQL: exact integers, settings every session must have, errors as StoreError, and patience while
 * the server starts again. Types are parsed per client, because the driver's global table is shared by everyone.
 */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { codeOf, StoreError } from '../errors.ts';

export type PostgresConnection =
  | string
  | { host: string; port: number; user: string; database: string; password?: string };

export interface DatabaseSettings {
  connection: PostgresConnection;
  /** All tables live in this schema. */
  schema: string;
  /** Connections at most. */
  connections: number;
  log: (line: string) => void;
}

export type Row = Record<string, unknown>;

/** Runs one statement; values are always parameters, never spliced into the text. */
export type Query = <T extends object = Row>(text: string, values?: readonly unknown[]) => Promise<T[]>;

const CONNECT_TRIES = 150;
const CONNECT_PAUSE_MS = 100;

export class Database {
  readonly schema: string;
  private readonly pool: pg.Pool;
  private readonly connections: number;
  private closed = false;

  constructor(settings: DatabaseSettings) {
    this.schema = settings.schema;
    this.connections = settings.connections;
    const where =
      typeof settings.connection === 'string'
        ? { connectionString: settings.connection }
        : { password: '', ...settings.connection };
    this.pool = new pg.Pool({
      ...where,
      max: settings.connections,
      types: { getTypeParser },
      application_name: 'tollgate',
      connectionTimeoutMillis: 10_000,
      allowExitOnIdle: true,
      // Statements given at once go out at once, in their order: else each waits until we have seen the answer before it.
      pipeline: true,
      // Waited for: no statement of ours runs in a session without its settings.
      onConnect: async (client) => {
        // A connection that breaks while it is in use says so here as well as to the statement: unheard, it would end
        // the process.
        client.on('error', () => undefined);
        await client.query(sessionSettings(settings.schema));
      },
    });
    // An idle connection that breaks is replaced by the next statement; without a listener it would end the process.
    this.pool.on('error', (error) => settings.log(`lost a connection to PostgreSQL: ${error.message}`));
  }

  query: Query = (text, values = []) => this.withClient((query) => query(text, values));

  /** All statements of `work` or none. Rolled back when it throws. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return this.withClient(async (query) => {
      await query('BEGIN');
      try {
        const result = await work(query);
        await query('COMMIT');
        return result;
      } catch (error) {
        await query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
  }

  /**
   * For work that may be done twice with the effect of once: when the connection breaks in the middle, nobody knows
   * whether it was committed, and it is simply done again on the restarted server. More than once at most as often as
   * there are connections: each of them may have broken while it was idle.
   */
  async twice<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (this.closed || !isBroken(error) || tries > this.connections) throw error;
      }
    }
  }

  async end(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.pool.end();
  }

  private async withClient<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.connect();
    let broken = false;
    const query: Query = async <R extends object>(text: string, values: readonly unknown[] = []) => {
      try {
        return (await client.query<R>(text, [...values])).rows;
      } catch (error) {
        const told = translate(error);
        broken ||= told.code === 'store.unavailable';
        throw told;
      }
    };
    try {
      return await work(query);
    } finally {
      client.release(broken);
    }
  }

  /** A server that is starting again is waited for: nothing was sent yet, so trying again is always right. */
  private async connect(): Promise<pg.PoolClient> {
    for (let tries = 1; ; tries++) {
      if (this.closed) throw new StoreError('store.unavailable', 'The control store is closed.');
      try {
        return await this.pool.connect();
      } catch (error) {
        const told = translate(error);
        if (told.code !== 'store.unavailable') throw told;
        if (tries >= CONNECT_TRIES) throw new Unreachable(told.code, told.message, { cause: error });
        await pause(CONNECT_PAUSE_MS);
      }
    }
  }
}

/** No connection could be made for as long as one waits: trying the whole again would only double the wait. */
class Unreachable extends StoreError {}

/** The connection broke under a statement; the next one may hold. */
const isBroken = (error: unknown): boolean =>
  error instanceof StoreError && error.code === 'store.unavailable' && !(error instanceof Unreachable);

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const sessionSettings = (schema: string): string =>
  [
    `SET search_path = ${quoteName(schema)}`,
    // Law 1 holds whatever the server's own configuration says.
    'SET synchronous_commit = on',
    'SET statement_timeout = 60000',
    'SET idle_in_transaction_session_timeout = 60000',
    "SET timezone = 'UTC'",
  ].join('; ');

const BIGINT = 20;

/** bigint as an exact JS integer; everything else as the driver reads it. */
const getTypeParser: typeof pg.types.getTypeParser = ((oid: number, format?: 'text' | 'binary') =>
  oid === BIGINT && format !== 'binary'
    ? exactInteger
    : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser;

function exactInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new StoreError('store.number_range', `The control store holds ${text}, which no JS number holds exactly.`);
}

const connectionLost =
  /^(ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|08\w{3}|57P0[123]|25P03|53\w{3})$/;
const lostWords =
  /Connection terminated|connection timeout|timeout exceeded|Client has encountered a connection error/i;

/** The driver's errors by their SQLSTATE, in words for people. */
export function translate(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  if (code === '53100')
    return new StoreError('store.disk_full', `PostgreSQL has no space left: ${said}`, {
      hint: 'Free some space; nothing was acknowledged that is not on disk.',
      cause: error,
    });
  if (connectionLost.test(code) || lostWords.test(said))
    return new StoreError('store.unavailable', `The control store does not answer: ${said || code}`, { cause: error });
  if (code === '25006')
    return new StoreError('store.not_writable', `PostgreSQL is read-only: ${said}`, { cause: error });
  if (code === '22021')
    return new StoreError('store.text_invalid', `A text cannot be stored: ${said}`, { cause: error });
  return new StoreError('store.failed', `PostgreSQL refused a statement (${code || 'no code'}): ${said}`, {
    cause: error,
  });
}
