/** The listener on node:http, over real sockets: bytes are compared with what the sockets counted at both ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { client, message, metered, total } from './testing/server.ts';
import { until } from './testing/world.ts';

const IN = 'service.bytes.received';
const OUT = 'service.bytes.sent';
type World = Awaited<ReturnType<typeof metered>>;

/** Everything the server's sockets counted is in exactly one tenant's sum. */
const conserved = ({ sums, sockets, meter }: World): void => {
  assert.equal(sums.sum(IN), total(sockets, 'bytesRead'), 'bytes received');
  assert.equal(sums.sum(OUT) + meter.report().unsent, total(sockets, 'bytesWritten'), 'bytes sent');
  assert.equal(meter.report().errors, 0);
};

test('requests of several tenants on one kept-alive connection get exactly their own bytes, heads included', async () => {
  const world = await metered((request, response) => {
    request.resume().on('end', () => response.end(`hello ${request.headers['x-tenant']}`));
  });
  const { socket, send, heard, seen, close } = await client(world.port);
  const ours: Record<string, [number, number]> = {};
  for (const tenant of ['acme', 'globex', 'acme', 'initech']) {
    const [before, was] = [socket.bytesWritten, seen().length];
    send(message('POST /', tenant, ['Content-Length: 5'], 'abcde'));
    await until(() => seen().slice(was).endsWith(`hello ${tenant}`));
    ours[tenant] ??= [0, 0];
    const sum = ours[tenant];
    sum[0] += socket.bytesWritten - before;
    sum[1] += seen().length - was;
  }
  await heard('hello', 4);
  await close();
  await world.end();
  for (const [tenant, [sent, received]] of Object.entries(ours)) {
    assert.equal(world.sums.sum(IN, tenant), sent, `${tenant} in`);
    assert.equal(world.sums.sum(OUT, tenant), received, `${tenant} out`);
  }
  assert.equal(world.sums.sum('service.requests', 'acme', { kind: 'service' }), 2);
  assert.equal(world.sums.sum('service.faults'), 0);
  conserved(world);
});

test('pipelined requests of different tenants in one segment are told apart', async () => {
  const world = await metered((request, response) => {
    // The first answers last: answers still leave in order.
    setTimeout(
      () => response.end(request.headers['x-tenant']?.toString().repeat(10)),
      request.url === '/slow' ? 30 : 0,
    );
  });
  const { send, heard, close } = await client(world.port);
  const requests = [
    message('GET /slow', 'a'),
    message('POST /b', 'bb', ['Content-Length: 4'], 'body'),
    message('GET /ccc', 'ccc'),
  ];
  send(requests.join(''));
  await heard('ccc'.repeat(10));
  await close();
  await world.end();
  assert.deepEqual(
    ['a', 'bb', 'ccc'].map((tenant) => world.sums.sum(IN, tenant)),
    requests.map((text) => text.length),
  );
  const [a = 0, b = 0] = ['a', 'bb'].map((tenant) => world.sums.sum(OUT, tenant));
  assert.equal(b - a, 10, 'answers differ by ten letters');
  conserved(world);
});

test('a chunked upload counts as it was framed', async () => {
  const world = await metered((request, response) => {
    request.resume().on('end', () => response.end('done'));
  });
  const { socket, send, heard, close } = await client(world.port);
  send(message('POST /', 'acme', ['Transfer-Encoding: chunked']));
  for (let i = 0; i < 20; i += 1) send(`400\r\n${'x'.repeat(1024)}\r\n`);
  send('0\r\n\r\n');
  await heard('done');
  await close();
  await world.end();
  assert.equal(world.sums.sum(IN, 'acme'), socket.bytesWritten);
  conserved(world);
});

test('HEAD and 304 are answers without a body and count their heads', async () => {
  const world = await metered((request, response) => {
    response.statusCode = request.url === '/304' ? 304 : 200;
    response.setHeader('content-length', 1000);
    response.end(request.method === 'HEAD' ? undefined : 'x');
  });
  const { seen, send, heard, close } = await client(world.port);
  send(message('HEAD /', 'acme'));
  await heard('\r\n\r\n');
  send(message('GET /304', 'acme'));
  await heard('304');
  await heard('\r\n\r\n', 2);
  await close();
  await world.end();
  assert.equal(world.sums.sum(OUT, 'acme'), seen().length);
  assert.equal(world.sums.sum('service.faults'), 0);
  conserved(world);
});

