import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Misread } from '../limit/amount.ts';
import { ConditionError, type ConditionInput, readCondition } from './condition.ts';

const conditionOf = (text: string) => {
  const read = readCondition(text);
  if (read instanceof Misread) throw new Error(read.why);
  return read;
};
const input = (dimensions: Record<string, string>): ConditionInput => ({
  account: { id: 'acme', name: 'Acme', zone: 'Europe/Berlin', currency: 'EUR' },
  dimensions,
});
const check = (text: string, dimensions: Record<string, string>, expected: boolean) =>
  assert.equal(conditionOf(text).holds(input(dimensions)), expected, text);

test('a condition holds by the account and the values of dimensions', () => {
  check('account.id == "acme"', {}, true);
  check('account.zone.startsWith("Europe/") && dimensions.model == "big"', { model: 'big' }, true);
  check('account.zone.startsWith("Europe/") && dimensions.model == "big"', { model: 'small' }, false);
  check('dimensions["a b"] in ["x", "y"]', { 'a b': 'y' }, true);
  check('!(dimensions.model in ["x", "y"])', { model: 'y' }, false);
});

test('a dimension that usage does not have is an empty text, as it is on the usage', () => {
  check('dimensions.model == ""', {}, true);
  check('dimensions.model == "big"', {}, false);
  check('has(dimensions.model)', {}, true);
});

test('the names it reads are known before it is asked, so that usage can be told apart by them', () => {
  assert.deepEqual(conditionOf('dimensions.b == "1" || dimensions["a"] == "2" || dimensions.b == "3"').dimensions, [
    'a',
    'b',
  ]);
  assert.deepEqual(conditionOf('account.id == "a"').dimensions, []);
  assert.deepEqual(conditionOf('["x"].exists(v, v == dimensions.c)').dimensions, ['c']);
});

test('names from outside are values, not names of the language', () => {
  assert.ok(readCondition('dimensions.__proto__ == ""') instanceof Misread);
  check('dimensions["constructor"] == ""', {}, true);
  check('account.name == "Acme"', { model: '") || true || ("' }, true);
  check('dimensions.model == "x"', { model: '" || true || "' }, false);
});

test('a condition that fails on a value says so, and is not taken for false', () => {
  assert.throws(
    () => conditionOf('int(dimensions.size) > 3').holds(input({ size: 'large' })),
    (error) => error instanceof ConditionError && error.code === 'price.condition' && /failed/.test(error.message),
  );
  check('int(dimensions.size) > 3', { size: '9007199254740993' }, true);
});

test('a loop stands in no other loop and goes over no other’s outcome: each would multiply the time or the memory', () => {
  const many = `[${Array.from({ length: 40 }, (_, i) => i).join(', ')}]`;
  const nested = [
    `${many}.exists(a, ${many}.all(b, a == b))`,
    '[[1]].map(a, a + a).map(a, a + a).exists(a, a.size() > 2)',
    'cel.bind(a, [1] + [1], cel.bind(b, a + a, b.size() > 2))',
  ];
  for (const text of nested) {
    const read = readCondition(text);
    assert.ok(read instanceof Misread && /another loop/.test(read.why), text);
  }
  check('["s", "m"].exists(a, a == dimensions.size) || !["l"].all(a, a == dimensions.size)', { size: 'm' }, true);
});

test('a condition is bounded in size', () => {
  const long = Array.from({ length: 300 }, (_, i) => `account.id == "${i}"`).join(' || ');
  assert.ok(readCondition(long) instanceof Misread);
  assert.ok(readCondition(`${'('.repeat(100)}true${')'.repeat(100)}`) instanceof Misread);
});
