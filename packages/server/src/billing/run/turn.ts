/** One payer's way through a batch: its due periods one after the other, because each depends on what was billed before. */
import type { Book } from '../../domain/book.ts';
import type { Instant, Interval } from '../../domain/window.ts';
import type { BillingStore, FinalHead } from '../../store/billing-store.ts';
import { type Charges, chargesOf } from '../invoice/charges.ts';
import { partiesOf } from '../invoice/compose.ts';
import { paidBy } from '../invoice/frames.ts';
import type { Breath } from './breath.ts';
import type { Changes } from './changes.ts';
import { type DueFrame, dueFrames } from './due.ts';
import { type Failure, failureOf } from './failure.ts';
import { beginOf, isAlone, type Looked, longestPeriod, lookedAt } from './looked.ts';
import { billersOf, isFor, type Past, pastOf, standing } from './past.ts';
import { type Reckoning, reckon } from './reckon.ts';

export interface Turn {
  payer: string;
  /** Periods that are still to be billed, oldest first. */
  due: DueFrame[];
  /** Final documents of all who may have billed something of whom it pays for, without content. */
  rows: readonly FinalHead[];
  /** Highest id among the payer's own final documents. */
  lastDocument: number;
  /** Of whom it pays for, read before `rows`; none where nobody else was ever billed for it. */
  lastFor: Map<string, number>;
  /** Made final in this batch. */
  made: Past[];
  /** Up to when documents have been looked at in this batch. */
  lookedTo: Instant;
  /** How often it was refused because the books had changed meanwhile. */
  tries: number;
  /** Somebody else has changed its books: it is looked at anew. */
  stale: boolean;
  failure: Failure | null;
}

/** What turns need of their run. */
export interface TurnContext {
  billing: BillingStore;
  book: Book;
  until: Instant;
  changes: Changes;
  breath: Breath;
}

/** What is due of each payer; those of whom nothing is are left out. Failures are turns with nothing due. */
export async function turnsOf(
  { billing, book, until, breath }: TurnContext,
  payers: readonly string[],
): Promise<Turn[]> {
  const accounts = new Map(payers.map((payer) => [payer, [...new Set([payer, ...paidBy(book, payer)])]]));
  const billers = new Map([...accounts].map(([payer, of]) => [payer, billersOf(book, of)]));
  const shared = new Map([...accounts].filter(([payer, of]) => !isAlone(book, payer, of)));
  const lastFor = shared.size === 0 ? new Map<string, number>() : await billing.lastFor([...shared.values()].flat());
  const rows = await rowsOf(billing, [...new Set([...billers.values()].flat())]);
  const turns: Turn[] = [];
  for (const payer of payers) {
    await breath.due();
    const own = (billers.get(payer) ?? []).flatMap((id) => rows.get(id) ?? []);
    const last = (shared.get(payer) ?? []).map((id): [string, number] => [id, lastFor.get(id) ?? 0]);
    const turn = turnOf(book, payer, own, new Map(last), until);
    if (turn.due.length > 0 || turn.failure !== null) turns.push(turn);
  }
  return turns;
}

function turnOf(
  book: Book,
  payer: string,
  rows: readonly FinalHead[],
  lastFor: Map<string, number>,
  until: Instant,
): Turn {
  const lastDocument = rows.reduce((last, { account, id }) => (account === payer ? Math.max(last, id) : last), 0);
  const turn: Turn = {
    payer,
    due: [],
    rows,
    lastDocument,
    lastFor,
    made: [],
    lookedTo: 0,
    tries: 0,
    stale: false,
    failure: null,
  };
  try {
    turn.due = dueFrames(book, payer, rows, until);
  } catch (error) {
    turn.failure = failureOf(payer, error);
  }
  return turn;
}

async function rowsOf(billing: BillingStore, accounts: readonly string[]): Promise<Map<string, FinalHead[]>> {
  const rows = new Map<string, FinalHead[]>();
  for (const row of await billing.finalHeads(accounts)) {
    const known = rows.get(row.account);
    if (known === undefined) rows.set(row.account, [row]);
    else known.push(row);
  }
  return rows;
}

interface Begun {
  turn: Turn;
  charges: Charges;
  looked: readonly Looked[];
  /** Documents that end after this may have billed something of it. */
  after: Instant;
}

/** The next period of each turn: what to ask the meters. Sets `failure` where it cannot be billed. */
export async function reckonNext(context: TurnContext, turns: readonly Turn[]): Promise<Map<Turn, Reckoning>> {
  const { billing, book, breath } = context;
  const begun: Begun[] = [];
  for (const turn of turns) {
    await breath.due();
    const charges = attempt(turn, () => chargesFor(book, turn));
    if (charges === null) continue;
    const candidates = attempt(turn, () => candidatesFor(book, turn, charges));
    if (candidates === null) continue;
    const looked = await changedAmong(context, turn, charges, candidates);
    begun.push({ turn, charges, looked, after: afterWhich(book, charges, looked) });
    turn.lookedTo = Math.max(turn.lookedTo, charges.frame.from);
  }
  const past = await pastFor(billing, begun, book);
  const out = new Map<Turn, Reckoning>();
  for (const { turn, charges, looked } of begun) {
    await breath.due();
    const before = [...(past.get(turn) ?? []), ...turn.made];
    const [frame] = turn.due;
    if (frame === undefined) continue;
    const { version } = frame;
    const subject = { payer: turn.payer, frame, version, past: before, looked };
    const reckoning = attempt(turn, () => reckon(book, subject, charges));
    if (reckoning !== null) out.set(turn, reckoning);
  }
  return out;
}

