import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JsonError, JsonNumber, type JsonValue, readJson } from './json-exact.ts';
import { parsePath, pointerOf, textOf, valueAt } from './json-path.ts';

const plain = (v: JsonValue): unknown =>
  v instanceof JsonNumber
    ? Number(v.text)
    : v instanceof Map
      ? Object.fromEntries([...v].map(([k, x]) => [k, plain(x)]))
      : Array.isArray(v)
        ? v.map(plain)
        : v;

test('what JSON.parse reads is read the same, but for numbers as they were written', () => {
  fc.assert(
    fc.property(fc.json({ stringUnit: 'binary' }), fc.constantFrom(undefined, 1, '\t'), (text, indent) => {
      const value: unknown = JSON.parse(text);
      const spaced = JSON.stringify(value, null, indent);
      assert.deepEqual(plain(readJson(spaced)), JSON.parse(spaced));
    }),
  );
});

test('a text is refused exactly when JSON.parse refuses it', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b"',
    '1',
    '-',
    '.',
    '0',
    'e',
    'true',
    'nul',
    ' ',
    '\\',
    '"',
    '\u0000',
  );
  const accepts = (read: () => unknown): boolean => {
    try {
      read();
      return true;
    } catch (e) {
      return e instanceof JsonError && e.code === 'json.repeated_name';
    }
  };
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const text = pieces.join('');
      assert.equal(
        accepts(() => readJson(text)),
        accepts(() => JSON.parse(text)),
        text,
      );
    }),
    { numRuns: 2000 },
  );
});

test('numbers keep every digit', () => {
  for (const text of ['9007199254740993', '18446744073709551615', '1.10', '-0', '1e400', '0.1000000000000000055']) {
    const value = readJson(`{"v":${text}}`);
    assert.equal(textOf(valueAt(value, ['v'])), text);
  }
});

/** Each row: text -> code and position. */
test('bad texts are refused with a code and the position where reading stopped', () => {
  const rows: [string, string][] = [
    ['', 'json.syntax 0'],
    ['{"a":1', 'json.syntax 6'],
    ['{"a" 1}', 'json.syntax 5'],
    ['[1,]', 'json.syntax 3'],
    ['{"a":1,}', 'json.syntax 7'],
    ['[01]', 'json.syntax 2'],
    ['[NaN]', 'json.syntax 1'],
    ['[Infinity]', 'json.syntax 1'],
    ['[1] 2', 'json.syntax 4'],
    ['"a\nb"', 'json.syntax 2'],
    ['"\\x"', 'json.syntax 1'],
    ['"\\u12g4"', 'json.syntax 1'],
    ["{'a':1}", 'json.syntax 1'],
    ['{"a":1,"a":2}', 'json.repeated_name 7'],
    ['"\\ud800"', 'json.surrogate 0'],
    ['["\\udc00x"]', 'json.surrogate 1'],
    ['\ufeff1', 'json.syntax 0'],
  ];
  for (const [text, expected] of rows) {
    assert.throws(
      () => readJson(text),
      (e) => {
        assert.ok(e instanceof JsonError);
        assert.equal(`${e.code} ${e.position}`, expected, text);
        return true;
      },
    );
  }
});

test('depth and length are bounded', () => {
  const deep = (n: number) => '['.repeat(n) + ']'.repeat(n);
  assert.ok(readJson(deep(64)));
  assert.throws(() => readJson(deep(65)), /deeper than 64/);
  assert.throws(() => readJson(deep(1_000_000)), /deeper than 64/);
  assert.throws(() => readJson(`"${'x'.repeat(100)}"`, { maxLength: 100, maxDepth: 1 }), /more than 100/);
});

test('names that mean something to JavaScript are only names', () => {
  const value = readJson('{"__proto__":{"a":1},"constructor":2,"toString":"x"}');
  assert.equal(textOf(valueAt(value, ['__proto__', 'a'])), '1');
  assert.equal(textOf(valueAt(value, ['constructor'])), '2');
  assert.equal(valueAt(value, ['hasOwnProperty']), undefined);
});

test('paths name one value and nothing else', () => {
  const rows: [string, string | null][] = [
    ['$', ''],
    ['$.bytes', '/bytes'],
    ['$.a.b.c', '/a/b/c'],
    ["$['a b']", '/a b'],
    ['$["a.b"].c', '/a.b/c'],
    ["$['it\\'s']", "/it's"],
    ['$.list[0].x', '/list/0/x'],
    ['$.a/b.c~d', '/a~1b/c~0d'],
    ['$.ünï', '/ünï'],
    ['', null],
    ['bytes', null],
    ['$bytes', null],
    ['$.', null],
    ['$..a', null],
    ['$.*', null],
    ["$['*']", null],
    ['$[*]', null],
    ['$[-1]', null],
    ['$.a b', null],
    ['$.a[', null],
    ["$['a]", null],
    [`$${'.a'.repeat(33)}`, null],
    [`$.${'a'.repeat(600)}`, null],
  ];
  for (const [text, expected] of rows) {
    const path = parsePath(text);
    assert.equal(path === null ? null : pointerOf(path), expected, text);
  }
});

test('values are found by name and index, and only so', () => {
  const value = readJson('{"a":[{"b":null},7],"0":"zero"}');
  const at = (path: string) => valueAt(value, parsePath(path) ?? []);
  assert.equal(at('$.a[0].b'), null);
  assert.equal(textOf(at('$.a[1]')), '7');
  assert.equal(at('$.a[2]'), undefined);
  assert.equal(at('$.a.0'), undefined);
  assert.equal(at('$[0]'), undefined);
  assert.equal(at("$['0']"), 'zero');
});
