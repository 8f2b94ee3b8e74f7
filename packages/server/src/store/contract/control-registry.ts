/** Series, their ids and groups, and the texts of epochs. */
import assert from 'node:assert/strict';
import { groupOf } from '../../domain/series.ts';
import type { NewSeries } from '../control-store.ts';
import { type Cases, hostile, refused, unstorable } from './control-cases.ts';

export const key = (resource: string, more: Partial<NewSeries> = {}): NewSeries => ({
  tenant: '',
  source: 'host/a',
  resource,
  meter: 'network.bytes',
  dimensions: { direction: 'sent' },
  width: 64,
  lineBits: 10_000_000_000,
  period: 10_000,
  layer: 'L2',
  witnessOf: 0,
  firstReceipt: 1,
  ...more,
});

export const registryCases: Cases = {
  'a series is registered once, whoever asks and however often, and keeps what it was registered with': async ({
    store,
    again,
  }) => {
    const [a, b, twin] = await store.registerSeries([key('nic0'), key('nic1'), key('nic0', { period: 1 })]);
    assert.ok(a && b && twin);
    assert.deepEqual(twin, a);
    assert.notEqual(a.id, b.id);
    assert.deepEqual(a, { ...key('nic0'), id: a.id });
    const other = await again();
    assert.deepEqual(await other.registerSeries([key('nic1', { width: 32 }), key('nic0')]), [b, a]);
    await store.close();
    const byId = [a, b].sort((x, y) => x.id - y.id);
    assert.deepEqual(await (await again()).series(), byId);
    assert.deepEqual(await other.registerSeries([]), []);
  },

  'every part of the key makes another series, the order of dimensions does not': async ({ store }) => {
    const keys = [
      key('n'),
      key('n', { tenant: 't' }),
      key('n', { source: 's' }),
      key('m'),
      key('n', { meter: 'm' }),
      key('n', { dimensions: {} }),
      key('n', { dimensions: { direction: 'sent', vlan: '7' } }),
      key('n', { dimensions: { vlan: '7', direction: 'sent' } }),
    ];
    const rows = await store.registerSeries(keys);
    assert.equal(new Set(rows.map((row) => row.id)).size, keys.length - 1);
    assert.equal(rows.at(-1)?.id, rows.at(-2)?.id);
    assert.deepEqual(Object.keys(rows.at(-1)?.dimensions ?? {}), ['direction', 'vlan']);
  },

  'ids hold the group in the top bits, are never 0, and the group depends on the key alone': async ({
    store,
    again,
  }) => {
    const keys = Array.from({ length: 400 }, (_, i) => key(`nic${i}`));
    const rows = await store.registerSeries(keys);
    const groups = rows.map((row) => groupOf(row.id));
    const counts = [0, 1, 2, 3].map((group) => groups.filter((g) => g === group).length);
    assert.equal(
      counts.reduce((a, b) => a + b),
      400,
      'every group is below the number of groups',
    );
    for (const count of counts) assert.ok(count > 50, `uneven groups: ${counts.join(' ')}`);
    assert.ok(rows.every((row) => row.id > 0 && row.id % 2 ** 26 !== 0));
    // The same keys, first asked for in another order, in another store, by another server: the same groups.
    const backwards = await (await again()).registerSeries([...keys].reverse());
    assert.deepEqual(
      backwards.map((row) => row.id).reverse(),
      rows.map((row) => row.id),
    );
    // A fixed sample, so that no release moves series between groups.
    assert.equal(groupOf(rows[0]?.id ?? 0), 1);
    assert.equal(groupOf(rows[1]?.id ?? 0), 3);
  },

  'two servers that register the same new keys at once get the same ids': async ({ store, again }) => {
    const other = await again();
    const batches = Array.from({ length: 12 }, (_, i) =>
      Array.from({ length: 60 }, (_, j) => key(`r${(i * 7 + j * 11) % 90}`)),
    );
    const answers = await Promise.all(batches.map((keys, i) => (i % 2 === 0 ? store : other).registerSeries(keys)));
    const ids = new Map<string, number>();
    for (const row of answers.flat()) {
      assert.equal(ids.get(row.resource) ?? row.id, row.id);
      ids.set(row.resource, row.id);
    }
    assert.equal(new Set(ids.values()).size, ids.size);
    assert.equal((await store.series()).length, ids.size);
  },

  'hostile texts in every field of a series come back as they went in': async ({ store }) => {
    const keys = hostile.map((text, i) =>
      key(`${text}${i}`, {
        tenant: text.slice(0, 1000),
        source: text,
        meter: text,
        layer: text,
        dimensions: Object.fromEntries([[text, text]]),
      }),
    );
    const rows = await store.registerSeries(keys);
    assert.deepEqual(
      rows,
      keys.map((one, i) => ({ ...one, id: rows[i]?.id })),
    );
    assert.deepEqual(await store.registerSeries(keys), rows);
    assert.equal((await store.series()).length, keys.length);
  },

  'NUL and half characters are refused in every field of a series and an epoch': async ({ store }) => {
    for (const text of unstorable) {
      const wrong = (['tenant', 'source', 'resource', 'meter', 'layer'] as const).map((f) => key('x', { [f]: text }));
      wrong.push(key('x', { dimensions: { a: text } }), key('x', { dimensions: { [text]: 'a' } }));
      for (const one of wrong) await refused(store.registerSeries([key('fine'), one]), 'store.text_invalid');
      await refused(store.registerEpochs([{ series: 1, epoch: 2, text }]), 'store.text_invalid');
    }
    assert.deepEqual(await store.series(), []);
  },

  'numbers of a series are exact to 2^53 - 1, and others are refused': async ({ store }) => {
    const top = Number.MAX_SAFE_INTEGER;
    const [row] = await store.registerSeries([
      key('x', { lineBits: top, period: top, firstReceipt: top, witnessOf: 7 }),
    ]);
    assert.equal(row?.lineBits, top);
    assert.deepEqual(await store.series(), [row]);
    for (const wrong of [2 ** 53, 0.5, -1, Number.NaN])
      await refused(store.registerSeries([key('y', { lineBits: wrong })]), 'store.number_range');
    await refused(store.registerSeries([key('y', { width: 33 as 32 })]), 'store.misuse');
  },

  'the text of an epoch stays the first one, and its holders are found': async ({ store, again }) => {
    const epoch = 2 ** 52 - 1;
    await store.registerEpochs([
      { series: 5, epoch, text: 'boot 1' },
      { series: 3, epoch, text: 'boot 1' },
      { series: 3, epoch: 1, text: hostile.join('|') },
    ]);
    await store.registerEpochs([{ series: 5, epoch, text: 'another' }]);
    await store.registerEpochs([]);
    await store.close();
    const restarted = await again();
    assert.equal(await restarted.epochText(5, epoch), 'boot 1');
    assert.equal(await restarted.epochText(3, 1), hostile.join('|'));
    assert.equal(await restarted.epochText(4, 1), null);
    assert.deepEqual(await restarted.epochHolders(epoch), [3, 5]);
    assert.deepEqual(await restarted.epochHolders(2), []);
  },
};
