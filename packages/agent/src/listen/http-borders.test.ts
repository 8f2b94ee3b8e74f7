/** Whose bytes are whose where requests of several tenants share a connection, and whose an upgrade is. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { meterHttp } from './http.ts';
import { client, message, metered } from './testing/server.ts';
import { Sums, until } from './testing/world.ts';

const IN = 'service.bytes.received';
const REQUESTS = 'service.requests';
const MIB = 1024 * 1024;
/** The most Node reads at once. */
const CHUNK = 65_536;

/** A server whose answers the test gives itself, by tenant. */
const byHand = async () => {
  const answers = new Map<string, ServerResponse>();
  const handler: RequestListener = (request, response) => {
    request.resume();
    answers.set(String(request.headers['x-tenant']), response);
  };
  const world = await metered(handler);
  const peer = await client(world.port);
  let written = 0;
  const send = (text: string) => {
    written += text.length;
    peer.send(text);
  };
  const arrived = () =>
    until(() => world.sockets[0]?.bytesRead === written, `${written} bytes, ${world.sockets[0]?.bytesRead} came`);
  const announced = (tenant: string) => until(() => answers.has(tenant), `the request of ${tenant}`);
  const answer = async (tenant: string) => {
    await announced(tenant);
    answers.get(tenant)?.end(`for ${tenant}`);
    await peer.heard(`for ${tenant}`);
  };
  const leave = async () => {
    peer.socket.destroy();
    await world.end();
  };
  return { ...world, send, arrived, announced, answer, leave };
};

const paid = (sums: Sums, ...tenants: readonly string[]) => tenants.map((tenant) => sums.sum(IN, tenant));
const post = (tenant: string, length: number) => message(`POST /${tenant}`, tenant, [`Content-Length: ${length}`]);
const chunked = (tenant: string, ...parts: readonly string[]) =>
  message(`POST /${tenant}`, tenant, ['Transfer-Encoding: chunked'], parts.map(framed).join(''));
const framed = (part: string) => `${part.length.toString(16)}\r\n${part}\r\n`;

test('an upload behind another pays for what came of it, not for what it announced', async () => {
  const { sums, send, arrived, announced, answer, leave } = await byHand();
  const [first, second] = [post('a', 4 * MIB), post('b', 100 * MIB)];
  send(first);
  send('x'.repeat(4 * MIB));
  send(second);
  send('y'.repeat(1000));
  await announced('b');
  await arrived();
  await answer('a');
  await leave();
  assert.deepEqual(paid(sums, 'a', 'b'), [first.length + 4 * MIB, second.length + 1000]);
});

test('a meter that is closed takes what has come of requests that wait for their turn', async () => {
  const { meter, sums, send, arrived, announced, leave } = await byHand();
  const [first, second, third] = [message('GET /a', 'a'), post('b', 10) + 'y'.repeat(10), post('c', 100)];
  send(`${first}${second}${third}zz`);
  await announced('c');
  await arrived();
  meter.close();
  assert.deepEqual(paid(sums, 'a', 'b', 'c'), [first.length, second.length, third.length + 2]);
  assert.equal(sums.sum(REQUESTS), 0, 'none has ended');
  await leave();
});

test('behind a chunked upload the border is right to a chunk, and right to the byte when all behind it has come', async () => {
  for (const { behind, rest, error } of [
    { behind: post('b', 100 * MIB), rest: 1000, error: CHUNK },
    { behind: post('b', 1000), rest: 1000, error: 0 },
    { behind: message('GET /b', 'b'), rest: 0, error: 0 },
  ]) {
    const { sums, send, arrived, announced, answer, leave } = await byHand();
    const first = chunked('a', 'x'.repeat(MIB), '');
    send(first + behind + 'y'.repeat(rest));
    await announced('b');
    await arrived();
    await answer('a');
    await leave();
    const off = sums.sum(IN, 'a') - first.length;
    assert.ok(off >= 0 && off <= error, `a is off by ${off}`);
    assert.equal(sums.sum(IN, 'b'), behind.length + rest - off);
  }
});

test('the rest of an upload that was answered early is its sender’s, however much the next request announces', async () => {
  for (const [first, rest] of [
    [post('a', 8 * MIB), 'x'.repeat(8 * MIB)],
    [chunked('a'), `${framed('x'.repeat(8 * MIB))}0\r\n\r\n`],
  ] as const) {
    const { sums, send, arrived, announced, answer, leave } = await byHand();
    send(first);
    await answer('a');
    send(rest);
    await arrived();
    const second = post('b', 50 * MIB);
    send(second);
    await announced('b');
    send('y'.repeat(1000));
    await arrived();
    await leave();
    const off = sums.sum(IN, 'a') - first.length - rest.length;
    assert.ok(off >= 0 && off <= 1000, `a is off by ${off}`);
    assert.equal(sums.sum(IN, 'b'), second.length + 1000 - off);
  }
});

