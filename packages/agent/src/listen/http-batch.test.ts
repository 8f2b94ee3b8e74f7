/** What the listener keeps for itself until the recorder asks, and answers that are not Node's own. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer, IncomingMessage, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { Batch, happened } from './batch.ts';
import { client, message, metered, portOf } from './testing/server.ts';
import { Sums, until } from './testing/world.ts';

const dimensions = { kind: 'service' };

/** A recorder that asks. */
class Asking extends Sums {
  readonly asked = new Set<() => void>();

  beforeTake(tell: () => void): () => void {
    this.asked.add(tell);
    return () => this.asked.delete(tell);
  }

  take(): void {
    for (const tell of this.asked) tell();
  }
}

test('a recorder that asks gets one addition a meter and tenant for all requests since it asked last', async () => {
  const sums = new Asking();
  const world = await metered((_request, response) => response.end('ok'), { recorder: sums });
  const { socket, seen, send, heard, close } = await client(world.port);
  for (let i = 1; i <= 3; i += 1) {
    send(message('GET /', 'acme'));
    await heard('ok', i);
  }
  await until(() => world.meter.report().requests === 3);
  assert.equal(sums.adds.length, 0, 'before it asks');
  sums.take();
  assert.equal(sums.sum('service.bytes.received', 'acme'), socket.bytesWritten);
  assert.equal(sums.sum('service.bytes.sent', 'acme'), seen().length);
  assert.deepEqual([sums.sum('service.requests', 'acme'), sums.count('service.response_ms', 'acme')], [3, 3]);
  assert.equal(sums.adds.length, 4);
  send(message('GET /', 'acme'));
  await heard('ok', 4);
  await close();
  await world.end();
  assert.equal(sums.sum('service.requests', 'acme'), 4, 'the end of the meter records the rest');
  assert.equal(sums.asked.size, 0, 'and leaves the recorder');
});

test('more than a batch holds is added up and nothing is lost', () => {
  const sums = new Asking();
  const batch = new Batch(sums, {}, dimensions, assert.fail);
  for (let i = 0; i < 1000; i += 1) batch.put(`t${i % 7}`, i, 2 * i, happened.answer, 0.25);
  batch.put('t0', 5, 0, happened.bytes, 0);
  batch.put('t0', 0, 0, happened.upgrade, 0);
  batch.put('t0', 0, 0, happened.fault, 1);
  sums.take();
  const all = (1000 * 999) / 2;
  assert.deepEqual(
    [sums.sum('service.bytes.received'), sums.sum('service.bytes.sent'), sums.sum('service.requests')],
    [all + 5, 2 * all, 1002],
  );
  assert.deepEqual([sums.sum('service.faults'), sums.count('service.response_ms')], [1, 1001]);
  batch.close();
});

test('an `allow` that throws makes the request nobody’s and loses no byte', () => {
  const sums = new Asking();
  let failed = 0;
  const allow = () => {
    throw new Error('no');
  };
  const batch = new Batch(sums, { allow }, dimensions, () => {
    failed += 1;
  });
  batch.put('acme', 10, 20, happened.answer, 0);
  batch.close();
  assert.deepEqual([sums.sum('service.bytes.received', ''), sums.sum('service.bytes.sent', ''), failed], [10, 20, 1]);
});

test('answers made by hand are counted when they finish, in whatever order they do', async () => {
  const world = await metered(() => undefined);
  const socket = new Socket();
  const exchange = (tenant: string) => {
    const request = new IncomingMessage(socket);
    request.headers['x-tenant'] = tenant;
    const response = Object.assign(new EventEmitter(), { statusCode: 200 });
    world.server.emit('request', request, response as unknown as ServerResponse);
    return response;
  };
  const [first, second] = [exchange('first'), exchange('second')];
  second.emit('finish');
  first.emit('finish');
  first.emit('finish');
  socket.destroy();
  await once(socket, 'close');
  await world.end();
  for (const tenant of ['first', 'second']) assert.equal(world.sums.sum('service.requests', tenant), 1, tenant);
  assert.equal(world.sums.sum('service.faults'), 0);
});

test('a server that is not metered, beside one that is, is not counted', async () => {
  const world = await metered((_request, response) => response.end('metered'));
  const other = createServer((_request, response) => response.end('other'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const visitor = await client(portOf(other));
  visitor.send(message('GET /', 'acme'));
  await visitor.heard('other');
  await visitor.close();
  other.close();
  await world.end();
  assert.equal(world.sums.adds.length, 0);
  assert.equal(world.meter.report().errors, 0);
});
