/**
 * A lane is one chDB Session and a queue before it. The engine runs the statements of one Session one after another
 * anyway; queueing here keeps the waiting ones from holding threads of the small pool that files and zlib share.
 */
import { Session } from 'chdb';
import { StoreError } from '../errors.ts';
import { refusal } from './refusal.ts';
import { RowReader } from './row-reader.ts';

export interface LaneLimits {
  /** Bytes one statement may take. */
  memory: number;
  /** Seconds one statement may run; 0: no bound. */
  seconds: number;
  threads: number;
}

/** Values bound to `{name:Type}` by the engine: the only way text from outside gets into a statement. */
export type Parameters = Readonly<Record<string, string | number | readonly string[]>>;

/** Pinned, because the engine's defaults differ or have changed between versions. */
const PINNED: Readonly<Record<string, number | string>> = {
  async_insert: 0,
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_decimals: 1,
  // Partitions are by month of the key's first column, so equal keys never lie in two of them.
  do_not_merge_across_partitions_select_final: 1,
  // Lists of series are written as one array literal: 100,000 ids are 0.7 MB of text.
  max_query_size: 64_000_000,
  // The encoder writes one small batch a commit: a second parser thread costs more than it brings.
  input_format_parallel_parsing: 0,
  session_timezone: 'UTC',
  // It flatters repeated statements, and saves little where every statement has bounds of its own.
  use_query_condition_cache: 0,
};

export class Lane {
  private readonly session: Session;
  private tail: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private refusing = false;

  constructor(directory: string, limits: LaneLimits) {
    this.session = openSession(directory);
    const settings = {
      ...PINNED,
      max_memory_usage: limits.memory,
      max_execution_time: limits.seconds,
      max_threads: limits.threads,
    };
    const list = Object.entries(settings).map(
      ([name, value]) => `${name} = ${typeof value === 'string' ? `'${value}'` : value}`,
    );
    this.session.query(`SET ${list.join(', ')}`);
  }

  /** Statements in it and before it: what the choice between lanes goes by. */
  get load(): number {
    return this.waiting;
  }

  execute(sql: string, parameters?: Parameters): Promise<void> {
    return this.exclusive(async (held) => {
      await held.execute(sql, parameters);
    });
  }

  rows(sql: string, parameters?: Parameters): Promise<RowReader> {
    return this.exclusive((held) => held.rows(sql, parameters));
  }

  insert(table: string, columns: readonly string[], bytes: Buffer): Promise<void> {
    return this.exclusive((held) => held.insert(table, columns, bytes));
  }

  /** Several statements with nothing of others between them (they share a temporary table, or are one commit). */
  exclusive<T>(work: (held: HeldLane) => Promise<T>): Promise<T> {
    this.waiting++;
    const result = this.tail.then(() => work(new HeldLane(this.session, () => this.refusing)));
    this.tail = result.then(
      () => this.waiting--,
      () => this.waiting--,
    );
    return result;
  }

  /** From now on every statement rejects, also those of work that has begun. */
  refuse(): void {
    this.refusing = true;
  }

  async close(): Promise<void> {
    await this.tail;
    this.session.close();
  }
}

/** The session while a piece of work has it to itself. */
export class HeldLane {
  private readonly session: Session;
  private readonly refusing: () => boolean;

  constructor(session: Session, refusing: () => boolean) {
    this.session = session;
    this.refusing = refusing;
  }

  async execute(sql: string, parameters?: Parameters): Promise<void> {
    await this.run(sql, parameters);
  }

  async rows(sql: string, parameters?: Parameters): Promise<RowReader> {
    return new RowReader(await this.run(sql, parameters));
  }

  /**
   * Raw insert of rows this folder encoded. A blank line would end the data, and the engine would run what follows as
   * SQL; the encoder escapes every line break inside a value, and this is the second lock on that door.
   */
  async insert(table: string, columns: readonly string[], bytes: Buffer): Promise<void> {
    if (bytes[0] === 10 || bytes.includes('\n\n')) throw new Error(`a blank line in encoded rows for ${table}`);
    this.check();
    try {
      await this.session.insert({ table, columns, values: bytes, format: 'TSV' });
    } catch (error) {
      throw refusal(error);
    }
  }

  private check(): void {
    if (this.refusing()) throw new StoreError('store.unavailable', 'The usage store is closing.');
  }

  private async run(sql: string, parameters?: Parameters): Promise<Uint8Array> {
    this.check();
    try {
      const result =
        parameters === undefined
          ? await this.session.queryAsync(sql, { format: 'RowBinary' })
          : await this.session.queryBindAsync(sql, parameters, { format: 'RowBinary' });
      return result.bytes();
    } catch (error) {
      this.check();
      throw refusal(error);
    }
  }
}

export function openSession(directory: string): Session {
  try {
    return new Session(directory);
  } catch (error) {
    throw refusal(error);
  }
}
