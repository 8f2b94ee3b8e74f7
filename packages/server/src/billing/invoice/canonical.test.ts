/** The text of a document is written in a way of its own, for speed; it must be the canonical one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatQuantity } from '../../domain/quantity.ts';
import { canonicalText, digestOf, documentText, seriesDigest } from './canonical.ts';
import type { InvoiceDocument, Line } from './document.ts';

const text = fc.string({ unit: 'binary' });
const whole = fc.maxSafeInteger();
const maybe = fc.option(text);
const series = fc.record({ series: fc.nat(), quantity: fc.bigInt(-(10n ** 37n), 10n ** 37n), digest: text });
const step = fc.record({ text, quantity: maybe, unit: maybe, price: maybe, amount: text });
const line = fc.record(
  {
    ...{ no: whole, key: text, kind: fc.constantFrom('usage', 'fee'), account: text, plan: text, planVersion: whole },
    ...{ price: text, name: text, from: whole, to: whole, ahead: fc.constant(true), quantity: maybe, unit: text },
    ...{
      metered: maybe,
      meter: text,
      state: fc.constantFrom('known', 'pending'),
      flags: fc.array(text, { maxLength: 2 }),
    },
    ...{ steps: fc.array(step, { maxLength: 3 }), exact: text, amount: text, tax: text, taxCategory: text },
    ...{ corrects: text, series: fc.array(series, { maxLength: 3 }), digest: text },
  },
  {
    requiredKeys: [
      ...(['no', 'key', 'kind', 'account', 'plan', 'planVersion', 'price', 'name', 'from', 'to', 'quantity'] as const),
      ...(['unit', 'metered', 'meter', 'state', 'flags', 'steps', 'exact', 'amount', 'taxCategory'] as const),
      ...(['corrects', 'series', 'digest'] as const),
    ],
  },
) as fc.Arbitrary<Line>;
const document = fc.record({
  lines: fc.array(line, { maxLength: 4 }),
  conventions: fc.dictionary(text, fc.oneof(text, whole)),
  account: text,
  accounts: fc.array(text),
  from: whole,
  basis: fc.array(fc.record({ receipt: whole, kind: text, digest: text })),
}) as unknown as fc.Arbitrary<InvoiceDocument>;

const withTexts = ({ quantity, ...rest }: Line['series'][number]) => ({ ...rest, quantity: formatQuantity(quantity) });

test('the text of any document is its canonical text, field by field', () => {
  fc.assert(
    fc.property(document, (one) => {
      const plain = { ...one, lines: one.lines.map((of) => ({ ...of, series: of.series.map(withTexts) })) };
      assert.equal(documentText(one), canonicalText(plain));
      // What is kept of its conventions is of the same text.
      assert.equal(documentText(one), canonicalText(plain));
    }),
  );
});

test('the digest of several series is that of their canonical texts, in whatever order; of one it is its own', () => {
  fc.assert(
    fc.property(fc.array(series, { maxLength: 4 }), (list) => {
      const texts = list.map((one) => canonicalText(withTexts(one))).sort();
      const expected = list.length < 2 ? (list[0]?.digest ?? '') : digestOf(texts.join('\n'));
      assert.equal(seriesDigest(list), expected);
      assert.equal(seriesDigest([...list].reverse()), expected);
    }),
  );
});

test('a line with a number that is no safe integer has no text', () => {
  const [one] = fc.sample(
    document.filter(({ lines }) => lines.length > 0),
    1,
  );
  const [first] = one?.lines ?? [];
  assert.throws(
    () => documentText({ ...(one as InvoiceDocument), lines: [{ ...(first as Line), from: 0.5 }] }),
    TypeError,
  );
});
