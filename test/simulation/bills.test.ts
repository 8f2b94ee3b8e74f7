import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLong } from '../needs.ts';
import { playBills } from './bills.ts';
import { makeDisk, removeDisk } from './machine.ts';

const SEEDS = isLong ? 15 : 1;
const first = Number(process.env.TOLLGATE_TEST_SEED ?? 1);

test(`the laws of money hold in ${SEEDS} simulated runs to invoices and ledger`, async () => {
  const sums = { crashes: 0, faults: 0, invoices: 0, adjustments: 0 };
  for (let seed = first; seed < first + SEEDS; seed++) {
    const disk = makeDisk();
    try {
      const billed = await playBills(seed, disk);
      for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += billed[key];
    } catch (error) {
      throw new Error(`seed ${seed}: npm run simulate -- --bills --seed ${seed} --runs 1`, { cause: error });
    } finally {
      removeDisk(disk);
    }
  }
  for (const [what, count] of Object.entries(sums)) assert.ok(count > SEEDS, `${what}: ${count}`);
});
