/** The listener against what lies around it: the kernel's counters, TLS, and a framework. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:https';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fastify from 'fastify';
import { meterHttp } from './http.ts';
import { client, message, metered, portOf } from './testing/server.ts';
import { ManualTime, Sums, until } from './testing/world.ts';

const canUnshare = (): false | string => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root, linux';
  try {
    execFileSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore', timeout: 30_000 });
    return false;
  } catch {
    return 'needs network namespaces and ip';
  }
};

/** Runs alone in a network namespace, so that all that crosses `lo` is this. Prints what the meter and the kernel say. */
const script = `
import { readFileSync } from 'node:fs';
const { metered, client, message } = await import(process.argv[1]);
const lo = () => readFileSync('/proc/net/dev', 'utf8').match(/lo:\\s*(\\d+)\\s+(\\d+)/).slice(1).map(Number);
const repeated = () => Number(readFileSync('/proc/net/snmp', 'utf8').match(/Tcp: \\d.*/)[0].split(' ')[12]);
const [bytes, packets] = lo();
const world = await metered((request, response) => {
  request.resume().on('end', () => response.end('d'.repeat(Number(request.url.slice(1)))));
});
let ours = 0;
const connections = 20;
await Promise.all(Array.from({ length: connections }, async (_, i) => {
  const { send, seen, close } = await client(world.port);
  for (let n = 1; n <= 5; n += 1) {
    const body = 'u'.repeat(1000 * i);
    const text = message('POST /' + 3000 * i, 'tenant' + i, ['Content-Length: ' + body.length], body);
    const before = seen().length;
    send(text);
    while (!seen().slice(before).endsWith('\\r\\n\\r\\n' + 'd'.repeat(3000 * i))) await new Promise((r) => setTimeout(r, 2));
    ours += text.length + seen().length - before;
  }
  await close();
}));
await world.end();
const settled = async () => {
  for (let last = -1; ; ) {
    const now = lo()[1];
    if (now === last) return lo();
    last = now;
    await new Promise((r) => setTimeout(r, 50));
  }
};
const [bytesAfter, packetsAfter] = await settled();
console.log(JSON.stringify({
  metered: world.sums.sum('service.bytes.received') + world.sums.sum('service.bytes.sent'),
  nobody: world.sums.sum('service.bytes.received', '') + world.sums.sum('service.bytes.sent', ''),
  ours, connections, bytes: bytesAfter - bytes, packets: packetsAfter - packets,
  repeated: repeated(),
}));
`;

type Crossed = Record<'metered' | 'nobody' | 'ours' | 'connections' | 'bytes' | 'packets' | 'repeated', number>;

const crossed = (): Crossed => {
  const helper = fileURLToPath(new URL('./testing/server.js', import.meta.url));
  const set = 'ip link set lo up; echo 0 2>/dev/null > /proc/sys/net/ipv4/tcp_early_retrans; exec "$@"';
  const run = [process.execPath, '--input-type=module', '-e', script, helper];
  const options = { encoding: 'utf8', timeout: 40_000 } as const;
  return JSON.parse(execFileSync('unshare', ['--net', 'sh', '-c', set, 'sh', ...run], options)) as Crossed;
};

test('metered bytes are the kernel’s bytes less 52 a packet and 8 more for each SYN', { skip: canUnshare() }, () => {
  // On a busy machine the kernel probes for losses that are none, and what it repeats is no payload: switched off, and
  // tried again where it cannot be.
  let seen = crossed();
  for (let tries = 1; seen.repeated > 0 && tries < 5; tries += 1) seen = crossed();
  assert.equal(seen.repeated, 0, 'segments sent twice');
  // IPv4 20 + TCP 20 + timestamps 12; a SYN and its answer carry 8 bytes of options more.
  assert.equal(seen.bytes - 52 * seen.packets - 2 * 8 * seen.connections, seen.metered);
  assert.equal(seen.metered, seen.ours);
  assert.equal(seen.nobody, 0);
});

