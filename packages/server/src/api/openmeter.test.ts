/** OpenMeter's public SDK, unchanged, against our API over a real socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenMeter } from '@openmeter/sdk';
import { openApi, START } from './testing/api.ts';

test('the OpenMeter SDK defines a meter, sends events, lists them and queries usage', async (t) => {
  const api = await openApi(t);
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const address = api.app.server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const client = new OpenMeter({ baseUrl: `http://127.0.0.1:${address.port}`, apiKey: api.admin });

  const meter = await client.meters.create({
    slug: 'tokens_total',
    eventType: 'prompt',
    aggregation: 'SUM',
    valueProperty: '$.tokens',
    groupBy: { model: '$.model' },
  });
  assert.equal(meter?.slug, 'tokens_total');
  assert.ok(meter?.createdAt instanceof Date);

  const at = (hours: number) => new Date(START - hours * 3_600_000);
  const event = (id: string, subject: string, tokens: number, model: string, hours: number) => ({
    id,
    type: 'prompt',
    subject,
    source: 'sdk',
    time: at(hours),
    data: { tokens, model },
  });
  const events = [event('1', 'c1', 10, 'large', 1), event('2', 'c1', 5, 'small', 2), event('3', 'c2', 7, 'large', 1)];
  await client.events.ingest(events);
  await client.events.ingest(events[0] as (typeof events)[0]);

  const listed = await client.events.list({ subject: 'c1' });
  assert.deepEqual(listed?.map((e) => e.event.id).sort(), ['1', '2']);
  assert.ok(listed?.[0]?.ingestedAt instanceof Date);
  assert.deepEqual((await client.meters.list())?.map((m) => m.slug).includes('tokens_total'), true);
  assert.equal((await client.meters.get('tokens_total'))?.aggregation, 'SUM');

  const total = await client.meters.query('tokens_total', { from: at(24), to: at(0) });
  assert.deepEqual(
    total?.data.map((r) => [r.value, r.subject]),
    [[22, null]],
  );
  const bySubject = await client.meters.query('tokens_total', {
    from: at(24),
    to: at(0),
    subject: ['c1'],
    windowSize: 'HOUR',
  });
  assert.deepEqual(
    bySubject?.data.filter((r) => r.value).map((r) => [r.value, r.subject, r.windowStart.getTime()]),
    [
      [5, 'c1', at(2).getTime()],
      [10, 'c1', at(1).getTime()],
    ],
  );
  const filtered = await client.meters.query('tokens_total', {
    from: at(24),
    to: at(0),
    groupBy: ['model'],
    filterGroupBy: { model: 'large' },
  });
  assert.deepEqual(
    filtered?.data.map((r) => [r.value, r.groupBy]),
    [[17, { model: 'large' }]],
  );
  const posted = (await client.meters.queryPost('tokens_total', {
    from: at(24),
    to: at(0),
    filterGroupBy: { model: ['small'] },
  })) as { data: { value: number }[] };
  assert.deepEqual(
    posted.data.map((r) => r.value),
    [5],
  );
  assert.deepEqual(await client.meters.listGroupByValues('tokens_total', 'model', {}), ['large', 'small']);

  await assert.rejects(
    client.meters.query('no_such', {}),
    (error: { status?: number; getField?(name: string): unknown }) => {
      assert.equal(error.status, 404);
      assert.equal(error.getField?.('code'), 'meter.unknown');
      return true;
    },
  );
  await client.meters.delete('tokens_total');
  await assert.rejects(client.meters.get('tokens_total'));
});