test('small requests after an upload that was answered early pay their own bodies, at a step and at the end', async () => {
  for (const steps of [0, 1]) {
    const { sums, time, send, arrived, announced, answer, leave } = await byHand();
    const first = chunked('a');
    send(first);
    await answer('a');
    const rest = `${framed('x'.repeat(5000))}0\r\n\r\n`;
    const [second, third] = [`${post('b', 3000)}${'y'.repeat(3000)}`, message('GET /c', 'c')];
    send(rest + second + third);
    await announced('c');
    await arrived();
    time.pass(steps * 10_000);
    if (steps > 0) assert.deepEqual(paid(sums, 'a', 'b'), [first.length + rest.length, second.length], 'at a step');
    await answer('b');
    await answer('c');
    await leave();
    assert.deepEqual(paid(sums, 'a', 'b', 'c'), [first.length + rest.length, second.length, third.length]);
  }
});

test('an upgrade behind an upload pays for what came of it, whatever length its head declares', async () => {
  const { server, sums, send, arrived, announced, leave } = await byHand();
  server.on('upgrade', (_request, socket) => socket.resume().on('end', () => socket.destroy()));
  const upgraded = once(server, 'upgrade');
  const lines = ['Connection: Upgrade', 'Upgrade: echo', `Content-Length: ${100 * MIB}`];
  const [first, second] = [chunked('a', 'x'.repeat(MIB), ''), message('GET /b', 'b', lines)];
  send(first + second);
  await announced('a');
  await upgraded;
  await arrived();
  await leave();
  assert.deepEqual(paid(sums, 'a', 'b'), [first.length, second.length]);
});

test('on a connection older than the meter nobody pays for what came before', async () => {
  for (const length of [100 * MIB, 1000]) {
    const { server, time, send, arrived, announced, answer, leave } = await byHand();
    send(post('a', 4 * MIB) + 'x'.repeat(4 * MIB));
    await arrived();
    await answer('a');
    const late = new Sums();
    const meter = meterHttp(server, { recorder: late, timers: time, clock: time, tenant: { header: 'x-tenant' } });
    const second = post('b', length);
    send(second + 'y'.repeat(1000));
    await announced('b');
    await arrived();
    if (length === 1000) await answer('b');
    await leave();
    meter.close();
    const [own = 0] = paid(late, 'b');
    assert.ok(own <= second.length + 1000 && own >= second.length, `b pays ${own}`);
    if (length === 1000) assert.equal(own, second.length + 1000);
    assert.equal(late.sum(IN), own);
  }
});

type Known = IncomingMessage & { tenant?: string };
const upgrade = message('GET /chat', '', ['Connection: Upgrade', 'Upgrade: echo']);

test('an upgrade is its tenant’s as the application found it out, also when that was after it began', async () => {
  const world = await metered(() => undefined, { tenant: (request) => (request as Known).tenant ?? 'anonymous' });
  world.server.on('upgrade', (request: Known, socket) => {
    setImmediate(() => {
      request.tenant = 'acme';
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.pipe(socket);
    });
  });
  const { socket, send, heard, close } = await client(world.port);
  send(upgrade);
  await heard('101');
  send('ping');
  await heard('ping');
  await close();
  await world.end();
  assert.deepEqual(world.sums.subjects(IN), ['acme']);
  assert.deepEqual([world.sums.sum(REQUESTS, 'acme'), world.sums.sum(REQUESTS)], [1, 1]);
  assert.equal(world.sums.sum(IN, 'acme'), socket.bytesWritten);
});

test('what a function said at a step holds for that step only, and a pattern’s word for good', async () => {
  const world = await metered(() => undefined, { tenant: (request) => (request as Known).tenant ?? 'anonymous' });
  let seen: Known | undefined;
  world.server.on('upgrade', (request: Known, socket) => {
    seen = request;
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  const patterns = new Sums();
  const other = meterHttp(world.server, { recorder: patterns, timers: world.time, tenant: { header: 'x-tenant' } });
  const { socket, send, heard } = await client(world.port);
  send(message('GET /chat', 'header', ['Connection: Upgrade', 'Upgrade: echo']));
  await heard('101');
  world.time.pass(10_000);
  const early = socket.bytesWritten;
  assert.equal(world.sums.sum(IN, 'anonymous'), early);
  if (seen) Object.assign(seen, { tenant: 'acme' }).headers['x-tenant'] = 'rewritten';
  send('ping'.repeat(100));
  await heard('ping', 100);
  socket.end();
  await once(socket, 'close');
  await world.end();
  await until(() => other.report().connections === 0);
  other.close();
  assert.deepEqual([world.sums.sum(IN, 'anonymous'), world.sums.sum(IN, 'acme')], [early, 400]);
  assert.equal(world.sums.sum(REQUESTS), 1);
  assert.deepEqual(patterns.subjects(IN), ['header']);
});
