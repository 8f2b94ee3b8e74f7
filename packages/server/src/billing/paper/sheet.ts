/** An invoice as it is read: all texts in their order, cleaned and ready to be placed on paper or a screen. */
import { digestOf, documentText } from '../invoice/canonical.ts';
import type { InvoiceDocument, Party } from '../invoice/document.ts';
import { type Group, groupsOf } from './groups.ts';
import type { Standing } from './standing.ts';
import { type Sum, sumsOf } from './sums.ts';
import {
  amountText,
  clean,
  cleanLines,
  cleanProse,
  dateText,
  dayText,
  grouped,
  lastDayText,
  spanText,
} from './texts.ts';

/** A heading and the lines below it. */
export interface Block {
  title: string;
  lines: readonly string[];
}

export interface Sheet {
  /** `Invoice INV-000001`. */
  title: string;
  /** Across each page: `DRAFT`, `VOID`; '' for none. */
  stamp: string;
  /** What is to be known before all else: why it is a draft, what it corrects. */
  notices: readonly Block[];
  seller: Block;
  buyer: Block;
  /** Number, dates, period. */
  facts: readonly (readonly [name: string, value: string])[];
  currency: string;
  groups: readonly Group[];
  sums: readonly Sum[];
  /** How to pay; '' in `title` for what stands alone. */
  closing: readonly Block[];
  /** On each page. */
  footer: string;
  /** Of the document, SHA-256 in hex. */
  digest: string;
}

export function sheetOf(document: InvoiceDocument, standing: Standing): Sheet {
  const digest = standing.digest ?? digestOf(documentText(document));
  return {
    title: `${kindOf(document, standing)}${standing.number === '' ? '' : ` ${clean(standing.number)}`}`,
    stamp: standing.draft ? 'DRAFT' : standing.state === 'void' ? 'VOID' : '',
    notices: noticesOf(document, standing),
    seller: partyBlock('From', document.seller, document.entity),
    buyer: partyBlock('To', document.buyer, document.account),
    facts: factsOf(document, standing),
    currency: document.currency,
    groups: groupsOf(document),
    sums: sumsOf(document, standing),
    closing: [...payBlocks(document, standing), proofBlock(document, standing, digest)],
    footer: footerOf(document, standing, digest),
    digest,
  };
}

function kindOf({ kind }: InvoiceDocument, { draft }: Standing): string {
  if (kind === 'credit-note') return draft ? 'Draft of a credit note' : 'Credit note';
  return draft ? 'Draft of an invoice' : 'Invoice';
}

const partyBlock = (title: string, { name, address, taxId }: Party, key: string): Block => ({
  title,
  lines: [
    clean(name === '' ? key : name),
    ...address.map((line) => clean(line)),
    ...(taxId === '' ? [] : [`Tax number: ${clean(taxId)}`]),
  ],
});

function factsOf(document: InvoiceDocument, standing: Standing): [string, string][] {
  const { zone } = document;
  const number: [string, string] = standing.draft
    ? ['Number', 'none yet: a draft']
    : ['Number', clean(standing.number)];
  const facts = [number, ['Account', clean(document.account)]] as [string, string][];
  if (!standing.draft && document.kind === 'invoice') facts.push(['State', standing.state]);
  if (standing.issuedAt !== null) facts.push(['Date', dayText(standing.issuedAt, zone)]);
  const { from, to } = document;
  facts.push(['Period', from === to ? `in advance, from ${dateText(from, zone)}` : spanText(from, to, zone)]);
  if (standing.dueAt !== null && document.kind === 'invoice') facts.push(['Due', lastDayText(standing.dueAt, zone)]);
  facts.push(['Currency', document.currency], ['Time zone', zone]);
  return facts;
}

function noticesOf(document: InvoiceDocument, standing: Standing): Block[] {
  const notices: Block[] = [];
  if (standing.draft) notices.push(draftBlock(document, standing));
  if (standing.state === 'void') notices.push(voidBlock(standing));
  if (standing.state === 'overdue') notices.push(overdueBlock(document, standing));
  if (document.kind === 'credit-note' && document.corrects !== '')
    notices.push({
      title: `Corrects ${clean(document.corrects)}`,
      lines: document.reason === '' ? [] : cleanLines(document.reason),
    });
  return notices;
}

const voidBlock = ({ voidedBy = '' }: Standing): Block => ({
  title: 'Void',
  lines: [
    `${voidedBy === '' ? 'A credit note' : `Credit note ${clean(voidedBy)}`} has reversed this invoice in full: nothing is to pay.`,
  ],
});

const overdueBlock = (document: InvoiceDocument, { open, dueAt }: Standing): Block => {
  const day = dueAt === null ? '' : ` on ${lastDayText(dueAt, document.zone)}`;
  return { title: 'Overdue', lines: [`${amountText(open, document)} ${document.currency} was due${day}.`] };
};

function draftBlock({ conventions }: InvoiceDocument, { blocked = [] }: Standing): Block {
  const title = 'Not an invoice yet';
  if (blocked.length === 0) {
    const days = `${conventions.graceDays} day${conventions.graceDays === 1 ? '' : 's'}`;
    return {
      title,
      lines: [`It can become final ${days} after the end of the period; amounts may change until then.`],
    };
  }
  const lines = blocked.map(({ line, reason }) => blockedText(line, cleanProse(reason)));
  return { title: `${title}: this has to be settled first`, lines };
}

/** Reasons that name their line already are left as they are. */
const blockedText = (line: number, reason: string): string =>
  line === 0 || reason.startsWith(`line ${line} `) ? reason : `Line ${line}: ${reason}`;

function payBlocks(document: InvoiceDocument, standing: Standing): Block[] {
  if (standing.draft || standing.state === 'void') return [];
  if (document.kind === 'credit-note')
    return [
      {
        title: 'What happens with it',
        lines: ['The amount is taken off what is open, or stays as a balance in your favour.'],
      },
    ];
  if (standing.open <= 0n) {
    const isOwed = BigInt(document.total) < 0n;
    return isOwed ? [{ title: 'Nothing to pay', lines: ['The amount stays as a balance in your favour.'] }] : [];
  }
  const how = document.seller.payment === '' ? [] : cleanLines(document.seller.payment);
  return [{ title: 'How to pay', lines: [...how, `Reference: ${clean(standing.number)}`] }];
}

function proofBlock(document: InvoiceDocument, { draft }: Standing, digest: string): Block {
  const facts = `Computed from all facts up to ${grouped(String(document.frontier))}, rounding: ${document.conventions.rounding}.`;
  return { title: draft ? 'How this was computed' : 'Proof', lines: [facts, `SHA-256 of the document: ${digest}`] };
}

function footerOf({ frontier }: InvoiceDocument, { number, draft }: Standing, digest: string): string {
  const known = `Computed from all facts up to ${grouped(String(frontier))}; digest ${digest.slice(0, 12)}…`;
  return draft ? `${known}; a draft` : `${known}; check with \`tollgate invoices verify ${clean(number)}\``;
}
