/** What the engine says when it refuses, as the store's own errors. */
import { codeOf, StoreError } from '../errors.ts';

const NO_SPACE = /no space left|not enough space|disk quota exceeded|ENOSPC/i;
const NOT_WRITABLE = /read-only file system|permission denied|EROFS|EACCES|table is in readonly mode/i;
const LOCKED = /another server instance in same directory|cannot lock file/i;

/** ClickHouse error numbers. */
const MEMORY_LIMIT = 241;
const TIMEOUT = 159;
const NOT_ENOUGH_SPACE = 243;

export function refusal(error: unknown): Error {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const number = numberOf(error, message);
  const more = { cause: error };
  if (number === NOT_ENOUGH_SPACE || NO_SPACE.test(message)) {
    return new StoreError('store.disk_full', 'The usage store has no space left on its disk.', {
      ...more,
      hint: 'Free space on the volume of the data directory; writing goes on by itself.',
    });
  }
  if (number === MEMORY_LIMIT) {
    return new StoreError('store.limit_memory', 'The usage store refused a statement over its memory limit.', {
      ...more,
      hint: 'Ask for a shorter span or fewer series at once.',
    });
  }
  if (number === TIMEOUT) {
    return new StoreError('store.limit_time', 'The usage store stopped a statement over its time limit.', {
      ...more,
      hint: 'Ask for a shorter span or fewer series at once.',
    });
  }
  if (LOCKED.test(message)) {
    return new StoreError('store.locked', 'Another process has the usage store open.', {
      ...more,
      hint: 'Stop the other server, or choose another data directory.',
    });
  }
  if (NOT_WRITABLE.test(message)) {
    return new StoreError('store.not_writable', 'The usage store cannot write to its directory.', {
      ...more,
      hint: 'Check the owner and mode of the data directory, and that its volume is mounted for writing.',
    });
  }
  // Messages of failed inserts quote the row at hand: a line is enough for a log, and keeps payloads out of it.
  return new StoreError('store.failed', `The usage store failed: ${message.slice(0, 300)}`, more);
}

function numberOf(error: unknown, message: string): number {
  const own =
    typeof error === 'object' && error !== null ? (error as { clickhouseCode?: unknown }).clickhouseCode : null;
  if (typeof own === 'number') return own;
  const said = /Code: (\d+)\./.exec(message);
  return said === null ? (codeOf(error) === 'ENOSPC' ? NOT_ENOUGH_SPACE : 0) : Number(said[1]);
}
