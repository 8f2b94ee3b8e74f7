/** One invoice from what it depends on: pure. First what to ask the meters, then, with the answers, the draft. */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Metered, MeteredAsk } from '../../usage/metered.ts';
import { type Charges, chargesAgain, chargesOf } from '../invoice/charges.ts';
import { type Answered, compose, isAbout, partiesOf } from '../invoice/compose.ts';
import type { Draft } from '../invoice/document.ts';
import type { Frame } from '../invoice/frames.ts';
import type { Looked } from './looked.ts';
import type { Past } from './past.ts';

export interface Subject {
  payer: string;
  frame: Frame;
  version: number;
  /** Final documents that may have billed something of it, oldest first. */
  past: readonly Past[];
  /** What of the time before is looked at. Its documents are among `past`. */
  looked: readonly Looked[];
}

export interface Reckoning {
  subject: Subject;
  charges: Charges;
  /** Of `subject.looked`, in its order. */
  earlier: readonly Charges[];
  /** In the order of the answers that `draftOf` takes. */
  asks: readonly MeteredAsk[];
}

/** `known`: the charges of the frame, where they are known already. Throws InvoiceError. */
export function reckon(book: Book, subject: Subject, known?: Charges): Reckoning {
  const { payer, frame, looked } = subject;
  const { conventions } = partiesOf(book, payer).entity;
  const charges = known ?? chargesOf(book, payer, frame, conventions);
  const documents = new Map(subject.past.map(({ id, document }) => [id, document]));
  const earlier = looked.map(({ accounts, from, to, document }) => {
    // As it was agreed then, for what was billed then; what was not, as it is now.
    const of = document === null ? { account: payer, conventions } : documents.get(document.id);
    if (of === undefined) throw new Error(`the document ${document?.id} was not read`);
    return chargesAgain(book, { account: of.account, conventions: of.conventions, accounts, from, to });
  });
  const asks = [charges, ...earlier].flatMap((of) => of.usage.map(({ ask }) => ask));
  return { subject, charges, earlier, asks };
}

/** Throws InvoiceError. A draft without lines is no invoice. */
export function draftOf(
  book: Book,
  { subject, charges, earlier }: Reckoning,
  answers: readonly (readonly Metered[])[],
  frontier: Receipt,
): Draft {
  let at = 0;
  const answered = (of: Charges): Answered => {
    const first = at;
    at += of.usage.length;
    return { charges: of, metered: answers.slice(first, at) };
  };
  const documents = subject.past.map(({ number, document }) => ({ number, document }));
  const current = { book, ...answered(charges), documents, frontier, version: subject.version };
  const looked = earlier.map(answered);
  const draft = compose({ ...current, earlier: looked });
  // What was looked at and found as it was is no part of the document: it would depend on why it was looked at.
  const changed = looked.filter(({ charges: of }) => draft.document.lines.some(({ key }) => isAbout(of, key)));
  return changed.length === looked.length ? draft : compose({ ...current, earlier: changed });
}
