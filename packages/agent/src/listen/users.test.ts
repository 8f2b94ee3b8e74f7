import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualTime, Sums, until } from './testing/world.ts';
import { meterUsers } from './users.ts';

const world = (users: Record<string, number>, more: { maxTenants?: number } = {}) => {
  const sums = new Sums();
  const time = new ManualTime();
  const asked: string[] = [];
  const hook = { during: async (_tenant: string): Promise<void> => undefined };
  const meter = meterUsers({
    recorder: sums,
    timers: time,
    random: { fraction: () => 0.5 },
    tenants: async () => Object.keys(users),
    count: async (tenant) => {
      asked.push(tenant);
      const value = users[tenant] ?? 0;
      await hook.during(tenant);
      return value;
    },
    ...more,
  });
  return { users, sums, time, asked, hook, meter, level: (tenant: string) => sums.level('users', tenant) };
};

test('the count is unknown until it was taken, then moves with every user', async () => {
  const { meter, level, time, sums } = world({ acme: 3, empty: 0 });
  meter.added('acme');
  assert.equal(sums.levels.length, 0);
  time.pass(60_000);
  await until(() => level('empty') !== undefined);
  assert.equal(level('acme'), 3);
  meter.added('acme');
  meter.removed('acme', 2);
  assert.equal(level('acme'), 2);
  assert.equal(level('empty'), 0);
});

test('drift heals: at the hour, and soon when the level would go below zero', async () => {
  const { meter, level, users, time } = world({ acme: 1 });
  await meter.sample();
  users.acme = 7;
  time.pass(3_600_000);
  await until(() => level('acme') === 7);
  users.acme = 1;
  meter.removed('acme', 10);
  assert.equal(level('acme'), 7, 'never negative');
  time.pass(60_000);
  await until(() => level('acme') === 1);
  users.acme = 0;
  meter.close();
  assert.equal(time.waiting, 0);
});

test('a count during which users came is not believed over the sum of changes, unless they always come', async () => {
  const { meter, level, users, hook, time } = world({ acme: 1 });
  await meter.sample();
  hook.during = async (tenant) => meter.added(tenant);
  users.acme = 50;
  await meter.sample();
  assert.equal(level('acme'), 2);
  await meter.sample();
  await meter.sample();
  assert.equal(level('acme'), 50, 'the third in a row');
  hook.during = async () => undefined;
  users.acme = 51;
  time.pass(3_600_000);
  await until(() => level('acme') === 51);
});

test('one tenant that cannot be counted stops no other, and keeps its level', async () => {
  const { meter, level, hook, users } = world({ bad: 1, good: 2, odd: 1.5 });
  hook.during = async (tenant) => {
    if (tenant === 'bad') throw new Error('no');
  };
  await meter.sample();
  assert.deepEqual([level('bad'), level('good'), level('odd')], [undefined, 2, undefined]);
  hook.during = async () => undefined;
  users.odd = 1;
  await meter.sample();
  assert.deepEqual([level('bad'), level('good'), level('odd')], [1, 2, 1]);
  assert.equal(meter.report().errors, 2);
});

test('a tenant that is gone is counted once more, and hostile names take no room', async () => {
  const { meter, level, users, asked } = world({ a: 1, b: 1 }, { maxTenants: 2 });
  await meter.sample();
  delete users.a;
  await meter.sample();
  assert.equal(level('a'), 0);
  meter.added('c');
  meter.added('x'.repeat(200));
  meter.added('b', 0.5);
  assert.equal(meter.report().errors, 3);
  assert.deepEqual({ ...meter.report().unattributed }, { invalid: 1, refused: 0, overflow: 1 });
  assert.ok(!asked.includes('c'));
});
