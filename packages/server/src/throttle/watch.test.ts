/** Following accounts that ask for nothing: all of them, without keeping anybody waiting. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Book } from '../domain/book.ts';
import type { ControlBody } from '../domain/control-fact.ts';
import { watching } from '../domain/limit/watched.ts';
import { gate, quotaOf } from './testing/gates.ts';
import { Watch } from './watch.ts';

const T = 1_795_000_000_000;
const ACCOUNTS = 20_000;

const accounts = Array.from({ length: ACCOUNTS }, (_, i): ControlBody => {
  const named = { kind: 'account' as const, id: `a${i}`, parent: null, name: '' };
  return { ...named, zone: 'UTC', currency: 'EUR', state: 'active' };
});

/** What a round does over all accounts: steps in accounts, between two breaths. */
async function roundOver(feed: 'metered' | 'decided', stopAfter = Number.POSITIVE_INFINITY) {
  const limit = gate(quotaOf(10), { feed, meter: 'bytes', thresholds: [50] }).limit;
  const bodies: ControlBody[] = [...accounts, { kind: 'limit', limit, accounts: [], from: 0, to: null }];
  const facts = bodies.map((body, i) => ({ receipt: i + 1, tenant: '', author: '', reason: '', recordedAt: 0, body }));
  const book = Book.at(facts, bodies.length);
  const steps = [0];
  const seen = new Set<string>();
  const counted = {
    catalogue: book.catalogue,
    account: (id: string) => book.account(id),
    *allAccounts() {
      for (const account of book.allAccounts()) {
        steps[steps.length - 1] = (steps.at(-1) ?? 0) + 1;
        yield account;
      }
    },
  };
  const watch = new Watch({
    book: () => counted,
    watched: watching(() => book),
    feed: {
      ensure: (gates) => {
        for (const { subject } of gates) seen.add(subject);
        return null;
      },
    },
    clock: { now: () => T, elapsed: () => T, sleep: async () => undefined },
    breathe: async () => {
      if (steps.length === stopAfter) void watch.stop();
      steps.push(0);
    },
    report: () => undefined,
  });
  await watch.round();
  return { steps, seen };
}

test('a round over many accounts lets others in every few hundred, and leaves none out', async () => {
  const { steps, seen } = await roundOver('metered');
  assert.equal(seen.size, ACCOUNTS);
  // An account is 31 us of work: 500 of them are 16 ms.
  assert.ok(Math.max(...steps) <= 500, `${Math.max(...steps)} accounts in one step`);
  assert.ok(Math.min(...steps.slice(0, -1)) >= 50, 'a breath costs something too');
});

test('where no meter is watched no account is looked at', async () => {
  const { steps, seen } = await roundOver('decided');
  assert.deepEqual([steps, seen.size], [[0], 0]);
});

test('a stop ends a round at its next breath', async () => {
  const { steps, seen } = await roundOver('metered', 3);
  assert.ok(steps.length <= 4 && seen.size < ACCOUNTS, `${steps.length} steps, ${seen.size} accounts`);
});
