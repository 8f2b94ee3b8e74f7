/** An invoice: what is due of its periods, corrections of earlier ones, taxes, and who sells to whom. Pure. */
import type { Entity, Profile } from '../../domain/billing/billing.ts';
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import { decimalsOf } from '../../domain/money/currency.ts';
import { MINOR_MAX } from '../../domain/money/money.ts';
import type { Instant } from '../../domain/window.ts';
import type { Metered } from '../../usage/metered.ts';
import { type BilledDocument, type BilledLine, billedByKey, type Outstanding, outstanding } from './adjust.ts';
import { BasisList } from './basis.ts';
import type { Charges } from './charges.ts';
import type { Blocked, Draft, InvoiceDocument, Line } from './document.ts';
import { isOpen } from './due.ts';
import { expectedLines } from './expected.ts';
import { type History, zoneAt } from './history.ts';
import { InvoiceError } from './invoice-error.ts';
import { readKey } from './key.ts';
import { periodsOf } from './period.ts';
import { taxesOf } from './taxes.ts';

/** Charges with the answers to `charges.usage`, in its order. */
export interface Answered {
  charges: Charges;
  metered: readonly (readonly Metered[])[];
}

export interface ComposeInput extends Answered {
  /** At S. */
  book: Book;
  /** Final invoices that are looked at again: see chargesAgain. */
  earlier: readonly Answered[];
  /** Final documents about these accounts, oldest first: at least those of `earlier`, and what was billed ahead. */
  documents: readonly BilledDocument[];
  frontier: Receipt;
  version: number;
}

/** Throws InvoiceError: by name and place, for what cannot be billed. A draft without lines is no invoice. */
export function compose(input: ComposeInput): Draft {
  const { book, charges, documents } = input;
  const { payer, frame, conventions } = charges;
  const { entity, profile } = partiesOf(book, payer);
  const currency = book.account(payer)?.currency ?? '';
  const decimals = decimalsOf(currency);
  if (decimals === undefined) {
    throw new InvoiceError('invoice.currency', { account: payer }, `${JSON.stringify(currency)} is no currency`);
  }
  const billed = billedByKey(documents);
  const found = linesOf(input, billed, currency);
  const taxed = taxesOf(book, profile, found.lines, conventions.rounding);
  const lines = found.lines.map(({ line }, i) => numbered(line, i, taxed.shares[i] ?? null, taxed.places[i] ?? null));
  const sum = found.lines.reduce((all, { amount }) => all + amount, 0n);
  const net = sum - taxed.inside;
  const basis = new BasisList();
  basis.addCharges(book, charges);
  // An earlier invoice that was looked at and found as it was is no part of this one.
  for (const { charges: of } of found.corrected) basis.addCharges(book, of);
  for (const tax of taxed.used) basis.add('tax', tax);
  basis.add('entity', entity);
  basis.add('profile', profile);
  const document: InvoiceDocument = {
    layout: 2,
    kind: 'invoice',
    account: payer,
    entity: entity.key,
    seller: { name: entity.name, address: entity.address, taxId: entity.taxId, payment: entity.payment },
    buyer: { name: profile.name, address: profile.address, taxId: profile.taxId, exemption: profile.exemption },
    currency,
    decimals,
    zone: zoneAt(book, payer, frame.to),
    from: frame.from,
    to: frame.to,
    version: input.version,
    frontier: input.frontier,
    conventions,
    accounts: charges.accounts,
    lines,
    taxes: taxed.taxes,
    net: inRange(net, payer),
    tax: inRange(taxed.total, payer),
    total: inRange(net + taxed.total, payer),
    corrects: '',
    reason: '',
    basis: basis.all(),
  };
  return { document, blocked: blockedOf(lines) };
}

export function partiesOf(book: Book, payer: string): { entity: Entity; profile: Profile } {
  const profile = book.billing.profileOf(payer);
  const entity = book.billing.entityOf(profile.entity);
  if (entity !== undefined) return { entity, profile };
  const message = `its profile names the entity ${JSON.stringify(profile.entity)}, which is not defined`;
  throw new InvoiceError('invoice.entity', { account: payer }, message);
}

/** The periods of this invoice first, then corrections of earlier ones; and which of those had any. */
function linesOf(
  input: ComposeInput,
  billed: ReadonlyMap<string, readonly BilledLine[]>,
  currency: string,
): { lines: Outstanding[]; corrected: Answered[] } {
  const lines = outstandingOf(input, input, billed, currency, false);
  const taken = new Set(lines.map(({ line }) => line.key));
  const corrected = input.earlier.filter((answered) => {
    const found = outstandingOf(input, answered, billed, currency, true).filter(({ line }) => !taken.has(line.key));
    for (const { line } of found) taken.add(line.key);
    lines.push(...found);
    return found.length > 0;
  });
  return { lines, corrected };
}

function outstandingOf(
  { book }: ComposeInput,
  { charges, metered }: Answered,
  billed: ReadonlyMap<string, readonly BilledLine[]>,
  currency: string,
  earlier: boolean,
): Outstanding[] {
  const dues = expectedLines(book, charges, metered);
  return outstanding(dues, billed, ({ key, ahead }) => isAbout(charges, key, ahead), currency, earlier);
}

/** A line with this key is of a period of these charges; or of one that began within the frame, and that there is not any more. */
export function isAbout({ accounts, histories, scopes, frame }: Charges, key: string, ahead = false): boolean {
  const { account, period } = readKey(key);
  const history = histories[accounts.indexOf(account)];
  if (history === undefined) return false;
  const scope = scopes.find((of) => of.history === history && of.period.from === period);
  // Of a period that is ahead only what is paid ahead is due: its usage is not asked for, even if it was billed by now.
  if (scope !== undefined) return scope.stage === 'ended' || ahead;
  return period >= frame.from && period < frame.next && !isPeriod(history, period);
}

function isPeriod({ calendars }: History, from: Instant): boolean {
  const { value } = periodsOf(calendars, from).next();
  return value?.own === true && value.from === from;
}

/** The line was made for this invoice: it is changed, not copied. */
function numbered(line: Line, index: number, tax: bigint | null, taxNo: number | null): Line {
  line.no = index + 1;
  if (tax !== null) line.tax = tax.toString();
  if (taxNo !== null) line.taxNo = taxNo;
  return line;
}

function inRange(amount: bigint, account: string): string {
  if (amount <= MINOR_MAX && amount >= -MINOR_MAX) return amount.toString();
  throw new InvoiceError('invoice.range', { account }, 'the invoice is beyond 10^20 minor units');
}

/** Pending and quarantined usage may still change: such a line is not billed yet. */
function blockedOf(lines: readonly Line[]): Blocked[] {
  return lines.filter(isOpen).map(({ no, state, meter, account, flags }) => ({
    line: no,
    state: state === 'quarantined' ? 'quarantined' : 'pending',
    meter,
    account,
    reason:
      state === 'quarantined'
        ? 'usage is set aside until somebody releases or drops it'
        : `usage may still come${flags.length === 0 ? '' : ` (${flags.join(', ')})`}`,
  }));
}
