import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PolicyState, rateLimitHeaders } from './rate-limit-headers.ts';

const policy = (more: Partial<PolicyState> = {}): PolicyState => ({
  name: 'calls',
  quota: 100,
  windowSeconds: 60,
  unit: 'requests',
  remaining: 40,
  resetSeconds: 30,
  ...more,
});

function check(policies: PolicyState[], retryAfterMs: number | null, expected: Record<string, string>): void {
  assert.deepEqual(rateLimitHeaders(policies, retryAfterMs), expected);
}

test('each policy is one item of both fields', () => {
  check([policy(), policy({ name: 'traffic', quota: 5e9, windowSeconds: 0, unit: 'content-bytes' })], 0, {
    'ratelimit-policy': '"calls";q=100;w=60, "traffic";q=5000000000;qu="content-bytes"',
    ratelimit: '"calls";r=40;t=30, "traffic";r=40;t=30',
  });
});

test('of what has no limit no numbers are told', () => check([], null, {}));

test('Retry-After is whole seconds, rounded up, and no earlier than the policy that is used up', () => {
  check([policy({ remaining: 0, resetSeconds: 30 })], 1200, {
    'ratelimit-policy': '"calls";q=100;w=60',
    ratelimit: '"calls";r=0;t=30',
    'retry-after': '30',
  });
  assert.equal(rateLimitHeaders([policy()], 1200)['retry-after'], '2');
});

test('waiting that does not help is no Retry-After', () => {
  assert.equal(rateLimitHeaders([policy({ remaining: 0 })], null)['retry-after'], undefined);
});

test('names and numbers stay what a structured field can hold', () => {
  const { ratelimit } = rateLimitHeaders([policy({ name: 'a"b\\cé\n', remaining: 2 ** 53 - 1, resetSeconds: -1 })], 0);
  assert.equal(ratelimit, '"a\\"b\\\\c__";r=999999999999999;t=0');
});

test('the older names are written by switch, of the policy closest to its limit', () => {
  const headers = rateLimitHeaders([policy(), policy({ name: 'b', quota: 10, remaining: 1 })], 0, { legacy: true });
  assert.deepEqual(
    [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining'], headers['x-ratelimit-reset']],
    ['10', '1', '30'],
  );
});
