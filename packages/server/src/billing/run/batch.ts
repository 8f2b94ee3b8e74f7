/**
 * A thousand payers at once: one question to the meters, one transaction for what becomes final. Payers with several
 * periods due take them one after the other, in waves. Nothing is kept of a batch that is done.
 */
import type { Book } from '../../domain/book.ts';
import { endOfDay } from '../../domain/calendar.ts';
import type { Instant } from '../../domain/window.ts';
import type { BillingStore, Fence, FinalInvoice, Finalised, Invoice, StoredDraft } from '../../store/billing-store.ts';
import type { Metered } from '../../usage/metered.ts';
import { readDocument, type Written, written } from '../invoice/canonical.ts';
import { partiesOf } from '../invoice/compose.ts';
import type { Blocked } from '../invoice/document.ts';
import { finalInvoice, type InvoiceIssue } from '../ledger/post-document.ts';
import type { Breath } from './breath.ts';
import type { ChangeReader, Changes } from './changes.ts';
import { readAll } from './expected.ts';
import { type Failure, failureOf, isRefusal } from './failure.ts';
import type { Reasons } from './reasons.ts';
import { draftOf, type Reckoning } from './reckon.ts';
import { attempt, reckonNext, type Turn, turnsOf } from './turn.ts';

/** What all batches of a run share. */
export interface RunContext {
  billing: BillingStore;
  book: Book;
  reader: ChangeReader & { readonly closedTo: Instant };
  changes: Changes;
  reasons: Reasons;
  /** Periods that ended by then. */
  until: Instant;
  /** When the run began: the date of its invoices, and what grace is counted to. */
  at: Instant;
  /** Nothing is written. */
  dryRun: boolean;
  /** Final as soon as nothing is in the way, without waiting for what may come late; null: none. */
  early: { from: Instant; to: Instant } | null;
  /** Null: it is not held in the store. */
  fence: (() => Promise<Fence>) | null;
  breath: Breath;
}

/** What came of a period. */
export interface Made {
  account: string;
  from: Instant;
  to: Instant;
  /** '' while it is a draft. */
  number: string;
  currency: string;
  total: bigint;
  /** Why it is a draft: what is in the way, or until when it waits for what comes late. */
  blocked: readonly Blocked[];
  graceUntil: Instant | null;
}

export interface BatchOutcome {
  made: Made[];
  failures: Failure[];
}

const DAY = 86_400_000;
/** An account whose books change each time they are looked at is left to the next run. */
const TRIES_MAX = 5;

export class Batch {
  private readonly run: RunContext;
  private readonly payers: readonly string[];
  private readonly outcome: BatchOutcome = { made: [], failures: [] };
  private readonly drafts: StoredDraft[] = [];

  constructor(run: RunContext, payers: readonly string[]) {
    this.run = run;
    this.payers = payers;
  }

  /** Everything up to the first wave's postings: done while the batch before is written, which is another processor's work. */
  async begin(): Promise<Wave> {
    return this.ask(await turnsOf(this.run, this.payers));
  }

  async finish(first: Wave): Promise<BatchOutcome> {
    let wave = first;
    while (wave.turns.length > 0) {
      await this.settle(wave);
      wave = await this.ask(await this.goingOn(wave.turns));
    }
    if (!this.run.dryRun) await this.keepDrafts();
    return this.outcome;
  }

  private async ask(turns: readonly Turn[]): Promise<Wave> {
    const open = this.withoutFailed(turns);
    const reckonings = await reckonNext(this.run, open);
    const drafts = await this.drafted(reckonings, await this.answersTo(reckonings));
    return { turns: open, ready: await this.posted(this.judged(open, drafts)) };
  }

  private async answersTo(reckonings: ReadonlyMap<Turn, Reckoning>): Promise<Map<Turn, Metered[][]>> {
    const { reader } = this.run;
    const answers = new Map<Turn, Metered[][]>();
    try {
      const all = await readAll(
        reader,
        [...reckonings.values()].flatMap(({ asks }) => asks),
      );
      let at = 0;
      for (const [turn, { asks: own }] of reckonings) {
        answers.set(turn, all.slice(at, at + own.length));
        at += own.length;
      }
    } catch (error) {
      // One question that cannot be answered must not keep the others from their answers.
      failureOf('', error);
      for (const [turn, { asks: own }] of reckonings) {
        const answer = await readAll(reader, own).catch((why: unknown) => {
          turn.failure = failureOf(turn.payer, why);
          return null;
        });
        if (answer !== null) answers.set(turn, answer);
      }
    }
    return answers;
  }

