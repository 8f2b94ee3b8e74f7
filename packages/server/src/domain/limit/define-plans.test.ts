import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { builtinMeters, defineMeter, type Meter } from '../meter.ts';
import { Misread, readAmount } from './amount.ts';
import { defineLimit, definePlans } from './define-plans.ts';
import { AMOUNT_MAX } from './limit.ts';
import { flawText } from './located.ts';
import type { PlanContent } from './plan.ts';

const meterOf = (input: unknown): Meter => {
  const meter = defineMeter(input);
  if (Array.isArray(meter)) throw new Error(JSON.stringify(meter));
  return meter;
};
const example = (name: string): string =>
  readFileSync(new URL(`../../../../../docs/examples/${name}`, import.meta.url), 'utf8');
const meters: Meter[] = [
  ...builtinMeters(),
  ...['service-meters.json', 'stratos-meters.json'].flatMap((f) => (JSON.parse(example(f)) as unknown[]).map(meterOf)),
  meterOf({ key: 'tokens', eventType: 'llm', valuePath: '$.n', groupBy: { model: '$.model' }, unit: '{token}' }),
];

const plans = (text: string): PlanContent[] => {
  const { value, problems } = definePlans(text, meters);
  assert.deepEqual(problems?.map(flawText) ?? [], []);
  return value ?? [];
};
/** One entitlement `e` on tokens and a limit that reads it, with more lines for either. */
const planText = (limit = '', entitlement = ''): string => `plans:
  - key: p
    entitlements:
      - {key: e, meter: tokens, amount: 1000, per: month${entitlement}}
    limits:
      - key: l
        entitlement: e
${limit
  .split('\n')
  .map((line) => `        ${line}`)
  .join('\n')}`;
const limitText = (limit: string): string => `plans:\n  - key: p\n    limits:\n      - {key: l, ${limit}}`;

const check = (text: string, expected: string) => {
  const { problems } = definePlans(text, meters);
  const told = (problems ?? []).map(flawText).join('\n');
  assert.ok(told.includes(expected), `wanted ${expected}\ngot    ${told}`);
};

test('the four packages of Stratos: the numbers of the package file, once', () => {
  const stratos = plans(example('stratos-plans.yaml'));
  const amounts = stratos.map((p) => [p.key, ...p.entitlements.map((e) => e.amount)]);
  assert.deepEqual(amounts, [
    ['demo', 20_000_000, 50_000_000, 1],
    ['smb', 50_000_000, 150_000_000, null],
    ['professional', 500_000_000, 1_536_000_000, null],
    ['enterprise', 5_120_000_000, 15_360_000_000, null],
  ]);
  const bandwidth = stratos.map((p) => p.limits.find((l) => l.key === 'bandwidth'));
  assert.deepEqual(
    bandwidth.map((l) => [l?.hard, l?.feed]),
    [
      [true, 'metered'],
      [true, 'metered'],
      [false, 'metered'],
      [false, 'metered'],
    ],
  );
  assert.deepEqual(bandwidth[0]?.actions, [
    'service_in_bandwith_action',
    'webapp_in_bandwith_action',
    'out_data_action',
  ]);
});

test('a limit takes its defaults from what it is', () => {
  const [plan] = plans(planText());
  assert.deepEqual(plan, {
    key: 'p',
    name: 'p',
    entitlements: [{ key: 'e', meter: 'tokens', amount: 1000, per: 'month', overage: 'block' }],
    limits: [
      {
        key: 'l',
        meter: 'tokens',
        feed: 'metered',
        scope: 'account',
        rule: { kind: 'entitlement', entitlement: 'e' },
        hard: true,
        shadow: false,
        thresholds: [50, 80, 100],
        actions: [],
        fail: { mode: 'last' },
        message: '',
        upgrade: '',
      },
    ],
  });
});

test('a limit says how servers share it, where its rule can be shared so', () => {
  const limit = (text: string) => plans(limitText(text))[0]?.limits[0];
  assert.equal(limit('meter: requests, rate: 100 per minute, algorithm: fixed, sharing: strict')?.sharing, 'strict');
  assert.equal(limit('meter: requests, rate: 100 per minute, sharing: async')?.sharing, 'async');
  assert.equal(limit('meter: requests, rate: 100 per minute')?.sharing, undefined);
});

