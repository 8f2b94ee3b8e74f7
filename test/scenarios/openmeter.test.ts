/**
 * OpenMeter's public SDK, unchanged, drives events, meters and meter queries of the real server. The short form drives the
 * API over the model stores with it (api/openmeter.test.ts).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenMeter } from '@openmeter/sdk';
import { eventually } from '../http.ts';
import { isLong, LONG_FORM } from '../needs.ts';
import { withServer } from '../server.ts';
import { runJob } from '../usage.ts';

const HOUR = 3_600_000;
const FROM = Math.floor((Date.now() - 4 * HOUR) / HOUR) * HOUR;

test('OpenMeter’s SDK creates meters, sends events and queries usage', { skip: isLong ? false : LONG_FORM }, () =>
  withServer(async (server) => {
    const client = new OpenMeter({ baseUrl: server.url, apiKey: server.key });

    await client.meters.create({
      slug: 'tokens_total',
      name: 'Tokens',
      aggregation: 'SUM',
      eventType: 'prompt',
      valueProperty: '$.tokens',
      groupBy: { model: '$.model' },
    });
    await client.meters.create({ slug: 'calls', name: 'Calls', aggregation: 'COUNT', eventType: 'prompt' });
    const listed = await client.meters.list();
    const slugs = (listed ?? []).map((meter) => meter.slug);
    assert.ok(slugs.includes('tokens_total') && slugs.includes('calls'), slugs.join());
    const one = await client.meters.get('tokens_total');
    assert.deepEqual(
      [one?.slug, one?.aggregation, one?.eventType, one?.groupBy],
      ['tokens_total', 'SUM', 'prompt', { model: '$.model' }],
    );

    const sent = Array.from({ length: 60 }, (_, n) => ({
      id: `p-${n}`,
      type: 'prompt',
      subject: `customer-${n % 3}`,
      source: 'sdk-test',
      time: new Date(FROM + n * 120_000),
      data: { tokens: n + 1, model: n % 2 === 0 ? 'small' : 'large' },
    }));
    await client.events.ingest(sent);
    // The same again, as a retry would: nothing counts twice.
    await client.events.ingest(sent.slice(0, 30));
    await client.events.ingest({
      id: 'single',
      type: 'prompt',
      subject: 'customer-0',
      source: 'sdk-test',
      time: new Date(FROM),
      data: { tokens: '1000', model: 'small' },
    });

    await runJob(server);
    const query = async (more: Parameters<typeof client.meters.query>[1]) =>
      (await client.meters.query('tokens_total', { from: new Date(FROM), to: new Date(FROM + 2 * HOUR), ...more }))
        ?.data ?? [];
    const whole = 1830 + 1000;
    const total = await eventually(
      () => query({}),
      (data) => data[0]?.value === whole,
    );
    assert.equal(total.length, 1);
    assert.equal(typeof total[0]?.value, 'number', 'value is a number, as the SDK expects');
    assert.equal((total[0] as unknown as { quantity: string }).quantity, String(whole), 'quantity is exact text');

    const bySubject = await query({ groupBy: ['subject'] });
    const expected = [0, 1, 2].map((s) =>
      sent.filter((e) => e.subject === `customer-${s}`).reduce((sum, e) => sum + e.data.tokens, s === 0 ? 1000 : 0),
    );
    const found = new Map(bySubject.map((row) => [row.subject, row.value]));
    assert.deepEqual(
      [0, 1, 2].map((s) => found.get(`customer-${s}`)),
      expected,
    );

    const only = await query({ subject: ['customer-1'] });
    assert.equal(
      only.reduce((sum, row) => sum + row.value, 0),
      expected[1],
    );

    const byModel = await query({ groupBy: ['model'] });
    const models = new Map(byModel.map((row) => [row.groupBy?.model, row.value]));
    const large = sent.filter((e) => e.data.model === 'large').reduce((sum, e) => sum + e.data.tokens, 0);
    assert.deepEqual([models.get('large'), models.get('small')], [large, whole - large]);

    const hours = await query({ windowSize: 'HOUR' });
    assert.deepEqual(
      hours.map((row) => [row.windowStart.getTime(), row.windowEnd.getTime(), row.value]),
      [0, 1].map((h) => [
        FROM + h * HOUR,
        FROM + (h + 1) * HOUR,
        sent
          .filter((_, n) => Math.floor((n * 120_000) / HOUR) === h)
          .reduce((sum, e) => sum + e.data.tokens, h === 0 ? 1000 : 0),
      ]),
    );

    const calls = await client.meters.query('calls', { from: new Date(FROM), to: new Date(FROM + 2 * HOUR) });
    assert.equal(calls?.data[0]?.value, 61);

    const events = await client.events.list({ limit: 100 });
    assert.ok((events ?? []).some((item) => item.event.id === 'p-7'));

    await client.meters.delete('calls');
    await assert.rejects(client.meters.get('calls'), (error: unknown) => (error as { status?: number }).status === 404);
    await assert.rejects(
      client.meters.create({ slug: 'bad slug!', aggregation: 'SUM', eventType: 'x', valueProperty: '$.x' }),
      (error: unknown) => {
        const { status } = error as { status?: number };
        return status !== undefined && status >= 400 && status < 500;
      },
    );
  }),
);