const chargesFor = (book: Book, { payer, due }: Turn): Charges => {
  const frame = due[0] as DueFrame;
  return chargesOf(book, payer, frame, partiesOf(book, payer).entity.conventions);
};

const candidatesFor = (book: Book, { rows, made }: Turn, { accounts, frame }: Charges): Looked[] =>
  lookedAt(book, accounts, [...standing(rows), ...made], frame.from);

/**
 * What was never billed, always; of what was, what may have changed since, by facts or by a void invoice. As all periods of a batch are billed as of one
 * S, what was looked at with one of them need not be with the next.
 */
async function changedAmong(
  { book, changes }: TurnContext,
  { payer, rows, lookedTo }: Turn,
  { accounts }: Charges,
  candidates: readonly Looked[],
): Promise<Looked[]> {
  const alone = isAlone(book, payer, accounts);
  const voided = rows.filter(({ kind, voidedBy }) => kind === 'invoice' && voidedBy !== null);
  const found: Looked[] = [];
  for (const one of candidates) {
    const { document, to } = one;
    if (document !== null) {
      if (to <= lookedTo) continue;
      const who = alone ? accounts : [document.account, ...one.accounts];
      const from = alone ? one.from : beginOf(book, one);
      const isSame = !isVoidSince(book, voided, document.id, { from, to });
      if (isSame && !(await changes.mayHaveChanged({ accounts: who, from, to, frontier: document.frontier }))) continue;
    }
    found.push(one);
  }
  return found;
}

/** Whether an invoice of then, or one that billed ahead for then, became void after the document: what it took off is due again. */
const isVoidSince = (book: Book, voided: readonly FinalHead[], document: number, { from, to }: Interval): boolean =>
  voided.some(
    (row) => row.voidedBy !== null && row.voidedBy > document && row.from <= to && from <= row.to + longestPeriod(book),
  );

/**
 * Who was always alone billed a period ahead with the one before it. Whom one pays for, or who was paid for, has periods
 * of its own: they are billed ahead by as much as a payer's period is long.
 */
function afterWhich(book: Book, { payer, accounts, frame, scopes }: Charges, looked: readonly Looked[]): Instant {
  const first = scopes.reduce((from, { period }) => Math.min(from, period.from), frame.from);
  const alone = isAlone(book, payer, accounts);
  const begins = looked.map((one) => (alone ? one.from : beginOf(book, one)));
  const ahead = alone && first === frame.from ? 0 : longestPeriod(book);
  return Math.max(0, Math.min(first, ...begins) - ahead - 1);
}

/** Of each what there is for its accounts: whoever else is in the batch. */
async function pastFor(
  billing: BillingStore,
  begun: readonly Begun[],
  book: Book,
): Promise<Map<Turn, readonly Past[]>> {
  const out = new Map<Turn, readonly Past[]>();
  const known = begun.filter(({ turn }) => turn.rows.length > 0);
  // Who has to be looked at from long ago must not have all others' documents read from there.
  const isRecent = ({ charges, after }: Begun): boolean => after >= charges.frame.from - 1;
  for (const some of [known.filter(isRecent), known.filter((one) => !isRecent(one))]) {
    if (some.length === 0) continue;
    const after = some.reduce((least, one) => Math.min(least, one.after), Number.MAX_SAFE_INTEGER);
    const billers = new Map(some.map(({ turn, charges }) => [turn, billersOf(book, charges.accounts)]));
    const byAccount = new Map<string, Past[]>();
    for (const one of await pastOf(billing, [...new Set([...billers.values()].flat())], after)) {
      const same = byAccount.get(one.account);
      if (same === undefined) byAccount.set(one.account, [one]);
      else same.push(one);
    }
    for (const { turn, charges, after: from } of some) {
      const made = new Set(turn.made.map(({ id }) => id));
      const accounts = new Set(charges.accounts);
      const own = (billers.get(turn) ?? []).flatMap((id) => byAccount.get(id) ?? []);
      const wanted = own.filter((one) => one.to > from && !made.has(one.id) && isFor(one, accounts));
      out.set(
        turn,
        wanted.sort((a, b) => a.id - b.id),
      );
    }
  }
  return out;
}

/** Null when it cannot be billed: then `failure` says why. */
export function attempt<T>(turn: Turn, work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    turn.failure = failureOf(turn.payer, error);
    return null;
  }
}
