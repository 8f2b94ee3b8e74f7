/**
 * A lane is one chDB Session and a queue before it. The engine runs the statements of one Session one after another
 * anyway; queueing here keeps the waiting ones from holding threads of the small pool that files and zlib share.
 */
import { closeSync, openSync, rmSync, writevSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Session } from 'chdb';
import { StoreError } from '../errors.ts';
import type { ColumnSpec, NativeBlock } from './native-block.ts';
import { refusal } from './refusal.ts';
import { RowReader } from './row-reader.ts';
import { quoted } from './sql.ts';

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
  // Replacing is for merges and FINAL: doing it on every insert as well took an eighth of its time.
  optimize_on_insert: 0,
  // It flatters repeated statements, and saves little where every statement has bounds of its own.
  use_query_condition_cache: 0,
};

let lanes = 0;
/** Files of inserts under way, or of some that never ended. */
export const isStaged = (name: string): boolean => /^staged-\d+-\d+\.native$/.test(name);

export class Lane {
  private readonly session: Session;
  /** The one file its inserts go by way of: one statement runs at a time. */
  private readonly staged: string;
  private tail: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private refusing = false;

  constructor(directory: string, limits: LaneLimits) {
    this.session = openSession(directory);
    this.staged = join(directory, `staged-${process.pid}-${++lanes}.native`);
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

  /** Several statements with nothing of others between them (they share a temporary table, or are one commit). */
  exclusive<T>(work: (held: HeldLane) => Promise<T>): Promise<T> {
    this.waiting++;
    const result = this.tail.then(() => work(new HeldLane(this.session, this.staged, () => this.refusing)));
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
  private readonly staged: string;
  private readonly refusing: () => boolean;

  constructor(session: Session, staged: string, refusing: () => boolean) {
    this.session = session;
    this.staged = staged;
    this.refusing = refusing;
  }

  async execute(sql: string, parameters?: Parameters): Promise<void> {
    await this.run(sql, parameters);
  }

  async rows(sql: string, parameters?: Parameters): Promise<RowReader> {
    return new RowReader(await this.run(sql, parameters));
  }

  /**
   * Rows this folder encoded go in by way of a file beside the tables, gone again afterwards: of all formats the engine
   * reads Native with the least work, and a raw insert cannot carry it.
   */
  async insert(table: string, columns: readonly ColumnSpec[], rows: NativeBlock): Promise<void> {
    this.check();
    const names = columns.map((c) => c.name).join(', ');
    const structure = columns.map((c) => `${c.name} ${c.type}`).join(', ');
    try {
      await writeFile(this.staged, rows.pieces());
      await this.run(
        `INSERT INTO ${table} (${names}) SELECT * FROM file(${quoted(this.staged)}, 'Native', '${structure}')`,
      );
    } catch (error) {
      throw refusal(error);
    } finally {
      rmSync(this.staged, { force: true });
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

/** Up to here the bytes are written in this turn of the loop: a millisecond or two. */
const AT_ONCE_BYTES = 4 * 1024 * 1024;

/**
 * Small files without waiting: on a busy loop each of open, write and close comes back a turn later, and three turns were
 * two thirds of a commit. (Node's writeFile would join the pieces first.)
 */
async function writeFile(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const written = total <= AT_ONCE_BYTES ? writeAtOnce(path, pieces) : await writeLater(path, pieces);
  if (written !== total) throw new StoreError('store.disk_full', 'The usage store has no space left on its disk.');
}

function writeAtOnce(path: string, pieces: readonly Uint8Array[]): number {
  const file = openSync(path, 'w', 0o600);
  try {
    return writevSync(file, pieces);
  } finally {
    closeSync(file);
  }
}

async function writeLater(path: string, pieces: readonly Uint8Array[]): Promise<number> {
  const file = await open(path, 'w', 0o600);
  try {
    return (await file.writev(pieces)).bytesWritten;
  } finally {
    await file.close();
  }
}

export function openSession(directory: string): Session {
  try {
    return new Session(directory);
  } catch (error) {
    throw refusal(error);
  }
}
