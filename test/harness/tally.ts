/**
 * Counts leaf tests from node:test's events. A test that has tests inside is not counted itself, unless it failed for a
 * reason of its own. Events come in report order: the inner tests of a test are told directly before it.
 */
import { inspect } from 'node:util';

export interface Outcome {
  passed: number;
  failures: { name: string; detail: string }[];
  skips: { name: string; reason: string }[];
}

/** What tally reads of a `test:pass` or `test:fail` event. */
export interface TestEvent {
  readonly name: string;
  readonly nesting: number;
  readonly skip?: string | boolean | undefined;
  readonly todo?: string | boolean | undefined;
  readonly details: { readonly type?: string | undefined; readonly error?: unknown };
}

const failureType = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'failureType' in error ? String(error.failureType) : undefined;

/** The thrown error itself, whole: fast-check puts seed, path and counterexample into its message. */
const describe = (error: unknown): string => {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return typeof cause === 'string' ? cause : inspect(cause, { depth: 8, maxStringLength: 20_000, breakLength: 120 });
};

export class Tally {
  readonly outcome: Outcome = { passed: 0, failures: [], skips: [] };
  readonly #file: string;
  /** Names of the tests told at each depth since the last one above it. */
  readonly #open: string[][] = [];

  constructor(file: string) {
    this.#file = file;
  }

  pass(event: TestEvent): void {
    const parent = this.#close(event);
    if (parent) return;
    if (event.skip !== undefined && event.skip !== false) {
      this.outcome.skips.push({
        name: event.name,
        reason: event.skip === true ? 'no reason given' : event.skip || 'no reason given',
      });
    } else if (event.todo !== undefined && event.todo !== false) {
      this.outcome.failures.push({ name: event.name, detail: 'marked as to do: write it or remove it' });
    } else if (event.name === this.#file) {
      // The file's own wrapper: told as a test only when it held none, or when it failed.
      if (this.outcome.passed + this.outcome.skips.length === 0)
        this.outcome.failures.push({ name: event.name, detail: 'the file has no test' });
    } else if (event.details.type !== 'suite') {
      this.outcome.passed += 1;
    }
  }

  fail(event: TestEvent): void {
    this.#close(event);
    if (failureType(event.details.error) === 'subtestsFailed') return;
    this.outcome.failures.push({ name: event.name, detail: describe(event.details.error) });
  }

  /** True when tests inside this one have been told. */
  #close(event: TestEvent): boolean {
    const inner = this.#open[event.nesting + 1] ?? [];
    this.#open.length = Math.min(this.#open.length, event.nesting + 1);
    while (this.#open.length <= event.nesting) this.#open.push([]);
    this.#open[event.nesting]?.push(event.name);
    return inner.length > 0;
  }
}

/** A skip for want of a server or a privilege starts with `needs`; under CI=true these must not happen. */
export const namesMissingServer = (reason: string): boolean => /^needs\b/.test(reason);
