/** What strangers may make a server keep by what they send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../engine/engine.ts';
import { gate, rate } from '../testing/gates.ts';
import { Throttle } from '../throttle.ts';
import { type Call, Calls } from './call.ts';
import { importEnvoy } from './envoy-config.ts';
import { openBook } from './testing/rls-world.ts';

const NOW = 1_795_000_000_000;
const CONFIG = 'domain: shop\ndescriptors:\n  - key: user\n    rate_limit: { unit: minute, requests_per_unit: 3 }\n';

function ask(): (domain: string, text: string, limit?: { requestsPerUnit: number; unit: 'HOUR' }) => Call {
  const engine = new Engine();
  const byUser = gate(rate('fixed', 5, 1000), { key: 'by-user', scope: { dimension: 'user' } }).limit;
  const book = openBook([
    { kind: 'account', id: 'acme', parent: null, name: 'acme', zone: 'UTC', currency: 'EUR', state: 'active' },
    { kind: 'limit', limit: byUser, accounts: [], from: 0, to: null },
  ]);
  const clock = { now: () => NOW, elapsed: () => NOW, sleep: async () => undefined };
  const ports = { feed: { ensure: () => null }, grants: { ensure: () => null } };
  const throttle = new Throttle({ book: () => book, clock, engine, ...ports, decided: () => undefined });
  const shop = importEnvoy(CONFIG, 1).domain ?? undefined;
  const domain = (name: string) => (name === 'shop' ? shop : undefined);
  const calls = new Calls({ throttle, engine, domain, at: () => 9 });
  return (name, value, limit) => {
    const account = name === 'tollgate' ? [{ key: 'account', value: 'acme' }] : [];
    const entries = [...account, { key: 'user', value }];
    const descriptors = [{ entries, limit: limit ?? null, hitsAddend: null }];
    return calls.of({ domain: name, hitsAddend: 1, descriptors }, NOW);
  };
}

const LONG = 'x'.repeat(60_000);

test('values of any length are counted each by itself, under names that stay short', () => {
  const call = ask();
  const check = (domain: string, limit?: { requestsPerUnit: number; unit: 'HOUR' }): void => {
    const subjects = ['short', `${LONG}1`, `${LONG}2`, `${LONG}1`].map((value) =>
      call(domain, value, limit).gates.map(({ subject }) => subject),
    );
    assert.deepEqual(
      subjects.map((one) => one.length),
      [1, 1, 1, 1],
    );
    assert.equal(new Set(subjects.flat()).size, 3, domain);
    assert.deepEqual(subjects[1], subjects[3]);
    for (const subject of subjects.flat()) assert.ok(subject.length <= 512, `${domain}: ${subject.length} characters`);
  };
  check('shop');
  check('elsewhere', { requestsPerUnit: 9, unit: 'HOUR' });
  check('tollgate');
});

test('what a call bears on is kept, unless it is too long a text to keep many of', () => {
  const call = ask();
  for (const domain of ['shop', 'tollgate']) {
    assert.equal(call(domain, 'short'), call(domain, 'short'));
    assert.notEqual(call(domain, LONG), call(domain, LONG));
  }
});
