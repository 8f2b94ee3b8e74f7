/** Reading configurations of envoyproxy/ratelimit, and which rule a request matches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flawText } from '../../domain/limit/located.ts';
import { type Domain, match } from './domain.ts';
import { importEnvoy } from './envoy-config.ts';

const good = (text: string): Domain => {
  const { domain, problems } = importEnvoy(text, 1);
  assert.deepEqual(problems, null);
  assert.ok(domain !== null);
  return domain;
};

/** `entries`: `key=value` separated by spaces; answers the amount, window and counter, or what else matched. */
function check(domain: Domain, entries: string, expected: string): void {
  const parts = entries.split(' ').map((e) => ({ key: e.split('=')[0] ?? '', value: e.split('=')[1] ?? '' }));
  const found = match(domain, parts);
  const { rule, subject } = found ?? { rule: null, subject: '' };
  const limit = rule?.limit?.rule;
  const told =
    found === null
      ? 'nothing'
      : limit?.kind !== 'rate'
        ? 'unlimited'
        : `${limit.amount} per ${limit.windowMs / 1000} s of ${JSON.parse(subject).join(' ')}`;
  assert.equal(told, expected, entries);
}

const NESTED = `
domain: shop
descriptors:
  - key: database
    value: users
    rate_limit: { unit: second, requests_per_unit: 500 }
  - key: database
    rate_limit: { unit: MINUTE, requests_per_unit: 20 }
  - key: path
    value: /api/*
    rate_limit: { unit: hour, requests_per_unit: 7 }
    descriptors:
      - key: client
        rate_limit: { unit: week, requests_per_unit: 3 }
  - key: path
    value: /api/v2/*
    share_threshold: true
    rate_limit: { unit: month, requests_per_unit: 9 }
  - key: plan
    value: gold
    rate_limit: { unlimited: true }
  - key: only
    descriptors:
      - key: inner
        rate_limit: { unit: year, requests_per_unit: 1 }
`;

test('the most specific descriptor of the same depth is the one that counts', () => {
  const domain = good(NESTED);
  check(domain, 'database=users', '500 per 1 s of database users');
  check(domain, 'database=orders', '20 per 60 s of database orders');
  check(domain, 'database=', '20 per 60 s of database ');
  check(domain, 'path=/api/a', '7 per 3600 s of path /api/a');
  check(domain, 'path=/api/v2/a', '9 per 2592000 s of path /api/v2/*');
  check(domain, 'path=/other', 'nothing');
  check(domain, 'path=/api/a client=7', '3 per 604800 s of path /api/a client 7');
  check(domain, 'path=/api/v2/a client=7', 'nothing');
  check(domain, 'plan=gold', 'unlimited');
  check(domain, 'only=x', 'nothing');
  check(domain, 'only=x inner=y', '1 per 31536000 s of only x inner y');
  check(domain, 'database=users more=1', 'nothing');
});

function refused(text: string, ...expected: string[]): void {
  const { problems } = importEnvoy(text, 1);
  assert.deepEqual(problems?.map(flawText), expected);
}

const one = (descriptor: string): string => `domain: d\ndescriptors:\n  - ${descriptor}\n`;

test('what cannot be meant is refused by line, column and field', () => {
  refused('descriptors: []', '1:1 domain is missing: the name that requests come with');
  refused(
    one('{ key: a, rate_limit: { unit: fortnight, requests_per_unit: 1 } }'),
    '3:35 descriptors[0].rate_limit.unit: must be one of second, minute, hour, day, week, month, year',
  );
  refused(
    one('{ key: a, rate_limit: { unit: day, requests_per_unit: -1 } }'),
    '3:59 descriptors[0].rate_limit.requests_per_unit: must be a whole number from 0 to 4294967295',
  );
  refused(
    one('{ key: a, rate_limit: { unlimited: true, unit: day } }'),
    '3:52 descriptors[0].rate_limit.unit: contradicts unlimited: keep one of them',
  );
  refused(one('{ value: a }'), '3:5 descriptors[0]: key is missing: a descriptor is matched by it');
  refused(
    `${one('{ key: a, value: b }')}  - { key: a, value: b }\n`,
    '4:5 descriptors[1]: there is a descriptor with key "a" and value "b" here already',
  );
  refused(
    one('{ key: a, rate_limit: { unit: day, requests_per_unit: 1, replaces: [{ name: nobody }] } }'),
    '3:73 descriptors[0].rate_limit.replaces[0]: no rate_limit is named "nobody"',
  );
  refused(
    one('{ key: a, rate_limit: { unit: day, requests_per_unit: 1, name: me, replaces: [{ name: me }] } }'),
    '3:83 descriptors[0].rate_limit.replaces[0]: a rate_limit cannot replace itself',
  );
  refused(
    one('{ key: a, value: b, share_threshold: true }'),
    '3:42 descriptors[0].share_threshold: needs a value that ends with *: one value shares with nobody',
  );
});

test('a misspelt field limits nothing, so it is refused', () => {
  const { problems } = importEnvoy(one('{ key: a, ratelimit: { unit: day } }'), 1);
  assert.equal(problems?.length, 1);
  assert.match(flawText(problems?.[0] as never), /^3:15 descriptors\[0\]\.ratelimit: unknown field; allowed are key,/);
});
