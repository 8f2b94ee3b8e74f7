import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flawText } from '../limit/located.ts';
import { conventionDefaults } from './conventions.ts';
import { defineEntity, defineProfile } from './define-parties.ts';

const told = (problems: Parameters<typeof flawText>[0][] | null) => problems?.map(flawText) ?? [];
const check = (text: string, ...expected: string[]) => assert.deepEqual(told(defineEntity(text).problems), expected);
const checkProfile = (text: string, ...expected: string[]) =>
  assert.deepEqual(told(defineProfile(text, 'a').problems), expected);

test('an entity has defaults for all but its name', () => {
  assert.deepEqual(defineEntity('name: Cloud GmbH').value, {
    kind: 'entity',
    key: 'default',
    name: 'Cloud GmbH',
    address: [],
    taxId: '',
    invoicePrefix: 'INV-',
    creditPrefix: 'CN-',
    payment: '',
    conventions: conventionDefaults,
  });
});

test('an entity with everything', () => {
  const text = `key: ch
name: Cloud AG
address: [Hauptstrasse 1, 8000 Zürich, 8000 Zürich]
tax_id: CHE-123.456.789
invoice_prefix: 2026/
credit_prefix: GS-
payment:
  - IBAN CH00 0000
  - within 30 days
conventions: {day_count: thirty, rounding: half-even, included_in_part: prorated, due_days: 30}
`;
  const { value, problems } = defineEntity(text);
  assert.equal(problems, null);
  assert.deepEqual([value?.key, value?.address.length, value?.payment], ['ch', 3, 'IBAN CH00 0000\nwithin 30 days']);
  assert.deepEqual(value?.conventions, {
    ...conventionDefaults,
    dayCount: 'thirty',
    rounding: 'half-even',
    includedInPart: 'prorated',
    dueDays: 30,
  });
});

test('what is wrong with an entity is told at its place', () => {
  check('{key: x}', '1:1 name: is missing: it stands on every invoice');
  check(
    '{name: X, invoice_prefix: "A B"}',
    '1:27 invoice_prefix: "A B": letters, digits, dots, dashes, slashes and underscores, at most 20',
  );
  check(
    '{name: X, credit_prefix: INV-}',
    '1:26 credit_prefix: meets that of invoices: a number would name two documents',
  );
  check('{name: X, address: [a, {}]}', '1:24 address[1]: a text of 1 to 200 characters, without line breaks');
  check(
    '{name: X, conventions: {due_days: 14.5}}',
    '1:35 conventions.due_days: "14.5" is no number of days, up to 366',
  );
  check(
    '{name: X, conventions: {day_count: 30}}',
    '1:36 conventions.day_count: "30" is not known; one of days, exact, inclusive, thirty',
  );
  check(
    '{name: X, conventions: fair}',
    `1:24 conventions: \`conventions\` is an object with the fields ${'day_count, rounding, rounding_place, zero_usage_flat, tiers_at_change, included_in_part, leading_part, minimum_in_part, grace_days, due_days'}`,
  );
  check(
    '{name: X, colour: red}',
    '1:11 colour: unknown field; allowed are key, name, address, tax_id, invoice_prefix, credit_prefix, payment, conventions',
  );
});

test('a profile is of the account that is named beside it', () => {
  const { value } = defineProfile('{payer: parent, name: Acme Ltd, email: a@b.example, jurisdiction: US-CA}', 'acme');
  assert.deepEqual([value?.account, value?.payer, value?.jurisdiction, value?.entity], ['acme', 'parent', 'US-CA', '']);
  checkProfile('{payer: nobody}', '1:9 payer: "nobody" is not known; one of self, parent');
  checkProfile('{email: at home}', '1:9 email: "at home" is no address of mail');
  checkProfile(
    '{jurisdiction: Germany}',
    '1:16 jurisdiction: "Germany": upper case letters, digits and dashes, at most 16, such as DE or US-CA',
  );
  checkProfile(
    '{account: b}',
    '1:2 account: unknown field; allowed are entity, payer, name, address, tax_id, email, jurisdiction, exemption',
  );
});