test('behind TLS the bytes of the application count, on kept-alive connections too', async () => {
  const sums = new Sums();
  // A shared key instead of a certificate, which would run out.
  const psk = Buffer.alloc(32, 7);
  const tls = { ciphers: 'PSK-AES128-GCM-SHA256:@SECLEVEL=0', maxVersion: 'TLSv1.2' } as const;
  const server = createServer({ ...tls, pskCallback: () => psk }, (incoming, response) => {
    incoming.resume().on('end', () => response.end('secret'.repeat(1000)));
  });
  const meter = meterHttp(server, { recorder: sums, timers: new ManualTime(), tenant: { header: 'x-tenant' } });
  let received = 0;
  let sent = 0;
  server.on('secureConnection', (socket) =>
    socket.once('close', () => {
      received += socket.bytesRead;
      sent += socket.bytesWritten;
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (const tenant of ['a', 'b', 'a']) {
    const options = {
      ...tls,
      agent,
      port: portOf(server),
      host: '127.0.0.1',
      method: 'POST',
      headers: { 'x-tenant': tenant },
      checkServerIdentity: () => undefined,
      pskCallback: () => ({ psk, identity: 'test' }),
    };
    const outgoing = request(options);
    outgoing.end('x'.repeat(20_000));
    const [answer] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
    answer.resume();
    await once(answer, 'end');
    assert.ok(sums.sum('service.bytes.received', tenant) > 20_000 || sums.count('service.requests') < 3);
  }
  agent.destroy();
  server.close();
  await until(() => meter.report().connections === 0 && received > 0);
  assert.equal(sums.sum('service.requests', 'a'), 2);
  assert.equal(sums.sum('service.bytes.received', 'a'), 2 * sums.sum('service.bytes.received', 'b'));
  assert.ok(sums.sum('service.bytes.sent', 'b') > 6000 && sums.sum('service.bytes.sent', 'b') < 6500);
  assert.equal(sums.sum('service.bytes.received'), received);
  assert.equal(sums.sum('service.bytes.sent'), sent);
  meter.close();
});

test('behind TLS, too, a download given up counts what the kernel took', async () => {
  const sums = new Sums();
  const psk = Buffer.alloc(32, 7);
  const tls = { ciphers: 'PSK-AES128-GCM-SHA256:@SECLEVEL=0', maxVersion: 'TLSv1.2' } as const;
  const size = 64 * 1024 * 1024;
  const server = createServer({ ...tls, pskCallback: () => psk }, (_incoming, response) => {
    response.end(Buffer.alloc(size));
  });
  const meter = meterHttp(server, { recorder: sums, timers: new ManualTime() });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const options = { ...tls, port: portOf(server), host: '127.0.0.1', agent: false } as const;
  const asked = { ...options, checkServerIdentity: () => undefined, pskCallback: () => ({ psk, identity: 'test' }) };
  const outgoing = request(asked).end();
  outgoing.on('error', () => undefined);
  const [answer] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream & { destroy(): void }];
  let got = 0;
  answer
    .on('error', () => undefined)
    .on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got > 1_000_000) answer.destroy();
    });
  await until(() => meter.report().requests === 1 && meter.report().connections === 0);
  meter.close();
  server.close();
  const sent = sums.sum('service.bytes.sent');
  assert.ok(sent >= got && sent < size / 2, `${got} came, ${sent} were counted`);
});

test('fastify is metered like any other, errors of its routes included', async () => {
  const app = fastify();
  const sums = new Sums();
  const meter = meterHttp(app.server, {
    recorder: sums,
    timers: new ManualTime(),
    tenant: { path: '/t/<tenant>/...' },
    kind: 'webapp',
  });
  app.get('/t/:tenant/hello', async (incoming) => ({ hello: (incoming.params as { tenant: string }).tenant }));
  app.get('/t/:tenant/bad', async () => {
    throw new Error('of the route');
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { socket, seen, send, heard, close } = await client(portOf(app.server));
  send(message('GET /t/acme/hello', ''));
  await heard('{"hello":"acme"}');
  send(message('GET /t/acme/bad', ''));
  await heard('of the route');
  await close();
  await app.close();
  const about = { kind: 'webapp' };
  assert.equal(sums.sum('service.requests', 'acme', about), 2);
  assert.equal(sums.sum('service.faults', 'acme', about), 1);
  assert.equal(sums.sum('service.bytes.received', 'acme', about), socket.bytesWritten);
  assert.equal(sums.sum('service.bytes.sent', 'acme', about), seen().length);
  meter.close();
});

test('requests injected without a socket pass through', async () => {
  const world = await metered((_request, response) => response.end('fine'));
  const { PassThrough, Duplex } = await import('node:stream');
  const [toServer, toClient] = [new PassThrough(), new PassThrough()];
  const pipe = Duplex.from({ readable: toServer, writable: toClient });
  world.server.emit('connection', pipe);
  toServer.write(message('GET /', 'acme', ['Connection: close']));
  let heard = '';
  toClient.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  await until(() => heard.endsWith('fine'));
  await until(() => world.sums.sum('service.requests', 'acme') === 1);
  assert.equal(world.meter.report().unmeasured, 1);
  assert.equal(world.sums.sum('service.bytes.sent'), 0);
  pipe.destroy();
  world.sockets.length = 0;
  await world.end();
});
