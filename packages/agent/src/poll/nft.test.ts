/** The text is what nft 1.0.6 printed on Linux 6.18 for counters declared so; handles and figures are varied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NftPoller, type NftSettings } from './nft.ts';
import { parseListing } from './nft-listing.ts';
import { parseComment, parseName } from './nft-names.ts';
import { codes, find, TestHost, values } from './testing/world.ts';

const META = '{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}';
const IN = 't.acme.net1.public.in';
const OUT = 't.acme.net1.public.out';
const counter = (name: string, handle: number, packets: string, bytes: string, more = ''): string =>
  `{"counter": {"family": "inet", "name": "${name}", "table": "tollgate", "handle": ${handle},${more} "packets": ${packets}, "bytes": ${bytes}}}`;
const list = (...objects: string[]): string => `{"nftables": [${[META, ...objects].join(', ')}]}\n`;
const table = (handle: number): string => `{"table": {"family": "inet", "name": "tollgate", "handle": ${handle}}}`;
const listing = (...counters: string[]): string => list(table(1)) + list(...counters) + list(table(1));
const B = { in: 'network.bytes.received', out: 'network.bytes.sent' };
const P = { in: 'network.packets.received', out: 'network.packets.sent' };

const set = (host: TestHost, ...counters: string[]): void => void host.prints.set('nft', listing(...counters));
const poller = (host: TestHost, settings: NftSettings = {}, memory: string | null = null) =>
  new NftPoller(host, settings, memory);

test('named counters are read with all 64 bits, also where nft prints them as negative', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '3', '-6'), counter(OUT, 3, '9007199254740993', '18446744073709551615'));
  assert.deepEqual(values(await poller(host).poll()), {
    [`inet/tollgate/${IN} ${B.in}`]: 18446744073709551610n,
    [`inet/tollgate/${IN} ${P.in}`]: 3n,
    [`inet/tollgate/${OUT} ${B.out}`]: 18446744073709551615n,
    [`inet/tollgate/${OUT} ${P.out}`]: 9007199254740993n,
  });
  assert.deepEqual(host.ran, ['nft -j list tables; list counters; list tables'], 'one call, and nothing that resets');
});

test('the name tells tenant, network, class and direction, the comment outweighs it', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '1', '2', ' "comment": "account=other tag=vni:42 class=vpn",'));
  const found = find(await poller(host).poll(), `inet/tollgate/${IN}`, B.in);
  assert.deepEqual(found.hints, { account: 'other', trafficType: 'vpn', network: 'net1' });
  assert.equal(found.tag, 'vni:42');
  assert.equal(found.alias, 'account=other tag=vni:42 class=vpn');
});

test('names are parsed or left alone', () => {
  assert.deepEqual(parseName('t.acme.eu.net.mgmt.out'), {
    direction: 'sent',
    hints: { account: 'acme.eu', network: 'net', trafficType: 'management' },
  });
  for (const other of [
    't.acme.public.in',
    'x.acme.n.public.in',
    't.acme.n.nothing.in',
    't.acme.n.public.sideways',
    'in',
  ])
    assert.equal(parseName(other), null, other);
  assert.deepEqual(parseComment('for people, not us'), { hints: {} });
  assert.deepEqual(parseComment('dir=out'), { direction: 'sent', hints: {} });
});

test('a counter whose direction nothing tells is left out, and said once', async () => {
  const host = new TestHost();
  set(host, counter('plain', 2, '1', '2'), counter('web_in', 3, '1', '5'));
  const nft = poller(host);
  const first = await nft.poll();
  assert.deepEqual(codes(first), ['no_direction inet/tollgate/plain']);
  assert.equal(find(first, 'inet/tollgate/web_in', B.in).value, 5n);
  assert.deepEqual(codes(await nft.poll()), []);
  const told = await poller(host, { directions: { 'inet/tollgate/plain': 'sent' } }).poll();
  assert.equal(find(told, 'inet/tollgate/plain', B.out).value, 2n);
});

test('the epoch is boot, namespace and handle: what is made anew is new, what goes has ended', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '1', '900'), counter(OUT, 3, '1', '10'));
  const nft = poller(host);
  assert.deepEqual(
    [find(await nft.poll(), `inet/tollgate/${IN}`, B.in)].map((c) => [c.epoch, c.start]),
    [['boot-1/4026/1.2', 0]],
  );
  const first = host.now;
  host.now += 10_000;
  set(host, counter(IN, 7, '1', '40'));
  const pass = await nft.poll();
  const anew = find(pass, `inet/tollgate/${IN}`, B.in);
  assert.deepEqual([anew.epoch, anew.start, anew.value], ['boot-1/4026/1.7', first, 40n]);
  assert.deepEqual(
    pass.ended
      .filter(({ meter }) => meter === B.in || meter === B.out)
      .map(({ object, epoch, at }) => [object, epoch, at]),
    [
      [`inet/tollgate/${IN}`, 'boot-1/4026/1.2', host.now - 1],
      [`inet/tollgate/${OUT}`, 'boot-1/4026/1.3', host.now],
    ],
  );
});

test('a table made anew gives its counters their old handles, and is told by its own', async () => {
  const host = new TestHost();
  set(host, counter(IN, 1, '1', '900'));
  const nft = poller(host);
  await nft.poll();
  host.now += 10_000;
  host.prints.set('nft', list(table(2)) + list(counter(IN, 1, '1', '1000')) + list(table(2)));
  const pass = await nft.poll();
  assert.equal(find(pass, `inet/tollgate/${IN}`, B.in).epoch, 'boot-1/4026/2.1');
  assert.equal(pass.ended.length, 2);
  host.prints.set('nft', list(table(2)) + list(counter(IN, 1, '1', '1000')) + list(table(3)));
  await assert.rejects(nft.poll(), /tables or the namespace came and went/);
});

test('a namespace made anew while its counters are listed is looked at again, under its own epoch', async () => {
  const host = new TestHost();
  const prints = (bytes: string): string => listing(counter(IN, 2, '1', bytes));
  const key = 'ip netns exec a nft';
  host.prints.set(key, prints('1000'));
  const nft = poller(host, { namespace: 'a' });
  await nft.poll();
  host.now += 10_000;
  const answers = [prints('300'), prints('310')];
  host.prints.set(key, async () => {
    host.inode = 5000;
    return answers.shift() ?? '';
  });
  const found = find(await nft.poll(), `inet/tollgate/${IN}`, B.in);
  assert.deepEqual([found.epoch, found.value], ['boot-1/5000/1.2', 310n]);
  host.prints.set(key, async () => {
    host.inode++;
    return prints('1');
  });
  await assert.rejects(nft.poll(), /3 looks/);
});

test('after a reboot starts lie after the boot', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '1', '900'));
  const memory = (await poller(host).poll()).memory?.() ?? '';
  host.now += 3_600_000;
  host.boot = 'boot-2';
  host.uptime = 60;
  const found = find(await poller(host, {}, memory).poll(), `inet/tollgate/${IN}`, B.in);
  assert.deepEqual([found.epoch, found.start], ['boot-2/4026/1.2', Math.floor(host.now / 1000 - 60.25) * 1000]);
});

test('a value that comes back under a new handle is named, and with epoch: name it stays one chain', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '1', '5000000'));
  const [byHandle, byName] = [poller(host), poller(host, { epoch: 'name' })];
  await Promise.all([byHandle.poll(), byName.poll()]);
  host.now += 10_000;
  set(host, counter(IN, 9, '1', '5000400'));
  assert.deepEqual(codes(await byHandle.poll()), [`restored inet/tollgate/${IN}`]);
  const pass = await byName.poll();
  assert.deepEqual([pass.ended, codes(pass), find(pass, `inet/tollgate/${IN}`, B.in).epoch], [[], [], 'name/4026']);
});

test('another network namespace is entered by name, and its inode is in the epoch', async () => {
  const host = new TestHost();
  host.inode = 99;
  host.prints.set('ip netns exec qrouter-1 nft -j list tables', listing(counter(IN, 2, '1', '2')));
  const found = find(await poller(host, { namespace: 'qrouter-1' }).poll(), `inet/tollgate/${IN}`, B.in);
  assert.equal(found.epoch, 'boot-1/99/1.2');
  for (const bad of ['../x', '-n', 'a b', 'a/b', '.'])
    assert.throws(() => poller(host, { namespace: bad }), /is no name/, bad);
});

test('other tables and objects without figures are left out', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '1', '2'), counter(OUT, 3, '"x"', '2'));
  const pass = await poller(host).poll();
  assert.deepEqual(codes(pass), [`malformed inet/tollgate/${OUT}`]);
  assert.deepEqual(values(await poller(host, { tables: ['other'] }).poll()), {});
});

test('a counter whose figures cannot be read for one pass has not ended, and begins nowhere when it is back', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '1', '900'));
  const nft = poller(host);
  await nft.poll();
  host.now += 10_000;
  set(host, counter(IN, 2, '1', '"x"'), counter(OUT, 3, '1', '"x"'));
  assert.deepEqual((await nft.poll()).ended, []);
  host.now += 10_000;
  set(host, counter(IN, 2, '1', '950'), counter(OUT, 3, '1', '70'));
  const pass = await nft.poll();
  assert.deepEqual(new Set(pass.counted.map(({ start }) => start)), new Set([0]));
});

test('no answer and no list are no data', async () => {
  const host = new TestHost();
  host.prints.set('nft', new Error('nft: Operation not permitted'));
  await assert.rejects(poller(host).poll(), /not permitted/);
  assert.throws(() => parseListing('{}'), /no list/);
  assert.throws(() => parseListing(list()), /printed 1 lists/);
  assert.throws(() => parseListing('{"nftables": [{"counter": {"byt'));
});

test('a pass that was given up leaves no trace: the next one tells what ended', async () => {
  const host = new TestHost();
  set(host, counter(IN, 2, '1', '2'));
  const nft = poller(host);
  await nft.poll();
  set(host);
  await assert.rejects(nft.poll(AbortSignal.abort()));
  host.now += 1000;
  assert.equal((await nft.poll()).ended.length, 2);
});