test('rates, quotas and concurrency are read with their units', () => {
  const rule = (text: string) => plans(limitText(text))[0]?.limits[0]?.rule;
  const rate = { kind: 'rate', algorithm: 'sliding' };
  assert.deepEqual(rule('meter: requests, rate: 100 per minute'), {
    ...rate,
    amount: 100,
    windowMs: 60_000,
    burst: 100,
  });
  assert.deepEqual(rule('meter: requests, rate: 5 requests per 10 seconds, algorithm: bucket, burst: 20'), {
    ...rate,
    algorithm: 'bucket',
    amount: 5,
    windowMs: 10_000,
    burst: 20,
  });
  assert.deepEqual(rule('meter: service.bytes.sent, rate: 1.5 MB per second'), {
    ...rate,
    amount: 1_500_000,
    windowMs: 1000,
    burst: 1_500_000,
  });
  assert.deepEqual(rule('meter: service.bytes.sent, quota: 1 GiB, per: billing'), {
    kind: 'quota',
    amount: 2 ** 30,
    period: 'billing',
  });
  assert.deepEqual(rule('meter: requests, concurrency: 3'), { kind: 'concurrency', amount: 3, holdMs: 60_000 });
  assert.deepEqual(rule('meter: requests, concurrency: 3, hold: 5 min'), {
    kind: 'concurrency',
    amount: 3,
    holdMs: 300_000,
  });
});

test('soft, shadow, scope, thresholds, fail mode: as written', () => {
  const soft = plans(
    planText(
      'shadow: true\nthresholds: [90, 120%]\nscope: {dimension: model}\nfail: {bounded: 5 tokens}',
      ', overage: allow',
    ),
  );
  const { hard, shadow, thresholds, scope, fail } = soft[0]?.limits[0] ?? {};
  assert.deepEqual(
    { hard, shadow, thresholds, scope, fail },
    {
      hard: false,
      shadow: true,
      thresholds: [90, 120],
      scope: { dimension: 'model' },
      fail: { mode: 'bounded', amount: 5 },
    },
  );
});

test('JSON is read by the same words', () => {
  const json = JSON.stringify(
    { plans: [{ key: 'p', limits: [{ key: 'l', meter: 'requests', rate: '9 per second' }] }] },
    null,
    2,
  );
  assert.equal(plans(json)[0]?.limits[0]?.key, 'l');
});

test('each problem stands with its line, its column and its path, all of them at once', () => {
  const { problems } = definePlans(planText('hrad: true\nfeed: telepathy', ', overage: maybe'), meters);
  assert.deepEqual(
    problems?.map(({ line, column, path }) => [line, column, path]),
    [
      [4, 68, 'plans[0].entitlements[0].overage'],
      [8, 9, 'plans[0].limits[0].hrad'],
      [9, 15, 'plans[0].limits[0].feed'],
    ],
  );
  assert.match(problems?.[1]?.message ?? '', /^unknown field; allowed are key, meter, entitlement/);
});

test('a text that is no YAML, or not plans, is refused where it breaks', () => {
  check('plans: [', '1:9 this is not YAML');
  check('', '1:1 a file of plans is an object with the fields plans');
  check('plans: []', 'plans: a list of at least one plan');
  check('plans: {a: 1}', 'plans: a list of plans');
  check('plans: [&a {key: p}, *a]', 'aliases are not read here');
  check('plans: [{key: p, key: q}]', '1:18 this is not YAML: Map keys must be unique');
  check('plans: [[[[[[[[[[[[[[1]]]]]]]]]]]]]]', 'nested too deeply');
});

