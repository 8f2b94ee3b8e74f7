/** Lines for people beside the log: what the server acknowledged, and what no server takes. */
import type { Clock } from '../environment.ts';
import type { Report } from '../publisher.ts';
import type { Spool } from '../spool/spool.ts';

export interface Why {
  readonly code: string;
  readonly message: string;
}

export class Receipts {
  readonly #spool: Spool;
  readonly #clock: Clock;
  readonly #report: (report: Report) => void;

  constructor(spool: Spool, clock: Clock, report: (report: Report) => void) {
    this.#spool = spool;
    this.#clock = clock;
    this.#report = report;
  }

  /** `receipts`: the server's numbers; null: it told none. */
  acknowledged(batch: { run: string; first: number; last: number; receipts: object | null }): Promise<void> {
    return this.#note('acknowledged.ndjson', batch);
  }

  refused(event: string, { code, message }: Why): Promise<void> {
    this.#report({ level: 'error', message: `an event is set aside: ${code}: ${message}` });
    return this.#note('refused.ndjson', { code, message, event: JSON.parse(event) as unknown });
  }

  /** A full disk must not stop what is on its way: the note is then only reported. */
  async #note(name: string, content: object): Promise<void> {
    const line = JSON.stringify({ at: new Date(this.#clock.now()).toISOString(), ...content });
    await this.#spool
      .note(name, line)
      .catch((error: unknown) => this.#report({ level: 'warn', message: `${name}: ${messageOf(error)}: ${line}` }));
  }
}

/** What went wrong, of an error that wraps another one. */
export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
};
