import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isLong } from '../needs.ts';
import { makeDisk, removeDisk } from './machine.ts';
import { play } from './play.ts';

const SEEDS = isLong ? 60 : 1;
const first = Number(process.env.TOLLGATE_TEST_SEED ?? 1);

test(`the laws hold in ${SEEDS} simulated runs with faulty disk, network and clock`, async () => {
  const sums = { crashes: 0, events: 0, readings: 0, records: 0, faults: 0 };
  for (let seed = first; seed < first + SEEDS; seed++) {
    const disk = makeDisk();
    try {
      const played = await play(seed, disk);
      for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += played[key];
    } catch (error) {
      throw new Error(`seed ${seed}: npm run simulate -- --seed ${seed} --runs 1`, { cause: error });
    } finally {
      removeDisk(disk);
    }
  }
  for (const [what, count] of Object.entries(sums)) assert.ok(count > SEEDS, `${what}: ${count}`);
});

// A minute on the engines for an hour of simulated time: the short form leaves it to the scenarios with the real server.
if (isLong) {
  test('the laws hold in a simulated run on the real engines', () => {
    // A process of its own, because the embedded store holds one directory per process.
    const main = fileURLToPath(new URL('./main.js', import.meta.url));
    const args = [main, '--engine', 'real', '--seed', String(first), '--hours', '1'];
    assert.match(execFileSync(process.execPath, args, { encoding: 'utf8' }), /on the real engines/);
  });
}
