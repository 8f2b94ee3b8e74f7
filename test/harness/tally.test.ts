import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areaOf, areas, overBudget } from './areas.ts';
import { sourceOf } from './plan.ts';
import { namesMissingServer, Tally, type TestEvent } from './tally.ts';

type Row = [result: 'pass' | 'fail', nesting: number, name: string, more?: Partial<TestEvent>];
const failure = (failureType: string, cause: unknown) => ({
  error: Object.assign(new Error('test failed', { cause }), { failureType }),
});

const check = (rows: Row[], expected: { passed: number; failed?: string[]; skipped?: string[] }): void => {
  const tally = new Tally('/x/a.test.js');
  for (const [result, nesting, name, more] of rows) tally[result]({ name, nesting, details: {}, ...more });
  assert.deepEqual(
    {
      passed: tally.outcome.passed,
      failed: tally.outcome.failures.map((f) => f.name),
      skipped: tally.outcome.skips.map((s) => s.name),
    },
    { failed: [], skipped: [], ...expected },
  );
};

test('only leaf tests are counted', () => {
  check(
    [
      ['pass', 1, 'inner one'],
      ['pass', 1, 'inner two'],
      ['pass', 0, 'outer'],
      ['pass', 0, 'alone'],
      ['pass', 2, 'deep'],
      ['pass', 1, 'middle'],
      ['pass', 0, 'suite', { details: { type: 'suite' } }],
    ],
    { passed: 4 },
  );
});

test('an empty suite counts nothing, a skipped one counts as one skip', () => {
  check(
    [
      ['pass', 0, 'empty', { details: { type: 'suite' } }],
      ['pass', 0, 'left out', { details: { type: 'suite' }, skip: 'needs root' }],
    ],
    { passed: 0, skipped: ['left out'] },
  );
});

test('a failed inner test is one failure, not two', () => {
  check(
    [
      ['fail', 1, 'inner', { details: failure('testCodeFailure', new Error('x')) }],
      ['fail', 0, 'outer', { details: failure('subtestsFailed', '1 subtest failed') }],
    ],
    { passed: 0, failed: ['inner'] },
  );
});

test('a test that fails after its inner tests passed is a failure', () => {
  check(
    [
      ['pass', 1, 'inner'],
      ['fail', 0, 'outer', { details: failure('testCodeFailure', new Error('x')) }],
    ],
    { passed: 1, failed: ['outer'] },
  );
});

test('a file that cannot load, or holds no test, is a failure', () => {
  check([['fail', 0, '/x/a.test.js', { details: failure('testCodeFailure', 'exit 1') }]], {
    passed: 0,
    failed: ['/x/a.test.js'],
  });
  check([['pass', 0, '/x/a.test.js']], { passed: 0, failed: ['/x/a.test.js'] });
});

test('a test marked as to do is a failure', () => {
  check([['pass', 0, 'later', { todo: true }]], { passed: 0, failed: ['later'] });
});

test('the whole message of the cause is kept, with the seed a property failed at', () => {
  const tally = new Tally('f');
  const message = `Property failed after 3 tests\n{ seed: 42, path: "2:0" }\nCounterexample: ${'x'.repeat(3000)}`;
  tally.fail({ name: 'p', nesting: 0, details: failure('testCodeFailure', new Error(message)) });
  assert.ok(tally.outcome.failures[0]?.detail.includes(message.split('\n')[2] ?? ''));
  assert.match(tally.outcome.failures[0]?.detail ?? '', /seed: 42/);
});

test('an area over its budget is told, one within is not', () => {
  const first = areas[0];
  assert.ok(first);
  assert.deepEqual(overBudget(new Map([[first.name, first.short - 1]]), false), []);
  assert.equal(overBudget(new Map([[first.name, first.short + 1]]), false).length, 1);
  assert.equal(overBudget(new Map([[first.name, first.short + 1]]), true).length, 0);
});

test('a file belongs to the area with the longest prefix', () => {
  assert.equal(areaOf('packages/server/src/store/chdb/x.test.ts')?.name, 'store');
  assert.equal(areaOf('packages/server/src/errors.test.ts')?.name, 'server');
  assert.equal(areaOf('test/scenarios/kill.test.ts')?.name, 'kill');
  assert.equal(areaOf('elsewhere/x.test.ts'), undefined);
});

test('a compiled file is traced to its source', () => {
  assert.equal(sourceOf('packages/server/dist/domain/delta.test.js'), 'packages/server/src/domain/delta.test.ts');
  assert.equal(sourceOf('build/test/house.test.js'), 'test/house.test.ts');
});

test('a skip for want of a server is told by its first word', () => {
  assert.ok(namesMissingServer('needs root and iproute2'));
  assert.ok(!namesMissingServer('an old kernel'));
});
