/** Reads a trace of system calls (`strace -f -y`) and says what was not synced before each answer. */

interface FileState {
  /** Line of the last write, and of the last completed sync after it; -1: none. */
  written: number;
  synced: number;
}

export interface AnswerReport {
  /** The first line of the answer. */
  readonly answer: string;
  /** Files made under the watched directory since the answer before. */
  readonly files: readonly string[];
  /** What was not durable when the answer was written, as sentences. */
  readonly complaints: readonly string[];
}

const CALL = /^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$/;
const FD = /^(?:[A-Z_]*)?\d+<([^>]*)>/;

/**
 * A file made between two answers must be synced after its last write and before the answer, and so must the directory
 * it is in, under the name it had then. `watched` is a part of the paths that count.
 */
export const answersOf = (trace: string, watched: (path: string) => boolean): AnswerReport[] => {
  const reports: AnswerReport[] = [];
  /** Per thread: the arguments of a call that has not returned. */
  const pending = new Map<string, string>();
  let made = new Map<string, FileState>();
  let directories = new Map<string, number>();
  for (const [at, line] of trace.split('\n').entries()) {
    const match = CALL.exec(line);
    if (!match) continue;
    const [, thread = '', resumed, begun, rest = ''] = match;
    const name = begun ?? resumed ?? '';
    if (begun && /<unfinished \.\.\.>$/.test(rest)) {
      pending.set(thread, rest);
      // An answer counts from the moment its write begins.
      if (!isAnswer(name, rest)) continue;
    }
    const args = resumed ? `${pending.get(thread) ?? ''} ${rest}` : rest;
    if (resumed && isAnswer(name, args)) continue;
    const failed = /= -1 /.test(rest);
    if (isAnswer(name, args)) {
      reports.push(report(args, made, directories));
      made = new Map();
      directories = new Map();
    } else if (failed) {
      // Nothing happened.
    } else if (name === 'openat' && /O_CREAT/.test(args)) {
      const path = /= \d+<([^>]*)>/.exec(args)?.[1] ?? '';
      if (watched(path)) made.set(path, { written: at, synced: -1 });
    } else if (/^p?writev?(64|2)?$/.test(name)) {
      const file = made.get(FD.exec(args)?.[1] ?? '');
      if (file) file.written = at;
    } else if (name === 'fsync' || name === 'fdatasync') {
      const path = FD.exec(args)?.[1] ?? '';
      const file = made.get(path);
      if (file) file.synced = at;
      else directories.set(path, at);
    }
  }
  return reports;
};

const isAnswer = (name: string, args: string): boolean =>
  /^(writev?|sendto|sendmsg)$/.test(name) && /"HTTP\/1\.1 \d/.test(args);

const report = (
  args: string,
  made: ReadonlyMap<string, FileState>,
  directories: ReadonlyMap<string, number>,
): AnswerReport => {
  const complaints: string[] = [];
  for (const [path, { written, synced }] of made) {
    if (synced < written) complaints.push(`${path} was not synced after its last write`);
    const directory = path.slice(0, path.lastIndexOf('/'));
    const names = [directory, ...renamed(directory, directories)];
    if (!names.some((name) => (directories.get(name) ?? -1) >= 0))
      complaints.push(`the directory of ${path} was not synced`);
  }
  return { answer: /"(HTTP\/1\.1 \d+[^\\"]*)/.exec(args)?.[1] ?? '', files: [...made.keys()], complaints };
};

/** ClickHouse writes a part under tmp_insert_NAME and gives it its final name before it syncs the directory. */
const renamed = (directory: string, directories: ReadonlyMap<string, number>): string[] => {
  const table = directory.replace(/\/tmp_insert_[^/]*$/, '');
  return table === directory
    ? []
    : [...directories.keys()].filter((path) => path.startsWith(`${table}/`) || path === table);
};