test('unknown units and meters are refused with what is allowed', () => {
  check(
    planText('', ', amount: 5 MB').replace('amount: 1000, ', ''),
    'unknown unit "MB": the meter counts token; allowed is token, tokens',
  );
  check(limitText('meter: service.bytes.sent, quota: 5 KB, per: day'), 'write kB for 1000 bytes or KiB for 1024');
  check(limitText('meter: service.bytes.sent, quota: 5 Mbit, per: day'), 'unknown unit "Mbit"');
  check(limitText('meter: gone, quota: 5, per: day'), 'there is no meter "gone"; known are network.bytes.received');
  check(limitText('meter: tokens + tokens, quota: 5, per: day'), 'names a meter twice');
  check(limitText('meter: tokens + users, quota: 5, per: day'), 'count in different units');
  // A level that is summed over time is no amount of bytes.
  check(limitText('meter: storage.bytes, quota: 20 MB, per: month'), 'the meter counts By.h');
  check(limitText('meter: tokens, quota: 5, per: fortnight'), 'one of day, week, month, year, billing');
  check(
    limitText('meter: tokens, quota: 5, per: day, scope: {dimension: color}'),
    'has no dimension "color"; it has model',
  );
});

test('zero, negative, broken and huge amounts are refused', () => {
  const amount = (text: string, expected: string) =>
    check(limitText(`meter: service.bytes.sent, quota: ${text}, per: day`), expected);
  amount('0', 'an amount is at least 1');
  amount('0.0 MB', 'an amount is at least 1');
  amount('-5 MB', 'an amount is not negative');
  amount('1.5', 'is not a whole number of bytes');
  amount('9007199254740992', 'is above 9007199254740991');
  amount('10 PB', 'is above 9007199254740991');
  amount('1e400', 'unknown unit "e400"');
  amount('many', 'is not an amount');
  amount('unlimited', 'leave it away');
  check(limitText('meter: requests, rate: 0 per second'), 'an amount is at least 1');
  check(limitText('meter: requests, concurrency: -1'), 'an amount is not negative');
});

test('rates that cannot be counted exactly, or belong to the calendar, are refused', () => {
  check(limitText('meter: requests, rate: 5 per month'), 'a period of the calendar');
  check(limitText('meter: requests, rate: 5 per 900 days'), 'rate: 77760000000 is not a whole number from 1 to');
  check(limitText('meter: requests, rate: 5 per 0 seconds'), 'a time is at least 1 ms');
  check(limitText('meter: requests, rate: 5/minute'), 'write it as in `100 per minute`');
  check(limitText('meter: requests, rate: 20000 per minute, algorithm: log'), 'a log counts up to 10000');
  check(limitText('meter: requests, rate: 5 per minute, burst: 9'), 'only a bucket has a burst');
  check(limitText('meter: service.bytes.sent, rate: 900 TB per hour, algorithm: bucket'), 'is not exact');
});

test('contradictions are refused, with both places', () => {
  check(planText('hard: false'), 'contradicts `overage: block` of the entitlement e');
  check(planText('hard: true', ', overage: allow'), 'contradicts `overage: allow` of the entitlement e');
  check(planText('meter: users'), 'contradicts the entitlement e, which is on tokens');
  check(planText('quota: 5\nper: day'), 'contradicts `entitlement`');
  check(planText('burst: 5'), 'goes with `rate`, and this limit states `entitlement`');
  check(limitText('meter: requests'), 'a limit states one of entitlement, quota, rate, concurrency');
  check(
    `${planText()}\n      - {key: m, meter: tokens, quota: 500, per: month}`,
    'contradictory: l in line 6 is a quota on the same, of 1000; this one says 500',
  );
  check(limitText('meter: requests, rate: 5 per second, feed: metered'), 'counts what it admits');
  check(limitText('meter: requests, quota: 5, per: day, feed: metered'), 'requests are counted by deciding');
  check(limitText('meter: stratos.users, quota: 5, per: day, feed: decided'), 'cannot be the usage of stratos.users');
  check(
    planText('entitlement: x').replace('        entitlement: e\n', ''),
    'the plan has no entitlement "x"; it has e',
  );
  check(planText().replace(/ {4}limits[\s\S]*/, ''), 'nothing blocks beyond it');
});

