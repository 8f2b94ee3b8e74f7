/** Event meters asked for off the window grid, each account by edges of its own: one question a meter, the same answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineMeter } from '../domain/meter.ts';
import { formatQuantity } from '../domain/quantity.ts';
import { WINDOW_MS as W } from '../domain/window.ts';
import { UsageModel } from '../store/model/usage-model.ts';
import type { EventQuery } from '../store/usage-store.ts';
import type { MeteredAsk } from './metered.ts';
import { openWorld } from './testing/world.ts';

const T0 = 1_795_219_200_000;
const END = T0 + 8 * W;
const accounts = Array.from({ length: 12 }, (_, i) => `account-${i}`);

class Counting extends UsageModel {
  readonly asked: EventQuery[] = [];
  override events(query: EventQuery): ReturnType<UsageModel['events']> {
    this.asked.push(query);
    return super.events(query);
  }
}

test('events that plan changes at any millisecond cut off are read in one question a meter, for those accounts alone', async () => {
  const store = new Counting();
  const world = await openWorld(T0, { groups: 1, store });
  const meter = defineMeter({ key: 'calls', eventType: 'request', valuePath: '$.n', unit: '1' });
  assert.ok(!Array.isArray(meter));
  await world.append(
    { kind: 'meter', meter },
    ...accounts.flatMap((id) => [
      { kind: 'account', id, parent: null, name: '', zone: 'UTC', currency: 'EUR', state: 'active' } as const,
      { kind: 'owner', resource: `vm-${id}`, account: id, from: 0 } as const,
    ]),
  );
  const changeOf = (i: number): number => T0 + 2 * W + 1 + i * 123_457;
  const each = accounts.flatMap((id, i) => {
    const times = [T0 + 1, T0 + W + 5, changeOf(i) - 1, changeOf(i), changeOf(i) + 1, END - 2, END - 1];
    return times.map((t, k) => ({ subject: `vm-${id}`, t, data: `{"n":${(i + 1) * 10 ** k}}` }));
  });
  await world.events([...each, { subject: 'vm-account-3', t: changeOf(3) + 2, data: '{"n":"many"}' }]);
  world.clock.at = END + W;
  await world.declare(END + W, 'app');
  await world.usage.job.run();

  const asks = accounts.flatMap((account, i): MeteredAsk[] => {
    const common = { account, meter: 'calls', where: {}, by: [], events: false };
    const at = changeOf(i);
    // The last ends inside a window as well, and one lies within a single window.
    return [
      { ...common, from: T0, to: at },
      { ...common, from: at, to: END - 1 },
      { ...common, from: at - 1, to: at + 1 },
    ];
  });
  const reader = await world.usage.meteredAt();
  store.asked.length = 0;
  const answers = await reader.read(asks);
  assert.equal(store.asked.length, 1);
  const [question] = store.asked;
  // Each account's window of the change, the one before if it is the change's own edge, and the month's last.
  assert.ok((question?.within?.length ?? 999) <= 3 * accounts.length);

  for (const [k, { account, from, to }] of asks.entries()) {
    const [row] = answers[k] ?? [];
    const query = { filter: { accounts: [account], meters: ['calls'] }, from, to, windowSize: 'total' as const };
    const { rows } = await world.usage.query({ ...query, zone: 'UTC', groupBy: [] }, null, reader.frontier);
    const shown = row && [formatQuantity(row.quantity ?? -1n), row.state, row.flags];
    assert.deepEqual(shown, [rows[0]?.quantity, rows[0]?.state, rows[0]?.flags], `${account} ${from} ${to}`);
    assert.equal(row?.state, account === 'account-3' && to > changeOf(3) + 2 ? 'quarantined' : 'known');
  }
  store.asked.length = 0;
  const [each6] = await reader.read([{ ...(asks[19] as MeteredAsk), events: true }]);
  assert.deepEqual(each6?.[0]?.events?.map(formatQuantity), ['7000', '70000', '700000']);
  assert.deepEqual(
    store.asked.map(({ subjects }) => subjects),
    [undefined, ['vm-account-6']],
  );

  const again = await (await world.usage.meteredAt()).read([asks[1] as MeteredAsk]);
  assert.deepEqual(again[0], answers[1]);
});