test('the rest of an upload that was refused early still goes to who sends it, not to who comes next', async () => {
  const world = await metered((request, response) => {
    if (request.method === 'POST') response.writeHead(413).end('too much');
    else response.end('next');
  });
  const { send, heard, close } = await client(world.port);
  const post = message('POST /', 'big', ['Content-Length: 300000']);
  send(post);
  await heard('too much');
  for (let i = 0; i < 3; i += 1) send('y'.repeat(100_000));
  const get = message('GET /', 'small');
  send(get);
  await heard('next');
  await close();
  await world.end();
  assert.equal(world.sums.sum(IN, 'small'), get.length);
  assert.equal(world.sums.sum(IN, 'big'), post.length + 300_000);
  conserved(world);
});

test('an upload the client gives up is a fault and its bytes count', async () => {
  const world = await metered(() => undefined);
  const { socket, send } = await client(world.port);
  send(message('POST /', 'acme', ['Content-Length: 1000000']) + 'z'.repeat(5000));
  await until(() => (world.sockets[0]?.bytesRead ?? 0) > 5000);
  socket.destroy();
  await world.end();
  assert.ok(world.sums.sum(IN, 'acme') > 5000);
  assert.deepEqual([world.sums.sum('service.requests', 'acme'), world.sums.sum('service.faults', 'acme')], [1, 1]);
  conserved(world);
});

test('a download the client gives up counts what the kernel took, not all that was written', async () => {
  const size = 64 * 1024 * 1024;
  const world = await metered((_request, response) => {
    response.end(Buffer.alloc(size));
  });
  const { socket, send, heard } = await client(world.port);
  send(message('GET /', 'acme'));
  await heard('\0');
  socket.destroy();
  await world.end();
  const sent = world.sums.sum(OUT, 'acme');
  assert.ok(sent >= socket.bytesRead && sent < size / 2, `${sent} of ${size}`);
  assert.ok(world.meter.report().unsent > size / 2);
  assert.equal(world.sums.sum('service.faults', 'acme'), 1);
  conserved(world);
});

test('an upgraded connection counts in steps until it closes', async () => {
  const world = await metered((_request, response) => {
    response.end();
  });
  world.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  const { socket, seen, send, heard } = await client(world.port);
  send(message('GET /chat', 'acme', ['Upgrade: echo', 'Connection: Upgrade']));
  await heard('101');
  send('ping'.repeat(1000));
  await heard('ping', 1000);
  assert.equal(world.sums.sum(OUT), 0);
  world.time.pass(10_000);
  assert.equal(world.sums.sum(OUT, 'acme'), seen().length, 'after a step');
  assert.equal(world.sums.sum(IN, 'acme'), socket.bytesWritten);
  assert.equal(world.sums.sum('service.requests', 'acme'), 1, 'counted at the first step');
  send('pong'.repeat(500));
  await heard('pong', 500);
  socket.end();
  await once(socket, 'close');
  await world.end();
  assert.equal(world.sums.sum(OUT, 'acme'), seen().length);
  assert.deepEqual([world.sums.sum('service.requests'), world.sums.sum('service.faults')], [1, 0]);
  conserved(world);
});

test('a server without an upgrade listener goes on answering upgrades as plain requests', async () => {
  const world = await metered((_request, response) => {
    response.end('plain');
  });
  const { send, heard, close } = await client(world.port);
  send(message('GET /', 'acme', ['Upgrade: h2c', 'Connection: Upgrade']));
  await heard('plain');
  await close();
  await world.end();
  assert.equal(world.sums.sum('service.requests', 'acme'), 1);
  conserved(world);
});

