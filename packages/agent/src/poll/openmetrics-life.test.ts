/** Through the poller, because what a life is depends on the pass before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenMetricsPoller } from './openmetrics.ts';
import type { MetricRule } from './openmetrics-rules.ts';
import { codes, TestHost } from './testing/world.ts';

const NOW = new TestHost().now / 1000;
/** What a page tells of the start of its process and of its counter, in seconds. */
interface Told {
  process?: number | string;
  created?: number | string;
}
const told = ({ process, created }: Told): string =>
  [
    'requests_total{tenant="a"} 1000',
    ...(process === undefined ? [] : [`process_start_time_seconds ${process}`]),
    ...(created === undefined ? [] : [`requests_created{tenant="a"} ${created}`]),
  ].join('\n');

const pollerOf = (world: TestHost, rule: Partial<MetricRule>, memory: string | null): OpenMetricsPoller => {
  const rules = [{ metric: 'requests_total', meter: 'requests', identity: ['tenant'], ...rule }];
  return new OpenMetricsPoller(world, { url: 'http://127.0.0.1:9100/metrics', rules }, memory);
};

/** Pages 10 s apart, each with the epoch it is counted under; null: left out. Also with a restart before each page. */
const checkLives = (name: string, rule: Partial<MetricRule>, ...passes: [told: Told, epoch: string | null][]): void => {
  for (const restarts of [false, true])
    test(`${name}${restarts ? ', over restarts' : ''}`, async () => {
      const world = new TestHost();
      let p = pollerOf(world, rule, null);
      for (const [i, [page, epoch]] of passes.entries()) {
        world.page = { status: 200, contentType: 'text/plain', body: told(page) };
        const pass = await p.poll();
        assert.deepEqual(
          pass.counted.map((one) => one.epoch),
          epoch === null ? [] : [epoch],
          `page ${i + 1}`,
        );
        if (epoch === null) assert.deepEqual([pass.ended, codes(pass).length], [[], 1], `page ${i + 1}`);
        if (restarts) p = pollerOf(world, rule, pass.memory?.() ?? '');
        world.now += 10_000;
      }
    });
};
const own = { ownProcess: true };
const [P, C] = [NOW - 10_000, NOW - 5000];
const known = { process: P, created: C };
checkLives(
  'a page without its process’s start is left out',
  own,
  [{ process: P }, `process/${P}`],
  [{}, null],
  [{ process: P }, `process/${P}`],
);
checkLives(
  'a start of the process that is no number is left out',
  own,
  [{ process: P }, `process/${P}`],
  [{ process: 'NaN' }, null],
);
checkLives('a page that never tells the start that was asked for is not counted', own, [{}, null]);
checkLives('a start of the process at zero is none', own, [{ process: 0 }, null]);
checkLives(
  'a counter without its _created does not fall back to its process',
  own,
  [known, `created/${C}`],
  [{ process: P }, null],
  [known, `created/${C}`],
);
checkLives(
  'a counter without its _created does not fall back to nothing',
  {},
  [{ created: C }, `created/${C}`],
  [{}, null],
  [{ created: C }, `created/${C}`],
);
checkLives(
  'a _created that is no number is left out',
  own,
  [known, `created/${C}`],
  [{ process: P, created: 'NaN' }, null],
);
checkLives('a _created that is no number is left out from the first page on', own, [
  { process: P, created: 'NaN' },
  null,
]);
checkLives(
  'a _created that comes later opens no new life of the same process',
  own,
  [{ process: P }, `process/${P}`],
  [known, `process/${P}`],
  [{ process: P }, `process/${P}`],
);
checkLives(
  'one start written in two ways is one',
  own,
  [{ process: 1.6e9 }, 'process/1600000000'],
  [{ process: '1.6e+09' }, 'process/1600000000'],
);
checkLives(
  'a process that began after the counter did is a new life',
  own,
  [known, `created/${C}`],
  [{ process: NOW + 5 }, `process/${NOW + 5}`],
);
checkLives(
  'a process that began anew brings what it tells',
  own,
  [{ process: P }, `process/${P}`],
  [{ process: NOW + 5, created: NOW + 6 }, `created/${NOW + 6}`],
);
checkLives(
  'a _created older than the page before says nothing new of a counter that had none',
  {},
  [{}, ''],
  [{ created: C }, ''],
  [{}, ''],
);
checkLives(
  'a _created after the page before is a new life',
  {},
  [{}, ''],
  [{ created: NOW + 5 }, `created/${NOW + 5}`],
);
checkLives('a _created of a clock that is ahead proves no new life', {}, [{}, ''], [{ created: NOW + 3600 }, '']);

test('a rule that is told another kind of evidence counts no life again', async () => {
  const check = async (before: Partial<MetricRule>, after: Partial<MetricRule>, page: Told, epochs: string[]) => {
    const world = new TestHost();
    world.page = { status: 200, contentType: 'text/plain', body: told({ process: P }) };
    const memory = (await pollerOf(world, before, null).poll()).memory?.() ?? '';
    world.now += 10_000;
    world.page = { status: 200, contentType: 'text/plain', body: told(page) };
    const { counted, ended } = await pollerOf(world, after, memory).poll();
    assert.deepEqual([counted.map(({ epoch }) => epoch), ended], [epochs, []]);
  };
  await check(own, {}, { process: P }, [`process/${P}`]);
  await check({}, own, { process: P }, ['']);
  await check({}, own, {}, []);
});
