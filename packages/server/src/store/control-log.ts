/**
 * The one way to change control state: append facts with receipt numbers, then fold them into the live book.
 * Whoever needs the state as of S (the job, "as of" queries) folds a book of its own with `bookAt`.
 */
import { Book } from '../domain/book.ts';
import type { ControlBody, ControlFact } from '../domain/control-fact.ts';
import type { Clock } from '../domain/environment.ts';
import type { Receipt } from '../domain/fact.ts';
import type { ControlStore } from './control-store.ts';
import { StoreError } from './errors.ts';
import type { Receipts, Taken } from './receipts.ts';

const PAGE = 50_000;

export interface Author {
  tenant: string;
  /** Key id, `system`, or a source. */
  author: string;
  reason: string;
}

export class ControlLog {
  readonly book: Book;
  private readonly control: ControlStore;
  private readonly receipts: Receipts;
  private readonly clock: Clock;
  private tail: Promise<unknown> = Promise.resolve();

  private constructor(control: ControlStore, receipts: Receipts, clock: Clock, book: Book) {
    this.control = control;
    this.receipts = receipts;
    this.clock = clock;
    this.book = book;
  }

  static async open(control: ControlStore, receipts: Receipts, clock: Clock): Promise<ControlLog> {
    const book = new Book();
    await foldInto(book, control, 0, Number.MAX_SAFE_INTEGER);
    return new ControlLog(control, receipts, clock, book);
  }

  /**
   * Appends in order; durable and folded when it resolves. Facts of one call become visible together. `reasons`: one for
   * each body, in place of the author's.
   */
  append(bodies: readonly ControlBody[], who: Author, reasons: readonly string[] = []): Promise<ControlFact[]> {
    const next = this.tail.then(() => this.write(bodies, who, reasons));
    this.tail = next.catch(() => undefined);
    return next;
  }

  private async write(bodies: readonly ControlBody[], who: Author, reasons: readonly string[]): Promise<ControlFact[]> {
    const taken = await this.receipts.take(bodies.length);
    const recordedAt = this.clock.now();
    const facts = bodies.map((body, i) => {
      const reason = reasons[i] ?? who.reason;
      return { receipt: taken.first + i, ...who, reason, recordedAt, body };
    });
    try {
      await this.control.appendFacts(facts);
    } catch (error) {
      // The commit may have happened although its answer was lost. Until that is settled the frontier waits: a fact
      // must not turn up below a frontier that a run has already taken.
      if (error instanceof StoreError && error.transient) void this.settle(facts, taken);
      else taken.done();
      throw error;
    }
    for (const fact of facts) this.book.apply(fact);
    taken.done();
    return facts;
  }

  /** Looks whether the facts were stored after all, until the store answers. */
  private async settle(facts: readonly ControlFact[], taken: Taken): Promise<void> {
    for (let wait = 100; ; wait = Math.min(wait * 2, 5000)) {
      await this.clock.sleep(wait);
      try {
        const first = facts[0]?.receipt ?? 0;
        const stored = await this.control.facts(first - 1, facts.length, { upTo: first + facts.length - 1 });
        for (const fact of stored) this.book.apply(fact);
        taken.done();
        return;
      } catch {
        // Not reachable yet.
      }
    }
  }

  /** A book of all facts with receipt <= frontier, or `base` moved forward to it. */
  async bookAt(frontier: Receipt, base?: { book: Book; at: Receipt }): Promise<Book> {
    if (base !== undefined && base.at <= frontier) {
      await foldInto(base.book, this.control, base.at, frontier);
      return base.book;
    }
    const book = new Book();
    await foldInto(book, this.control, 0, frontier);
    return book;
  }
}

async function foldInto(book: Book, control: ControlStore, after: Receipt, upTo: Receipt): Promise<void> {
  for (let from = after; ; ) {
    const page = await control.facts(from, PAGE, { upTo });
    for (const fact of page) book.apply(fact);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    from = last.receipt;
  }
}