test('a long answer is counted in steps', async () => {
  const world = await metered((_request, response) => {
    response.write('first');
    response.on('close', () => response.destroy());
  });
  const { socket, seen, send, heard } = await client(world.port);
  send(message('GET /events', 'acme'));
  await heard('first');
  world.time.pass(10_000);
  assert.equal(world.sums.sum(OUT, 'acme'), seen().length);
  socket.destroy();
  await world.end();
  conserved(world);
});

test('5xx are faults and 4xx are not; the answer times add up without losing parts of a millisecond', async () => {
  const world = await metered((request, response) => {
    world.time.pass(0.4);
    response.statusCode = Number(request.url?.slice(1));
    response.end('.');
  });
  const { send, heard, close } = await client(world.port);
  let sent = 0;
  for (const status of [500, 503, 404, 200, 200]) {
    send(message(`GET /${status}`, 'acme'));
    sent += 1;
    await heard('\r\n\r\n.', sent);
  }
  await close();
  await world.end();
  assert.equal(world.sums.sum('service.faults', 'acme'), 2);
  assert.equal(world.sums.sum('service.response_ms', 'acme'), 2);
  assert.equal(world.sums.count('service.response_ms', 'acme'), 5);
  conserved(world);
});

test('a handler that throws harms neither the meter nor the next request', async () => {
  const world = await metered((request, response) => {
    if (request.url === '/throw') throw new Error('of the application');
    response.end('fine');
  });
  const caught: unknown[] = [];
  // A throwing listener ends up with the process; frameworks catch earlier. Caught here the way they do.
  const emit = world.server.emit;
  world.server.emit = function (this: unknown, ...args: Parameters<typeof emit>) {
    try {
      return emit.apply(world.server, args);
    } catch (error) {
      caught.push(error);
      (args[2] as { destroy(): void } | undefined)?.destroy();
      return true;
    }
  } as typeof emit;
  const first = await client(world.port);
  first.send(message('GET /throw', 'acme'));
  await once(first.socket, 'close');
  const second = await client(world.port);
  second.send(message('GET /', 'acme'));
  await second.heard('fine');
  await second.close();
  await world.end();
  assert.equal(caught.length, 1);
  assert.deepEqual([world.sums.sum('service.requests', 'acme'), world.sums.sum('service.faults', 'acme')], [2, 1]);
  conserved(world);
});

test('a tenant function that throws, and a recorder that throws, are counted and reach no request', async () => {
  const world = await metered((_request, response) => response.end('fine'), {
    tenant: () => {
      throw new Error('no');
    },
    recorder: {
      add: () => {
        throw new Error('no');
      },
      set: () => undefined,
    },
  });
  const { send, heard, close } = await client(world.port);
  send(message('GET /', 'acme'));
  await heard('fine');
  send(message('GET /', 'acme'));
  await heard('fine', 2);
  await close();
  await world.end();
  assert.ok(world.meter.report().errors >= 4);
});

test('a tenant function is asked when the request ends, so it sees what the application found out', async () => {
  const world = await metered(
    (request, response) => {
      (request as { user?: string }).user = 'late';
      response.end('ok');
    },
    { tenant: (request) => (request as { user?: string }).user },
  );
  const { send, heard, close } = await client(world.port);
  send(message('GET /', ''));
  await heard('ok');
  await close();
  await world.end();
  assert.deepEqual(world.sums.subjects(IN), ['late']);
});

test('broken requests and silence are nobody’s, and conserved', async () => {
  const world = await metered((_request, response) => response.end());
  const broken = await client(world.port);
  broken.send('NOT HTTP\r\n\r\n');
  await once(broken.socket, 'close');
  const silent = await client(world.port);
  await silent.close();
  await world.end();
  assert.deepEqual(world.sums.subjects(IN), ['']);
  assert.equal(world.sums.sum('service.requests'), 0);
  conserved(world);
});

