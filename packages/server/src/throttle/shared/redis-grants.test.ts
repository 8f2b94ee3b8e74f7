/** Grants in a real Redis: the cases of every store of grants, and what only Redis can get wrong. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { sharedGrantCases } from '../../store/contract/control-grants.ts';
import { sharedLeaseCases } from '../../store/contract/control-leases.ts';
import { systemClock } from '../../system.ts';
import { openRedisGrants, type RedisGrants } from './redis-grants.ts';
import { needsRedis, type Redis, startRedis } from './testing/redis.ts';

const skip = needsRedis();
const ask = { tenant: 'acme', counter: 'calls', from: 1000, to: 2000, want: 10, amount: 25 };

suite('Redis as a store of grants', { skip }, () => {
  let redis: Redis;
  let opened: RedisGrants[] = [];
  let prefixes = 0;
  const told: string[] = [];

  before(async () => {
    redis = await startRedis();
  });
  after(async () => {
    await redis.stop();
  });

  const open = async (prefix = `test-${prefixes}:`): Promise<RedisGrants> => {
    const report = (event: string): void => void told.push(event);
    const grants = await openRedisGrants({ url: redis.url, clock: systemClock, prefix, report, isNew: true });
    opened.push(grants);
    return grants;
  };
  const use = (sentence: string, work: () => Promise<void>): void => {
    test(sentence, async () => {
      prefixes++;
      told.length = 0;
      try {
        await work();
      } finally {
        await Promise.all(opened.map((grants) => grants.close()));
        opened = [];
      }
    });
  };

  for (const [sentence, run] of Object.entries(sharedGrantCases))
    use(sentence, async () => run({ store: await open(), again: () => open() }));

  for (const [sentence, run] of Object.entries(sharedLeaseCases))
    use(sentence, async () => run({ store: await open(), again: () => open() }));

  use('what was granted outlives a killed Redis, also where it does not know the script any more', async () => {
    const grants = await open();
    await grants.takeGrants([ask]);
    await redis.kill();
    await assert.rejects(grants.takeGrants([ask]), /not connected|closed|ECONN|ENOENT/i);
    await redis.start();
    let answer: { granted: number; taken: number }[] = [];
    for (let n = 0; n < 100 && answer.length === 0; n++) {
      await wait(50);
      answer = await grants.takeGrants([{ ...ask, want: 20 }]).catch(() => []);
    }
    assert.deepEqual(answer, [{ granted: 15, taken: 25 }]);
    assert.deepEqual(told, ['limits.redis_away', 'limits.redis_back']);
  });

  use('a Redis that says nothing has failed after a second', async () => {
    const grants = await open();
    await grants.takeGrants([ask]);
    redis.hang();
    try {
      const began = performance.now();
      await assert.rejects(grants.takeGrants([ask]), /no answer within 1000 ms/);
      assert.ok(performance.now() - began < 5000);
    } finally {
      redis.wake();
    }
  });

  use('installations with other prefixes do not meet', async () => {
    const [one, other] = [await open('one:'), await open('other:')];
    await one.takeGrants([{ ...ask, want: 25 }]);
    assert.deepEqual(await other.takeGrants([ask]), [{ granted: 10, taken: 10 }]);
  });

  test('a Redis that is away is told, not waited for', async () => {
    const events: string[] = [];
    const grants = await openRedisGrants({
      url: 'unix:/nowhere/redis.sock',
      clock: systemClock,
      report: (event) => events.push(event),
    });
    await assert.rejects(grants.takeGrants([ask]), /not connected/);
    assert.ok(events.includes('limits.redis_away'));
    await grants.close();
  });
});
