/** An entity and a profile from a YAML or JSON text, or everything that is wrong with it. Documented in docs/operating/billing.md. */
import { Misread, quoted, readCount } from '../limit/amount.ts';
import { type Defined, defined } from '../limit/define-plans.ts';
import { Fields } from '../limit/fields.ts';
import type { Flaw, Tree } from '../limit/located.ts';
import { roundings } from '../quantity.ts';
import { DEFAULT_ENTITY, prefixesMeet } from './billing.ts';
import type { EntityFact, ProfileFact } from './billing-fact.ts';
import { type Conventions, conventionDefaults, dayCounts } from './conventions.ts';

const LINES_MAX = 12;
const TEXT_MAX = 200;
const DAYS_MAX = 366;
const CONTROL = /\p{Cc}|\p{Surrogate}/u;

export const defineEntity = (text: string): Defined<EntityFact> =>
  defined(text, (tree, flaws) => {
    const known = ['key', 'name', 'address', 'tax_id', 'invoice_prefix', 'credit_prefix', 'payment', 'conventions'];
    const fields = new Fields(tree, flaws, known, 'an entity');
    if (tree.kind === 'branch' && !fields.has('name')) fields.wrong('name', 'is missing: it stands on every invoice');
    const invoicePrefix = fields.read('invoice_prefix', 'INV-', 'a text', readPrefix);
    const creditPrefix = fields.read('credit_prefix', 'CN-', 'a text', readPrefix);
    if (prefixesMeet(invoicePrefix, creditPrefix))
      fields.wrong('credit_prefix', 'meets that of invoices: a number would name two documents');
    return {
      kind: 'entity',
      key: fields.has('key') ? fields.key() : DEFAULT_ENTITY,
      name: fields.text('name', '', TEXT_MAX),
      address: readLines(fields, 'address', flaws),
      taxId: fields.text('tax_id', '', TEXT_MAX),
      invoicePrefix,
      creditPrefix,
      payment: readLines(fields, 'payment', flaws).join('\n'),
      conventions: readConventions(fields.tree('conventions'), flaws),
    };
  });

const readPrefix = (text: string): string | Misread =>
  /^[A-Za-z0-9][A-Za-z0-9._/-]{0,19}$/.test(text)
    ? text
    : new Misread(`${quoted(text)}: letters, digits, dots, dashes, slashes and underscores, at most 20`);

/** A text, or a list of them: a line each. */
function readLines(fields: Fields, name: string, flaws: Flaw[]): string[] {
  const tree = fields.tree(name);
  if (tree?.kind !== 'list') {
    const line = fields.text(name, '', TEXT_MAX);
    return line === '' ? [] : [line];
  }
  return fields.items(name, 'a list of lines', LINES_MAX).flatMap((item) => {
    if (item.kind === 'leaf' && !item.empty && item.text.length <= TEXT_MAX && !CONTROL.test(item.text))
      return item.text;
    flaws.push({ ...item.at, path: item.path, message: `a text of 1 to ${TEXT_MAX} characters, without line breaks` });
    return [];
  });
}

function readConventions(tree: Tree | undefined, flaws: Flaw[]): Conventions {
  const absent = conventionDefaults;
  if (tree === undefined) return absent;
  const fields = new Fields(tree, flaws, conventionFields, '`conventions`');
  const days = (name: string, otherwise: number): number => fields.read(name, otherwise, 'a number of days', readDays);
  return {
    dayCount: fields.oneOf('day_count', dayCounts, absent.dayCount),
    rounding: fields.oneOf('rounding', roundings, absent.rounding),
    roundingPlace: fields.oneOf('rounding_place', ['line', 'net'], absent.roundingPlace),
    zeroUsageFlat: fields.oneOf('zero_usage_flat', ['charge', 'skip'], absent.zeroUsageFlat),
    tiersAtChange: fields.oneOf('tiers_at_change', ['continue', 'restart'], absent.tiersAtChange),
    includedInPart: fields.oneOf('included_in_part', ['full', 'prorated'], absent.includedInPart),
    leadingPart: fields.oneOf('leading_part', ['prorate', 'full', 'free'], absent.leadingPart),
    minimumInPart: fields.oneOf('minimum_in_part', ['prorated', 'full'], absent.minimumInPart),
    graceDays: days('grace_days', absent.graceDays),
    dueDays: days('due_days', absent.dueDays),
  };
}
const conventionFields = [
  'day_count',
  'rounding',
  'rounding_place',
  'zero_usage_flat',
  'tiers_at_change',
  'included_in_part',
  'leading_part',
  'minimum_in_part',
  'grace_days',
  'due_days',
];

const readDays = (text: string): number | Misread =>
  readCount(text, 0, DAYS_MAX) ?? new Misread(`${quoted(text)} is no number of days, up to ${DAYS_MAX}`);

/** Of an account that the caller names. */
export const defineProfile = (text: string, account: string): Defined<ProfileFact> =>
  defined(text, (tree, flaws) => {
    const known = ['entity', 'payer', 'name', 'address', 'tax_id', 'email', 'jurisdiction', 'exemption'];
    const fields = new Fields(tree, flaws, known, 'a profile');
    return {
      kind: 'profile',
      account,
      entity: fields.text('entity', '', 63),
      payer: fields.oneOf('payer', ['self', 'parent'], 'self'),
      name: fields.text('name', '', TEXT_MAX),
      address: readLines(fields, 'address', flaws),
      taxId: fields.text('tax_id', '', TEXT_MAX),
      email: fields.read('email', '', 'an address', readEmail),
      jurisdiction: fields.read('jurisdiction', '', 'a text', readJurisdiction),
      exemption: fields.text('exemption', '', 1000),
    };
  });

/** Near enough: whoever sends mail finds out the rest. */
const readEmail = (text: string): string | Misread =>
  /^[^\s@]+@[^\s@]+$/.test(text) && text.length <= 254 ? text : new Misread(`${quoted(text)} is no address of mail`);

export const readJurisdiction = (text: string): string | Misread =>
  /^[A-Z0-9][A-Z0-9-]{0,15}$/.test(text)
    ? text
    : new Misread(`${quoted(text)}: upper case letters, digits and dashes, at most 16, such as DE or US-CA`);
