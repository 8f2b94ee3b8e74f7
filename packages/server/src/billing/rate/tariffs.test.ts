import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactText, ofDecimal, type Ratio } from '../../domain/money/ratio.ts';
import { type TariffRule, tariffPrice } from './tariffs.ts';

/** `group field=value flat 1.5`, `group field>=64 rate 1.1`, `group - flat 1`, `group >=2 flat 1`. */
const ruleOf = (text: string): TariffRule => {
  const [group = '', what = '', type, cost = ''] = text.trim().split(/\s+/);
  const [, field = '', sign, operand = ''] = /^([a-z]*)(=|>=)?(.*)$/.exec(what) ?? [];
  return {
    group,
    field: field === '' ? null : field,
    value: sign === '=' ? operand : null,
    level: sign === '>=' ? ofDecimal(operand) : null,
    type: type === 'rate' ? 'rate' : 'flat',
    cost: ofDecimal(cost),
  };
};

const attributes: Record<string, string> = { flavor: 'small', memory: '128', image: 'abc' };
const numberOf = (name: string): Ratio | null => (name === 'memory' ? ofDecimal('128') : null);

/** Each row: rules, between commas -> the price of 2 of the resource. */
function check(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [rules = '', expected = ''] = row.split('->').map((part) => part.trim());
    const list = rules.split(',').map(ruleOf);
    const price = (some: TariffRule[]): string =>
      exactText(tariffPrice(some, { attributes, numberOf, quantity: ofDecimal('2') }));
    assert.equal(price(list), expected, row);
    assert.equal(price(list.toReversed()), expected, `${row}: the order of rules does not matter`);
  }
}

test('in a group the highest flat amount counts, times all rates; groups add up', () =>
  check(`
    a - flat 1                                         -> 2
    a - flat 1, a flavor=small flat 3                  -> 6
    a - flat 1, a flavor=large flat 3                  -> 2
    a - flat 1, b - flat 3                             -> 8
    a - flat 1, a flavor=small rate 1.5, a image=abc rate 3 -> 9
    a flavor=small rate 1.5                            -> 0
  `));

test('of the thresholds that are reached the highest rules; that of the service is not multiplied by the quantity', () =>
  check(`
    a memory>=64 flat 1, a memory>=128 flat 3, a memory>=129 flat 7 -> 6
    a memory>=129 flat 7                                            -> 0
    a - flat 1, a memory>=128 rate 1.5                              -> 3
    a - flat 1, a memory>=128 flat 0.5                              -> 3
    a >=1 flat 1, a >=2 flat 1.5, a >=3 flat 9                      -> 1.5
    a - flat 1, a >=2 flat 0.5                                      -> 2.5
    a - flat 1, a >=2 rate 0.5                                      -> 1
    a flavor>=1 flat 5                                              -> 0
  `));
