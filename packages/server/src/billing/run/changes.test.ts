/** Which final invoices later facts may have changed: no more than have to be looked at, and few questions for many runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Changes } from './changes.ts';
import { at, type BillingWorld, basic, openBilling } from './testing/world.ts';

async function opened(): Promise<BillingWorld> {
  const world = await openBilling('2026-10-01T12:00');
  await world.plan('basic', basic, { period: { unit: 'day', count: 1 } });
  for (const id of ['acme', 'other']) {
    await world.account(id);
    await world.subscribe(id, 'basic', '2026-10-01');
  }
  return world;
}

test('what is used after the end of a period, on the same day, is no reason to look at it again', async () => {
  const world = await opened();
  await world.tokens('acme', '2026-10-02T10:00', 1);
  await world.runAt('2026-10-04');
  const then = world.receipts.frontier();
  const changed = async (account: string): Promise<boolean> => {
    const changes = new Changes(await world.usage.meteredAt(world.receipts.frontier()));
    const [from, to] = [at('2026-10-02'), at('2026-10-03')];
    return changes.mayHaveChanged({ accounts: [account], from, to, frontier: then });
  };
  // The day of the account ends two hours before that of UTC.
  await world.tokens('acme', '2026-10-03T00:00', 5);
  assert.equal(await changed('acme'), false);
  await world.tokens('acme', '2026-10-02T23:59', 5);
  assert.deepEqual([await changed('acme'), await changed('other')], [true, false]);
});

test('one reader answers for every earlier run: for longer spans, older frontiers, and what was told', async () => {
  const world = await opened();
  const frontiers: number[] = [];
  for (const day of ['03', '04', '05']) {
    await world.runAt(`2026-10-${day}T12:00`);
    frontiers.push(world.receipts.frontier());
    await world.tokens('acme', `2026-10-${day}T13:00`, 1);
  }
  await world.append({ kind: 'owner', resource: 'app-other', account: 'acme', from: at('2026-10-03') });
  const changes = new Changes(await world.usage.meteredAt(world.receipts.frontier()));
  const changed = (account: string, from: string, to: string, frontier = 0) =>
    changes.mayHaveChanged({ accounts: [account], from: at(from), to: at(to), frontier });
  const [first, , last] = frontiers;
  assert.equal(await changed('acme', '2026-10-04', '2026-10-05', last), true, 'the owner changed');
  assert.equal(await changed('other', '2026-10-04', '2026-10-05', last), true, 'who had it before');
  assert.equal(await changed('acme', '2026-10-02', '2026-10-03', last), false);
  assert.equal(await changed('acme', '2026-10-02', '2026-10-03', first), false, 'the tokens came later');
  assert.equal(await changed('acme', '2026-10-02', '2026-10-03T13:01', first), true, 'a longer span');
  assert.equal(await changed('other', '2026-10-01', '2026-10-02', first), false);
});

test('a run folds one book, however many runs were before it', async () => {
  const world = await opened();
  let folds = 0;
  const bookAt = world.log.bookAt.bind(world.log);
  world.log.bookAt = (...ask) => {
    folds++;
    return bookAt(...ask);
  };
  for (let day = 3; day < 9; day++) await world.runAt(`2026-10-0${day}T12:00`);
  folds = 0;
  await world.tokens('acme', '2026-10-04T10:00', 5);
  await world.runAt('2026-10-09T12:00');
  assert.equal(folds, 1);
  assert.match((await world.papers()).at(-2) ?? '', /acme .*tokens 0.50 \(INV-\d+:1, late or corrected usage\)/);
});