test('Expect: 100-continue is one request, with and without a listener that passes on', async () => {
  for (const passesOn of [false, true]) {
    const world = await metered((request, response) => {
      request.resume().on('end', () => response.end('done'));
    });
    if (passesOn)
      world.server.on('checkContinue', (request, response) => {
        response.writeContinue();
        world.server.emit('request', request, response);
      });
    const { seen, send, heard, close } = await client(world.port);
    send(message('POST /', 'acme', ['Content-Length: 3', 'Expect: 100-continue']));
    await heard('100 Continue');
    send('abc');
    await heard('done');
    await close();
    await world.end();
    assert.equal(world.sums.sum('service.requests', 'acme'), 1);
    assert.equal(world.sums.sum(OUT, 'acme'), seen().length);
    conserved(world);
  }
});

test('hostile tenants do not grow memory and go to nobody', async () => {
  const world = await metered((_request, response) => response.end('.'), {
    maxTenants: 3,
    allow: (tenant) => tenant !== 'evil',
  });
  const { send, heard, close } = await client(world.port);
  const names = ['a', 'b', 'evil', 'c', 'd', 'e', 'x'.repeat(129), 'b\x85d', 'a'];
  let sent = 0;
  for (const name of names) {
    send(message('GET /', name));
    sent += 1;
    await heard('\r\n\r\n.', sent);
  }
  await close();
  await world.end();
  assert.deepEqual(world.sums.subjects(IN), ['', 'a', 'b', 'c']);
  assert.equal(world.sums.sum('service.requests', ''), 5);
  const { invalid, refused, overflow } = world.meter.report().unattributed;
  assert.ok(invalid >= 2 && refused >= 1 && overflow >= 2);
  conserved(world);
});

test('two meters on one server count the same and close apart; a closed one touches nothing', async () => {
  const world = await metered((_request, response) => response.end('.'));
  const { meterHttp } = await import('./http.ts');
  const { Sums } = await import('./testing/world.ts');
  const other = new Sums();
  const second = meterHttp(world.server, { recorder: other, kind: 'webapp', timers: world.time });
  const { send, heard, close } = await client(world.port);
  send(message('GET /', 'acme'));
  await heard('\r\n\r\n.');
  second.close();
  const counted = other.sum(IN, '', { kind: 'webapp' });
  assert.equal(counted, world.sums.sum(IN, 'acme'));
  send(message('GET /', 'acme'));
  await heard('\r\n\r\n.', 2);
  await close();
  await world.end();
  assert.equal(other.sum(IN), counted);
  assert.equal(world.time.waiting, 0, 'no timer stays behind');
  conserved(world);
});

test('a meter put on a busy server counts from its first request on', async () => {
  const world = await metered((_request, response) => response.end('.'), { tenant: { path: '/t/<tenant>/' } });
  const { meterHttp } = await import('./http.ts');
  const { Sums } = await import('./testing/world.ts');
  const { send, heard, close, seen } = await client(world.port);
  send(message('GET /t/one/', ''));
  await heard('\r\n\r\n.');
  const late = new Sums();
  const meter = meterHttp(world.server, { recorder: late, tenant: { path: '/t/<tenant>/' }, timers: world.time });
  const [before, request] = [seen().length, message('GET /t/two/', '')];
  send(request);
  await heard('\r\n\r\n.', 2);
  await close();
  await world.end();
  meter.close();
  assert.deepEqual([late.sum(IN), late.sum(OUT)], [request.length, seen().length - before]);
});

test('a thousand connections at once, some aborted: every byte is somebody’s', async () => {
  const world = await metered((request, response) => {
    request.resume().on('end', () => response.end('r'.repeat(Number(request.url?.slice(1)))));
  });
  let seed = 7;
  const next = (n: number): number => {
    seed = (seed * 48271) % 2147483647;
    return seed % n;
  };
  const all = await Promise.all(Array.from({ length: 1000 }, () => client(world.port)));
  await Promise.all(
    all.map(async ({ socket, send, heard, close }, i) => {
      const body = 'b'.repeat(next(2000));
      for (let n = 1; n <= 3; n += 1) {
        send(message(`POST /${next(5000)}`, `t${i % 17}`, [`Content-Length: ${body.length}`], body));
        if (next(10) === 0) return socket.destroy();
        await heard('\r\n\r\n', n);
      }
      return close();
    }),
  );
  await world.end();
  assert.equal(world.sums.subjects(IN).filter((subject) => subject !== '').length, 17);
  conserved(world);
});