  /**
   * Of what an invoice was computed from nothing is kept, and of its lines the text: what a batch holds is gone through by
   * the garbage collector again and again, which was the largest part of a run's time.
   */
  private async drafted(
    reckonings: Map<Turn, Reckoning>,
    answers: Map<Turn, Metered[][]>,
  ): Promise<Map<Turn, Drafted | null>> {
    const { book, reader, breath, reasons } = this.run;
    const drafts = new Map<Turn, Drafted | null>();
    for (const [turn, answer] of answers) {
      const reckoning = reckonings.get(turn);
      reckonings.delete(turn);
      answers.delete(turn);
      if (turn.failure !== null || reckoning === undefined) continue;
      await breath.due();
      const made = attempt(turn, () => {
        const draft = draftOf(book, reckoning, answer, reader.frontier);
        return { draft, text: draft.document.lines.length === 0 ? null : written(draft.document) };
      });
      if (made === null) continue;
      const { draft, text } = made;
      drafts.set(turn, text === null ? null : { ...text, blocked: await reasons.of(draft) });
    }
    return drafts;
  }

  private withoutFailed(turns: readonly Turn[]): Turn[] {
    for (const { failure } of turns) if (failure !== null) this.outcome.failures.push(failure);
    return turns.filter(({ failure }) => failure === null);
  }

  /** What can be final. The others' drafts are noted. */
  private judged(turns: readonly Turn[], drafts: ReadonlyMap<Turn, Drafted | null>): Judged[] {
    const ready: Judged[] = [];
    for (const turn of turns) {
      const draft = drafts.get(turn);
      if (draft === undefined) continue;
      if (draft === null) turn.due.shift();
      else this.judge(turn, draft, ready);
    }
    return ready;
  }

  private judge(turn: Turn, draft: Drafted, ready: Judged[]): void {
    const { head, blocked } = draft;
    const graceUntil = this.isEarly(head) ? 0 : graceOf(head);
    if (blocked.length === 0 && this.run.at >= graceUntil) {
      ready.push({ turn, draft });
      return;
    }
    this.drafts.push(this.stored(draft));
    this.tell(draft, '', this.run.at < graceUntil ? graceUntil : null);
    turn.due = [];
  }

  private isEarly({ from, to }: Drafted['head']): boolean {
    return this.run.early?.from === from && this.run.early.to === to;
  }

  private tell({ head, blocked }: Drafted, number: string, graceUntil: Instant | null): void {
    const { account, from, to, currency, total } = head;
    this.outcome.made.push({ account, from, to, number, currency, total: BigInt(total), blocked, graceUntil });
  }

  private stored({ head, text, digest, blocked }: Drafted): StoredDraft {
    const { account, from, to, entity, currency, total, frontier } = head;
    return {
      ...{ account, from, to, entity, currency, total: BigInt(total), frontier, at: this.run.at },
      ...{ document: text, digest, blocked: blocked.length === 0 ? '' : JSON.stringify(blocked) },
    };
  }

  /** With what they post, by the books of now: a change until they are written is refused, and they are looked at anew. */
  private async posted(judged: readonly Judged[]): Promise<Ready[]> {
    if (this.run.dryRun || judged.length === 0) return judged.map((one) => ({ ...one, item: null }));
    const books = await this.run.billing.booksOf(judged.map(({ turn }) => turn.payer));
    return judged.flatMap(({ turn, draft }, i) => {
      const own = books[i];
      const item = own && attempt(turn, () => finalInvoice(draft, this.issueOf(turn, draft), own));
      return item ? [{ turn, draft, item }] : [];
    });
  }

  private async settle({ ready }: Wave): Promise<void> {
    if (ready.length === 0) return;
    const results = this.run.dryRun ? ready.map(() => notWritten) : await this.written(ready);
    for (const [i, { turn, draft }] of ready.entries()) {
      const result = results[i];
      if (result === undefined) continue;
      if (result.outcome === 'refused') this.refused(turn, result);
      else if (result.outcome === 'final') this.isFinal(turn, draft, result.invoice);
      else turn.stale = true;
    }
  }

  private issueOf({ payer, lastDocument, lastFor, rows, made }: Turn, { head }: Drafted): InvoiceIssue {
    const { invoicePrefix: prefix } = partiesOf(this.run.book, payer).entity;
    const issuedAt = this.run.at;
    const dueAt = endOfDay(head.zone, issuedAt, head.conventions.dueDays);
    return { prefix, issuedAt, dueAt, after: lastDocument, lastFor, billedTo: billedTo(payer, [...rows, ...made]) };
  }