test('a candidate in shadow, or a soft limit below a hard one, is no contradiction', () => {
  const more = (fields: string) => `${planText()}\n      - {key: m, meter: tokens, quota: 500, per: month, ${fields}}`;
  assert.equal(plans(more('shadow: true'))[0]?.limits.length, 2);
  assert.equal(plans(more('hard: false'))[0]?.limits.length, 2);
  assert.equal(plans(more('actions: [x]'))[0]?.limits.length, 2);
});

test('what is said twice is ambiguous', () => {
  check('plans: [{key: p}, {key: p}]', 'ambiguous: there is a plan "p" already, in line 1');
  check(
    `${planText()}\n      - {key: l, meter: tokens, quota: 500, per: day}`,
    'ambiguous: there is a limit "l" already, in line 6',
  );
  const two = '      - {key: f, meter: tokens, amount: 7, per: month, overage: allow}\n    limits:';
  check(
    planText().replace('    limits:', two),
    'ambiguous: e in line 4 already says what is included of tokens per month',
  );
  check(
    `${planText()}\n      - {key: m, entitlement: e}`,
    'ambiguous: l in line 6 is a quota on the same, of the same',
  );
});

test('thresholds, actions, links and keys are held to what they are', () => {
  check(planText('thresholds: [80, 50]'), 'whole percents from 1 to 1000, ascending');
  check(planText('thresholds: [0]'), 'whole percents from 1 to 1000');
  check(planText('actions: ["*"]'), 'leave it away for all actions');
  check(planText('actions: [a, a]'), '"a" stands here twice');
  check(planText('upgrade: javascript:alert(1)'), 'an address that begins with https://');
  check(planText('fail: {bounded: 0}'), 'an amount is at least 1');
  check(planText('fail: sometimes'), 'one of open, closed, last');
  check('plans: [{key: Großer Plan}]', 'lower case letters');
  check(planText('message: "a\\nb"'), 'without line breaks');
  check(planText('hard: yes'), 'one of true, false');
});

test('a limit of the installation names accounts and reads no entitlement', () => {
  const good = defineLimit('{key: guard, meter: requests, rate: 1000 per second, accounts: [a, b]}', meters).value;
  assert.deepEqual([good?.limit.key, good?.accounts], ['guard', ['a', 'b']]);
  const { problems } = defineLimit('{key: guard, entitlement: e}', meters);
  assert.match(problems?.[0]?.message ?? '', /a limit of the installation states one of quota, rate, concurrency/);
});

test('amounts are exact: what is read is the number times the unit, or is refused', () => {
  const units = { B: 1n, kB: 1000n, MB: 10n ** 6n, GiB: 2n ** 30n, TB: 10n ** 12n };
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 18n }),
      fc.nat(6),
      fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])),
      (digits, decimals, unit) => {
        const text = digits.toString().padStart(decimals + 1, '0');
        const written = decimals === 0 ? text : `${text.slice(0, -decimals)}.${text.slice(-decimals)}`;
        const read = readAmount(`${written} ${unit}`, 'By');
        const [product, scale] = [digits * units[unit], 10n ** BigInt(decimals)];
        const exact = product > 0n && product % scale === 0n && product / scale <= BigInt(AMOUNT_MAX);
        if (exact) assert.equal(read, Number(product / scale));
        else assert.ok(read instanceof Misread);
      },
    ),
  );
});

test('whatever the text, it is plans or problems, never a failure', () => {
  const word = fc.constantFrom(
    'plans',
    'key',
    'limits',
    'entitlements',
    'rate',
    '5 per s',
    'p',
    ':',
    '-',
    '[',
    ']',
    '{',
    '}',
    '\n',
    '  ',
    ',',
    '"',
    '&a',
    '*a',
    '!!x',
    '#',
    '\t',
    '\u0000',
    '|',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word).map((words) => words.join(' ')),
      ),
      (text) => {
        const { value, problems } = definePlans(text, meters);
        assert.ok((value === null) !== (problems === null));
        for (const { line, column } of problems ?? []) assert.ok(line >= 1 && column >= 1);
      },
    ),
  );
});
