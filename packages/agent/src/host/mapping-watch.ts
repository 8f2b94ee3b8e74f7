/**
 * The mapping file in force. Looked at before every pass, and at once when the folder tells of a change. A file with a
 * fault changes nothing: the one before stays in force, and the fault is reported once, with its lines.
 */
import type { Report } from '../publisher.ts';
import { type Mapping, noMapping } from './mapping.ts';
import { parseMapping } from './mapping-file.ts';
import { flawLine } from './settings-tree.ts';

/** The file system as the mapping needs it. */
export interface MappingFiles {
  /** Throws when it cannot be read. */
  read(path: string): string;
  /** A text that is another one after every change of the file; throws when there is no such file. */
  stamp(path: string): string;
}

export class MappingFile {
  readonly path: string;
  readonly #files: MappingFiles;
  readonly #report: (report: Report) => void;
  #mapping: Mapping = noMapping;
  #stamp = '';
  #version = 0;
  #problems: readonly string[] = [];

  /** `path` '': there is no mapping, nothing is attributed. */
  constructor(path: string, files: MappingFiles, report: (report: Report) => void) {
    this.path = path;
    this.#files = files;
    this.#report = report;
    this.check();
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

  /** Takes over what has changed. True: another mapping is in force. */
  check(): boolean {
    if (this.path === '') return false;
    try {
      const stamp = this.#files.stamp(this.path);
      if (stamp === this.#stamp) return false;
      // The stamp first: a file that is still being written gets another one, and is read again at the next look.
      this.#stamp = stamp;
      return this.#take(this.#files.read(this.path));
    } catch (error) {
      this.#stamp = '';
      return this.#refuse([`${this.path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`]);
    }
  }

  /** Reads it whether or not it looks changed. */
  reload(): boolean {
    this.#stamp = '';
    return this.check();
  }

  #take(text: string): boolean {
    const parsed = parseMapping(text);
    if ('flaws' in parsed) return this.#refuse(parsed.flaws.map((flaw) => flawLine(this.path, flaw)));
    this.#mapping = parsed.mapping;
    this.#version++;
    this.#problems = [];
    this.#report({ level: 'info', message: `${this.path}: ${parsed.mapping.rules.length} rules in force` });
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
