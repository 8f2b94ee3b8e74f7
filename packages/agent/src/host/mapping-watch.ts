/**
 * The mapping file in force. Looked at before every pass, and at once when the folder tells of a change. A file that was
 * cut between two rules parses: a change is taken over when two looks in a row found the same file. A file with a fault
 * changes nothing: the one before stays in force, and the fault is reported once, with its lines.
 */
import type { Clock } from '../environment.ts';
import type { Report } from '../publisher.ts';
import { realClock } from '../real.ts';
import { type Mapping, noMapping, type Rule } from './mapping.ts';
import { parseMapping } from './mapping-file.ts';
import { flawLine } from './settings-tree.ts';

/** The file system as the mapping needs it. */
export interface MappingFiles {
  /** Throws when it cannot be read. */
  read(path: string): string;
  /** A text that is another one after every change of the file; throws when there is no such file. */
  stamp(path: string): string;
}

/** How far apart two looks are that can agree: several pollers pass in one moment, and an editor writes in several steps. */
export const SETTLED_MS = 1000;

export class MappingFile {
  readonly path: string;
  readonly #files: MappingFiles;
  readonly #report: (report: Report) => void;
  readonly #clock: Pick<Clock, 'elapsed'>;
  #mapping: Mapping = noMapping;
  /** Of the file that was read last. */
  #stamp = '';
  /** Of another one, and since when it lies there. */
  #seen = { stamp: '', since: 0 };
  #version = 0;
  #problems: readonly string[] = [];

  /** `path` '': there is no mapping, nothing is attributed. The first look takes over what it finds. */
  constructor(
    path: string,
    files: MappingFiles,
    report: (report: Report) => void,
    clock: Pick<Clock, 'elapsed'> = realClock,
  ) {
    this.path = path;
    this.#files = files;
    this.#report = report;
    this.#clock = clock;
    this.reload();
  }

  get current(): Mapping {
    return this.#mapping;
  }
  /** 0 until a file was in force: until then nothing is known of who owns what. */
  get version(): number {
    return this.#version;
  }
  /** What is wrong with the file as it lies there now. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Takes over what has changed and lies still. True: another mapping is in force. */
  check(): boolean {
    return this.#look((stamp) => stamp !== this.#stamp && this.#isStill(stamp));
  }

  /** Reads it whether or not it looks changed: somebody says that it is whole. */
  reload(): boolean {
    return this.#look(() => true);
  }

  #look(isWanted: (stamp: string) => boolean): boolean {
    if (this.path === '') return false;
    try {
      const stamp = this.#files.stamp(this.path);
      if (!isWanted(stamp)) return false;
      // The stamp first: a file that is written just now gets another one, and is read again.
      this.#stamp = stamp;
      return this.#take(this.#files.read(this.path));
    } catch (error) {
      this.#stamp = '';
      return this.#refuse([`${this.path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`]);
    }
  }

  #isStill(stamp: string): boolean {
    const now = this.#clock.elapsed();
    if (stamp !== this.#seen.stamp) this.#seen = { stamp, since: now };
    return now - this.#seen.since >= SETTLED_MS;
  }

  #take(text: string): boolean {
    const parsed = parseMapping(text);
    if ('flaws' in parsed) return this.#refuse(parsed.flaws.map((flaw) => flawLine(this.path, flaw)));
    const gone = goneOf(this.#mapping, parsed.mapping);
    this.#mapping = parsed.mapping;
    this.#version++;
    this.#problems = [];
    const inForce = `${this.path}: ${parsed.mapping.rules.length} rules in force`;
    if (gone === 0) this.#report({ level: 'info', message: inForce });
    else this.#report({ level: 'warn', message: `${inForce}; ${gone} of those before are gone` });
    return true;
  }

  #refuse(problems: readonly string[]): false {
    if (problems.join('\n') !== this.#problems.join('\n')) {
      const kept = this.#version > 0 ? 'the mapping before stays in force' : 'nothing is attributed until it is mended';
      this.#report({ level: 'error', message: `${problems.join('\n')}\n${kept}` });
    }
    this.#problems = problems;
    return false;
  }
}

/** How many rules are no longer there, wherever the others stand now. */
const goneOf = (before: Mapping, now: Mapping): number => {
  const textOf = (rule: Rule): string => JSON.stringify({ ...rule, line: 0, column: 0 });
  const there = new Set(now.rules.map(textOf));
  return before.rules.filter((rule) => !there.has(textOf(rule))).length;
};