  /** An item that the store cannot take is its account's failure, and none of the others'. */
  private async written(ready: readonly Ready[]): Promise<Result[]> {
    const { billing, fence } = this.run;
    const write = async (some: readonly Ready[]): Promise<Result[]> => {
      const held = fence === null ? [] : [await fence()];
      return billing.finalise(
        some.flatMap(({ item }) => item ?? []),
        ...held,
      );
    };
    try {
      return await write(ready);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const results: Result[] = [];
      for (const one of ready) {
        const [result] = await write([one]).catch((why: unknown) => [refusedBy(failureOf(one.turn.payer, why))]);
        if (result !== undefined) results.push(result);
      }
      return results;
    }
  }

  private isFinal(turn: Turn, draft: Drafted, { id, number }: { id: number; number: string }): void {
    const { account, from, to, version, frontier } = draft.head;
    turn.lastDocument = id;
    for (const one of turn.lastFor.keys()) turn.lastFor.set(one, id);
    turn.due.shift();
    if (turn.due.length > 0) {
      const document = readDocument(draft.text);
      turn.made.push({ id, number, kind: 'invoice', account, from, to, version, frontier, document });
    }
    this.tell(draft, number, null);
  }

  private refused(turn: Turn, { code, reason }: Extract<Result, { outcome: 'refused' }>): void {
    turn.tries++;
    turn.stale = true;
    if ((code === 'invoice.overtaken' || code === 'books.changed') && turn.tries < TRIES_MAX) return;
    turn.failure = { account: turn.payer, code, reason };
  }

  /** Those with something left. Where somebody else was faster, they are looked at anew. */
  private async goingOn(turns: readonly Turn[]): Promise<Turn[]> {
    const failed = turns.filter(({ failure }) => failure !== null);
    const going = turns.filter(({ failure, stale, due }) => failure === null && !stale && due.length > 0);
    const stale = new Map(turns.filter((t) => t.failure === null && t.stale).map((t) => [t.payer, t.tries]));
    const fresh = stale.size === 0 ? [] : await turnsOf(this.run, [...stale.keys()]);
    for (const turn of fresh) turn.tries = stale.get(turn.payer) ?? 0;
    return [...failed, ...going, ...fresh];
  }

  /** The drafts of today are all there are: those of before are of periods that are final, or not there any more. */
  private async keepDrafts(): Promise<void> {
    const { billing } = this.run;
    const now = new Set(this.drafts.map(draftName));
    const failed = new Set(this.outcome.failures.map(({ account }) => account));
    await billing.saveDrafts(this.drafts);
    const kept = await billing.drafts({ accounts: this.payers, limit: DRAFTS_MAX });
    const stale = kept.filter((draft) => !now.has(draftName(draft)) && !failed.has(draft.account));
    if (stale.length > 0) await billing.removeDrafts(stale);
  }
}

/** By all its invoices, also those that are void: see InvoiceIssue. */
const billedTo = (payer: string, documents: readonly Pick<FinalInvoice, 'account' | 'from' | 'to'>[]): Instant =>
  documents.reduce((last, { account, from, to }) => (account === payer && from < to ? Math.max(last, to) : last), 0);

const DRAFTS_MAX = 10_000;
const draftName = ({ account, from, to }: { account: string; from: Instant; to: Instant }): string =>
  JSON.stringify([account, from, to]);

/** Ready to be written, but for what is in the way. */
interface Drafted extends Written {
  blocked: readonly Blocked[];
}

interface Judged {
  turn: Turn;
  draft: Drafted;
}
interface Ready extends Judged {
  /** Null: nothing is written. */
  item: FinalInvoice | null;
}
type Result =
  | { outcome: Exclude<Finalised['outcome'], 'refused'>; invoice: Pick<Invoice, 'id' | 'number'> }
  | { outcome: 'refused'; code: string; reason: string };
const notWritten: Result = { outcome: 'final', invoice: { id: Number.MAX_SAFE_INTEGER, number: 'new' } };

const refusedBy = ({ code, reason }: Failure): Result => ({ outcome: 'refused', code, reason });

export interface Wave {
  turns: readonly Turn[];
  ready: readonly Ready[];
}

/** What is paid in advance only has nothing that could come late. */
const graceOf = ({ from, to, conventions }: Drafted['head']): Instant =>
  from === to ? to : to + conventions.graceDays * DAY;
