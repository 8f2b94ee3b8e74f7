/** What a decision leaves behind: notices of thresholds, refusals to explain, usage of what was admitted, and the ledger. */
import type { Book } from '../domain/book.ts';
import type { Clock } from '../domain/environment.ts';
import type { Instant } from '../domain/window.ts';
import type { ControlLog } from '../store/control-log.ts';
import type { ControlStore, Notice } from '../store/control-store.ts';
import type { Ask } from './ask.ts';
import { DecidedUsage, type Measured } from './decided-usage.ts';
import type { Engine } from './engine/engine.ts';
import type { Gate } from './engine/types.ts';
import { Notices } from './notices.ts';
import { Ledger } from './reconcile.ts';
import { Refusals } from './refusals.ts';
import type { Answer, Question } from './throttle.ts';

export interface AftermathDeps {
  control: Pick<ControlStore, 'addNotices' | 'notices'>;
  engine: Pick<Engine, 'status' | 'period'>;
  clock: Clock;
  book: () => Book;
  append: ControlLog['append'];
  report(event: string, detail: Record<string, unknown>): void;
  /** Text that no other life of the server has: part of the names of refusals. */
  life: string;
  /** Where usage of decisions goes: the recorder of an agent that reports as DECISIONS. */
  record(measure: Measured, units: number): void;
  /** Where a new notice goes besides the log. */
  send?: (notice: Notice) => Promise<void>;
}

export class Aftermath {
  readonly notices: Notices;
  readonly refusals: Refusals;
  readonly ledger: Ledger;
  private readonly usage: DecidedUsage;

  constructor(deps: AftermathDeps) {
    const { control, engine, clock, book, append, report, life, record, send } = deps;
    this.notices = new Notices({ control, engine, clock, report, ...(send === undefined ? {} : { send }) });
    this.refusals = new Refusals(life);
    this.ledger = new Ledger((gate, now) => engine.period(gate, now));
    this.usage = new DecidedUsage({
      record,
      meter: (key) => book().meter(key),
      book: { ownerAt: (tenant, resource, t) => book().ownerAt(tenant, resource, t) },
      append,
      report,
    });
  }

  /** For Throttle: a decision was made. */
  readonly decided = (ask: Ask, question: Question, cost: number, answer: Answer, now: Instant): void => {
    // A question that charges nothing is no call: its no is an answer, not a refusal.
    if (cost > 0) this.refusals.note(ask, question, cost, answer, now);
    this.ledger.note(ask, question, cost, answer, now);
    this.usage.note(ask, question, cost, answer);
    this.notices.touch(question.prepared);
  };

  /** For Feed: a metered counter stands at `used`. */
  readonly moved = (gate: Gate, used: number, now: Instant): void => this.notices.consider(gate, used, now);

  start(): void {
    this.notices.start();
  }
  stop(): Promise<void> {
    return this.notices.stop();
  }
}
