/** One plan with prices, as text, and where in it something is wrong: the spot is marked by an `@`. */
import assert from 'node:assert/strict';
import { definePlans } from '../limit/define-plans.ts';
import { flawText } from '../limit/located.ts';
import { builtinMeters, defineMeter, type Meter } from '../meter.ts';
import type { PlanBilling } from '../price/price.ts';

export const meterOf = (input: unknown): Meter => {
  const meter = defineMeter(input);
  if (Array.isArray(meter)) throw new Error(JSON.stringify(meter));
  return meter;
};
export const pricedMeters: readonly Meter[] = [
  ...builtinMeters(),
  meterOf({ key: 'tokens', eventType: 'llm', valuePath: '$.n', groupBy: { model: '$.model' }, unit: '{token}' }),
  meterOf({ key: 'sales', eventType: 'sale', valuePath: '$.eur', unit: 'EUR' }),
  meterOf({ key: 'fees', eventType: 'sale', valuePath: '$.usd', unit: 'USD' }),
  meterOf({ key: 'stored', kind: 'gauge', eventType: 'disk', valuePath: '$.bytes', unit: 'By' }),
  meterOf({ key: 'vms', kind: 'gauge', eventType: 'vms', valuePath: '$.n', unit: '{vm}' }),
];

export const planText = (prices: readonly string[], terms: readonly string[] = ['currency: EUR']): string =>
  [
    'plans:',
    '  - key: p',
    '    entitlements:',
    '      - {key: tokens, meter: tokens, amount: 1000, per: month, overage: allow}',
    '      - {key: yearly, meter: tokens, amount: 1000, per: year, overage: allow}',
    '      - {key: own, meter: tokens, amount: 1000, per: billing, overage: allow}',
    '      - {key: sent, meter: network.bytes.sent, amount: 5 GB, per: month, overage: allow}',
    '    billing:',
    ...terms.map((line) => `      ${line}`),
    ...(prices.length === 0 ? [] : ['      prices:', ...prices.map((price) => `        - ${priceText(price)}`)]),
  ].join('\n');

/** Of tokens, unless it is a whole object. */
const priceText = (text: string): string => (/^@?\{/.test(text) ? text : `{key: x, meter: tokens, ${text}}`);

export const billingOf = (text: string): PlanBilling => {
  const { value, problems } = definePlans(text, pricedMeters);
  assert.deepEqual(problems?.map(flawText) ?? [], []);
  const found = value?.[0]?.billing;
  assert.ok(found);
  return found;
};

/** The messages, in order, each at the `@` of its turn. */
export function checkRefused(marked: string, messages: readonly string[]): void {
  const spots: string[] = [];
  const text = marked
    .split('\n')
    .map((line, i) => {
      let plain = line;
      for (let at = plain.indexOf('@'); at >= 0; at = plain.indexOf('@')) {
        spots.push(`${i + 1}:${at + 1}`);
        plain = plain.slice(0, at) + plain.slice(at + 1);
      }
      return plain;
    })
    .join('\n');
  const expected = messages.map((message, i) => `${spots[i]} plans[0].billing.${message}`);
  assert.deepEqual(definePlans(text, pricedMeters).problems?.map(flawText) ?? [], expected, text);
}
