import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkUtf8,
  eachElement,
  eachMember,
  JsonError,
  Note,
  notesMet,
  resetNotes,
  skipValue,
  stringAt,
  wholeValue,
} from './scan.ts';

const LONG = process.env.CI === 'true';
const RUNS = LONG ? 20_000 : 600;

/** undefined: refused. */
const reference = (bytes: Buffer): unknown => {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) };
  } catch {
    return undefined;
  }
};
const ours = (bytes: Buffer): unknown => {
  try {
    const [start, end] = wholeValue(bytes);
    return { value: JSON.parse(bytes.toString('utf8', start, end)) };
  } catch (error) {
    if (error instanceof JsonError) {
      assert.ok(error.offset >= 0 && error.offset <= bytes.length, `offset ${error.offset} of ${bytes.length}`);
      return undefined;
    }
    throw error;
  }
};

const spaced = (text: string, spaces: readonly number[]): string => {
  let at = 0;
  return text.replace(/[[\]{},:]/g, (c) => c + ' \n\t\r'.charAt((spaces[at++ % spaces.length] ?? 0) % 5));
};

test('the scanner accepts and refuses exactly what JSON.parse does, on valid JSON with white space', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), fc.array(fc.nat(9), { minLength: 1, maxLength: 20 }), (text, spaces) => {
      const bytes = Buffer.from(/"[^"]*[[\]{},:]/.test(text) ? text : spaced(text, spaces));
      assert.deepEqual(ours(bytes), reference(bytes));
    }),
    { numRuns: RUNS },
  );
});

test('the scanner accepts and refuses exactly what JSON.parse does, on JSON with a few bytes changed', () => {
  const pieces = [
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '0',
    '-',
    '.',
    'e',
    'u',
    '\n',
    ' ',
    '\u0000',
    'é',
    'null',
    '1',
  ];
  const change = fc.record({ at: fc.nat(), cut: fc.nat(3), put: fc.constantFrom(...pieces, '\\u12', '\\ud800', '') });
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), fc.array(change, { minLength: 1, maxLength: 3 }), (text, changes) => {
      let bytes = Buffer.from(text);
      for (const { at, cut, put } of changes) {
        const i = at % (bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, i), Buffer.from(put), bytes.subarray(i + cut)]);
      }
      assert.deepEqual(ours(bytes), reference(bytes), bytes.toString());
    }),
    { numRuns: RUNS * 4 },
  );
});

test('the scanner accepts and refuses exactly what JSON.parse does, on random bytes of JSON', () => {
  const alphabet = [...Buffer.from('{}[]":,\\ \n0123456789.-+eEtrufalsn\u0001'), 0x80, 0xc3, 0xa9, 0xff, 0xed, 0xa0];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...alphabet), { maxLength: 12 }), (list) => {
      const bytes = Buffer.from(list);
      assert.deepEqual(ours(bytes), reference(bytes), JSON.stringify(bytes.toString('latin1')));
    }),
    { numRuns: RUNS * 6 },
  );
});

test('members and elements are found with the slices that hold their values', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 })), (object) => {
      const entries = Object.entries(object);
      const bytes = Buffer.from(
        ` { ${entries.map(([k, v]) => `${JSON.stringify(k)} : ${JSON.stringify(v)}`).join(' , ')} } `,
      );
      const found: [string, unknown][] = [];
      eachMember(bytes, 1, (keyStart, keyEnd, value) => {
        const end = skipValue(bytes, value);
        found.push([stringAt(bytes, keyStart, keyEnd), JSON.parse(bytes.toString('utf8', value, end))]);
        return end;
      });
      assert.deepEqual(found, JSON.parse(JSON.stringify(entries)));
      const list = Buffer.from(JSON.stringify(entries.map(([, v]) => v)));
      const values: unknown[] = [];
      eachElement(list, 0, (value) => {
        const end = skipValue(list, value);
        values.push(JSON.parse(list.toString('utf8', value, end)));
        return end;
      });
      assert.deepEqual(values, JSON.parse(list.toString()));
    }),
    { numRuns: RUNS },
  );
});

test('the offset of bytes that are not UTF-8 is named', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ maxLength: 50 }), (before, after) => {
      const head = Buffer.from(before.replace(/\p{Surrogate}/gu, ''));
      const bytes = Buffer.concat([head, Buffer.from([0xff]), Buffer.from(after)]);
      assert.throws(
        () => checkUtf8(bytes),
        (error) => error instanceof JsonError && error.offset === head.length,
      );
    }),
    { numRuns: RUNS },
  );
});

test('a million open brackets are refused without a stack overflow', () => {
  assert.throws(() => wholeValue(Buffer.alloc(1_000_000, '[')), JsonError);
  const closed = Buffer.concat([Buffer.alloc(500_000, '['), Buffer.alloc(500_000, ']')]);
  assert.deepEqual(wholeValue(closed), [0, 1_000_000]);
});

const repeats = (text: string): boolean => {
  resetNotes();
  skipValue(Buffer.from(text), 0);
  return (notesMet() & Note.repeatedName) !== 0;
};

test('a name that stands twice in one object is noticed, and the same name in two objects is not', () => {
  assert.equal(repeats('{"a":1,"a":2}'), true);
  assert.equal(repeats('{"a":1,"\\u0061":2}'), true);
  assert.equal(repeats('{"\\u0061":1,"a":2}'), true);
  assert.equal(repeats('{"a":{"a":1},"b":[{"a":1},{"a":2}]}'), false);
  assert.equal(repeats('{"a":{"b":1,"c":{"d":1}},"e":1,"a":2}'), true);
  assert.equal(repeats('{"":1,"":2}'), true);
  const many = Array.from({ length: 300 }, (_, i) => `"n${i}":{"n${i}":0}`).join(',');
  assert.equal(repeats(`{${many}}`), false);
  assert.equal(repeats(`{${many},"n7":1}`), true);
  assert.equal(repeats(`[{${many}},{${many}}]`), false);
});

test('repeated names are noticed exactly when an object has fewer keys than members', () => {
  const member = fc.tuple(fc.constantFrom('a', 'b', 'ab', 'ba', '', 'c', '\\u0061'), fc.json({ maxDepth: 1 }));
  fc.assert(
    fc.property(fc.array(member, { maxLength: 40 }), (members) => {
      const text = `{"x":{${members.map(([k, v]) => `"${k}":${v}`).join(',')}},"y":{"a":1}}`;
      assert.equal(repeats(text), Object.keys(JSON.parse(text).x).length < members.length);
    }),
    { numRuns: RUNS },
  );
});
