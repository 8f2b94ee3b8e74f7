/** The node_exporter page is cut from what Debian's 1.5.0 answered; the OpenMetrics ones are written by the standard. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { parseExposition } from './exposition.ts';
import { OpenMetricsPoller, type OpenMetricsSettings } from './openmetrics.ts';
import { type MetricRule, nodeExporter } from './openmetrics-rules.ts';
import { realScrape } from './scrape.ts';
import { codes, find, TestHost, values } from './testing/world.ts';

const RX = 'network.bytes.received';
const NODE = `# HELP node_boot_time_seconds Node boot time, in unixtime.
# TYPE node_boot_time_seconds gauge
node_boot_time_seconds 1.795299712e+09
# TYPE node_network_iface_id gauge
node_network_iface_id{device="eth0"} 4
node_network_iface_id{device="lo"} 1
# TYPE node_network_info gauge
node_network_info{address="00:00:00:00:00:00",broadcast="00:00:00:00:00:00",device="lo",duplex="",ifalias="",operstate="unknown"} 1
node_network_info{address="02:fc:00:00:00:01",broadcast="ff:ff:ff:ff:ff:ff",device="eth0",duplex="unknown",ifalias="acme",operstate="up"} 1
# TYPE node_network_receive_bytes_total counter
node_network_receive_bytes_total{device="eth0"} 5.35976912e+08
node_network_receive_bytes_total{device="lo"} 0
# TYPE node_network_receive_packets_total counter
node_network_receive_packets_total{device="eth0"} 123
# TYPE node_network_transmit_bytes_total counter
node_network_transmit_bytes_total{device="eth0"} 9.007199254740993e+15
# TYPE node_network_transmit_packets_total counter
node_network_transmit_packets_total{device="eth0"} 1
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.79531269396e+09
`;
const host = (body: string, contentType = 'text/plain; version=0.0.4; charset=utf-8'): TestHost => {
  const made = new TestHost();
  made.page = { status: 200, contentType, body };
  return made;
};
const open = (body: string): TestHost => host(body, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
const poller = (
  world: TestHost,
  rules: readonly MetricRule[],
  more: Partial<OpenMetricsSettings> = {},
  memory: string | null = null,
) => new OpenMetricsPoller(world, { url: 'http://127.0.0.1:9100/metrics', rules, ...more }, memory);
const requests: MetricRule = { metric: 'requests_total', meter: 'requests', identity: ['tenant'] };

test('node_exporter: exact integers, the ifindex as epoch, names and aliases joined', async () => {
  const pass = await poller(host(NODE), nodeExporter()).poll();
  const eth0 = find(pass, 'eth0', RX);
  assert.deepEqual(
    [eth0.value, eth0.epoch, eth0.start, eth0.mac, eth0.alias, eth0.name],
    [535_976_912n, '4', 0, '02:fc:00:00:00:01', 'acme', 'eth0'],
  );
  assert.equal(find(pass, 'lo', RX).value, 0n);
  assert.equal(find(pass, 'eth0', 'network.bytes.sent').value, 9_007_199_254_740_993n);
  assert.deepEqual(codes(pass), ['inexact node_network_transmit_bytes_total{device="eth0"}']);
});

test('a re-created interface is a new epoch that began after the pass before; the exporter’s own restart is none', async () => {
  const world = host(NODE);
  const p = poller(world, nodeExporter());
  await p.poll();
  const first = world.now;
  world.now += 10_000;
  world.page = { status: 200, contentType: 'text/plain', body: NODE.replace('1.79531269396e+09', '1.8e+09') };
  assert.deepEqual((await p.poll()).ended, []);
  world.now += 10_000;
  world.page = { status: 200, contentType: 'text/plain', body: NODE.replace('{device="eth0"} 4', '{device="eth0"} 9') };
  const again = find(await p.poll(), 'eth0', RX);
  assert.deepEqual([again.epoch, again.start], ['9', first + 10_000]);
});

test('an interface without its ifindex is not counted, so that no epoch flaps, and it has not ended', async () => {
  const world = host(NODE);
  const p = poller(world, nodeExporter());
  await p.poll();
  world.page = {
    status: 200,
    contentType: 'text/plain',
    body: NODE.replace('node_network_iface_id{device="eth0"} 4\n', ''),
  };
  const pass = await p.poll();
  assert.deepEqual(Object.keys(values(pass)), [`lo ${RX}`]);
  assert.deepEqual(pass.ended, []);
  assert.ok(codes(pass).includes('no_epoch node_network_receive_bytes_total{device="eth0"}'));
});

test('a label of an info metric joins the epoch, and a value of another metric that is no number joins nothing', async () => {
  const [first] = nodeExporter();
  assert.ok(first);
  const boot = { metric: 'host_boot_info', on: [], take: ['boot_id'] };
  const rule = { ...first, epoch: ['boot_id', 'ifindex'], joins: [...(first.joins ?? []), boot] };
  const page = `${NODE}host_boot_info{boot_id="abc"} 1\n`;
  assert.equal(find(await poller(host(page), [rule]).poll(), 'eth0', RX).epoch, 'abc/4');
  const dark = await poller(host(page.replace('{device="eth0"} 4', '{device="eth0"} NaN')), [rule]).poll();
  assert.deepEqual(Object.keys(values(dark)), [`lo ${RX}`]);
});

test('of two samples that a join could mean neither is taken', async () => {
  const twin = 'node_network_info{address="02:fc:00:00:00:09",device="eth0",ifalias="globex"} 1\n';
  const eth0 = find(await poller(host(NODE + twin), nodeExporter()).poll(), 'eth0', RX);
  assert.deepEqual([eth0.mac, eth0.alias, eth0.epoch], [undefined, undefined, '4']);
});

test('a line that cannot be read may have been a counter: it has not ended', async () => {
  const world = host('requests_total{tenant="a"} 1\nrequests_total{tenant="b"} 1\n');
  const p = poller(world, [requests]);
  await p.poll();
  world.now += 10_000;
  world.page = {
    status: 200,
    contentType: 'text/plain',
    body: 'requests_total{tenant="a"} 1\nrequests_total{tenant=b} 1\n',
  };
  const pass = await p.poll();
  assert.deepEqual([Object.keys(values(pass)), pass.ended, codes(pass)], [['a requests'], [], ['malformed line 2']]);
});

test('a metric that is missing for one scrape is no zero, no end, and claims no start when it comes back', async () => {
  const world = host('other 1\n');
  const p = poller(world, [{ ...requests, fromZero: true }]);
  assert.deepEqual(codes(await p.poll()), ['missing requests_total']);
  world.now += 1000;
  world.page = {
    status: 200,
    contentType: 'text/plain',
    body: '# TYPE requests_total counter\nrequests_total{tenant="a"} 5000000\n',
  };
  assert.equal(find(await p.poll(), 'a', 'requests').start, 0, 'its past may be long');
  const known = world.now;
  world.now += 1000;
  world.page = {
    status: 200,
    contentType: 'text/plain',
    body: '# TYPE requests_total counter\nrequests_total{tenant="a"} 5000000\nrequests_total{tenant="b"} 2\n',
  };
  assert.equal(find(await p.poll(), 'b', 'requests').start, known);
  world.page = { status: 200, contentType: 'text/plain', body: 'other 1\n' };
  assert.deepEqual((await p.poll()).ended, []);
});

test('_created is epoch and start; the process’s start only where the counters are its own', async () => {
  const body = (created: string): string =>
    `# TYPE requests counter\nrequests_total{tenant="a"} 17.0\n${created}# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.6e+09\n# EOF\n`;
  const with1 = body('requests_created{tenant="a"} 1699999999.125\n');
  const life = async (text: string, rule: MetricRule): Promise<unknown[]> => {
    const { epoch, start } = find(await poller(open(text), [rule]).poll(), 'a', 'requests');
    return [epoch, start];
  };
  assert.deepEqual(await life(with1, requests), ['created/1699999999.125', 1_699_999_999_125]);
  assert.deepEqual(await life(body(''), { ...requests, ownProcess: true }), ['process/1.6e+09', 1_600_000_000_000]);
  assert.deepEqual(await life(body(''), requests), ['', 0]);
});

test('an OpenMetrics page without # EOF was cut off: no data', async () => {
  await assert.rejects(poller(open('requests_total{tenant="a"} 1\n'), [requests]).poll(), /cut off/);
  assert.equal(find(await poller(host('requests_total{tenant="a"} 1'), [requests]).poll(), 'a', 'requests').value, 1n);
});

test('malformed lines are named by number, the others are kept', () => {
  const page = parseExposition(
    [
      'a 1',
      'b{x="1",y="2\\"}\\n{",} 2 1700000000000',
      'c{x="1" 3',
      'd{x="1",x="2"} 4',
      'e five',
      '{x="1"} 6',
      'f{x=1} 7',
      'g 8 9 10',
      'h',
      'i12',
      '\tj { x = "1" , y="2" }  +Inf',
      'k{bad-name="1"} 1',
      'l{} 5',
    ].join('\n'),
    false,
  );
  assert.deepEqual(
    page.samples.map(({ metric, value }) => `${metric} ${value}`),
    ['a 1', 'b 2', 'j +Inf', 'l 5'],
  );
  assert.deepEqual(page.samples[1]?.labels.get('y'), '2"}\n{');
  assert.equal(page.samples[1]?.at, 1_700_000_000_000);
  assert.deepEqual(
    page.malformed.map(({ line }) => line),
    [3, 4, 5, 6, 7, 8, 9, 10, 12],
  );
  const dated = parseExposition('a_total{x="1"} 1 1700000000.5 # {trace="a # b"} 0.5\n# EOF\n', true);
  assert.equal(dated.samples[0]?.at, 1_700_000_000_500, 'OpenMetrics tells seconds; exemplars are passed over');
});

test('NaN, stale, negative, infinite and too large values are no counters', async () => {
  const lines = ['NaN', '-1', '+Inf', '1e20', '1.5', '3'].map((v, i) => `requests_total{tenant="t${i}"} ${v}`);
  const pass = await poller(host(lines.join('\n')), [requests]).poll();
  assert.deepEqual(values(pass), { 't4 requests': 1n, 't5 requests': 3n });
  assert.deepEqual(
    codes(pass).map((c) => c.split(' ')[0]),
    ['bad_value', 'bad_value', 'bad_value', 'fraction'],
  );
});

test('above 2^53 a value is reported, and left out where the settings say so', async () => {
  const world = host('requests_total{tenant="a"} 9007199254740994\n');
  assert.equal(find(await poller(world, [requests]).poll(), 'a', 'requests').value, 9_007_199_254_740_994n);
  const pass = await poller(world, [requests], { inexact: 'skip' }).poll();
  assert.deepEqual([values(pass), codes(pass).length], [{}, 1]);
});

test('labels make objects and dimensions; what is ambiguous, nameless or a gauge is not counted', async () => {
  const rule: MetricRule = {
    ...requests,
    identity: ['tenant', 'path'],
    dimensions: { code: 'status' },
    where: { kind: 'x' },
  };
  const body = [
    '# TYPE requests_total counter',
    'requests_total{tenant="a",path="/b%",status="200",kind="x"} 1',
    'requests_total{tenant="a",path="/b%",status="500",kind="x"} 2',
    'requests_total{tenant="c",path="d",kind="x",pod="1"} 3',
    'requests_total{tenant="c",path="d",kind="x",pod="2"} 4',
    'requests_total{tenant="e",kind="x"} 5',
    'requests_total{tenant="f",path="g",kind="y"} 6',
    '# TYPE level gauge',
    'level{tenant="a"} 7',
  ].join('\n');
  const pass = await poller(host(body), [rule, { ...requests, metric: 'level' }]).poll();
  assert.deepEqual(
    pass.counted.map(({ object, dimensions, value }) => [object, dimensions?.code, value]),
    [
      ['a/%2Fb%25', '200', 1n],
      ['a/%2Fb%25', '500', 2n],
    ],
  );
  assert.deepEqual(
    codes(pass).map((c) => c.split(' ')[0]),
    ['ambiguous', 'no_identity', 'not_counter'],
  );
});

test('seconds become whole units by their scale', async () => {
  const pass = await poller(host('cpu_seconds_total{tenant="a"} 12.3456\n'), [
    { ...requests, metric: 'cpu_seconds_total', scale: 3 },
  ]).poll();
  assert.equal(pass.counted[0]?.value, 12_345n);
});

test('an answer other than 200, a larger page, a redirect and a page that never ends are no data', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/large') response.end('x'.repeat(5000));
    else if (request.url === '/away') response.writeHead(302, { location: '/ok' }).end();
    else if (request.url === '/endless') response.write('requests_total{tenant="a"} 1\n');
    else if (request.url === '/ok')
      response.setHeader('content-type', 'text/plain; version=0.0.4').end('requests_total{tenant="a"} 1\n');
    else response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const world = { clock: new TestHost().clock, scrape: realScrape };
    const poll = (path: string, timeoutMs = 30_000) =>
      new OpenMetricsPoller(world, {
        url: `http://127.0.0.1:${port}${path}`,
        rules: [requests],
        maxBytes: 4000,
        timeoutMs,
      }).poll();
    assert.equal((await poll('/ok')).counted.length, 1);
    await assert.rejects(poll('/large'), /larger than 4000 bytes/);
    await assert.rejects(poll('/none'), /answered 503/);
    await assert.rejects(poll('/away'));
    await assert.rejects(poll('/endless', 300));
  } finally {
    server.closeAllConnections();
    server.close();
  }
  assert.throws(() => new OpenMetricsPoller(new TestHost(), { url: 'file:///etc/passwd', rules: [] }), /no address/);
});
