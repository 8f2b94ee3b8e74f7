/**
 * The example of ten lines, docs/examples/express.mjs as it stands: what it shows of each tenant must be what that
 * tenant's client sent and received, and what the kernel counted of it. Express is no dependency of ours: where it is not
 * installed, the same lines run on a stand-in with its three calls over node:http.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, post } from '../http.ts';
import { isLong, LONG_FORM, needs } from '../needs.ts';
import { withServer } from '../server.ts';
import { usageRows, wholeSum } from '../usage.ts';
import { LEFT_ADDRESS, type Wire } from './namespace.ts';
import { Outlet } from './outlet.ts';
import { loadRules, openWire, TIMEOUT, traffic } from './polled.ts';

const root = join(import.meta.dirname, '..', '..', '..');

const STAND_IN = `import { createServer } from 'node:http';
export default () => {
  const routes = [];
  const handle = (request, response) => {
    const path = request.url.split('?')[0];
    response.send = (text) => response.end(text);
    for (const { pattern, handler } of routes) {
      const found = pattern.exec(path);
      if (found) return handler(Object.assign(request, { params: found.groups }), response);
    }
    response.writeHead(404).end();
  };
  return {
    get: (path, handler) => routes.push({ pattern: new RegExp('^' + path.replace(/:(\\w+)/g, '(?<$1>[^/]+)') + '$'), handler }),
    listen: (...where) => createServer(handle).listen(...where),
  };
};
`;

/** Where the example finds its two imports. Says which Express it got. */
const install = (dir: string): string => {
  copyFileSync(join(root, 'docs', 'examples', 'express.mjs'), join(dir, 'express.mjs'));
  mkdirSync(join(dir, 'node_modules', '@tollgate'), { recursive: true });
  symlinkSync(join(root, 'packages', 'agent'), join(dir, 'node_modules', '@tollgate', 'agent'));
  const place = join(dir, 'node_modules', 'express');
  try {
    symlinkSync(dirname(createRequire(import.meta.url).resolve('express')), place);
    return 'Express';
  } catch {
    mkdirSync(place);
    writeFileSync(join(place, 'package.json'), '{ "name": "express", "type": "module", "exports": "./index.js" }');
    writeFileSync(join(place, 'index.js'), STAND_IN);
    return 'the stand-in for Express';
  }
};

/** A client address each, so that the kernel can tell their packets apart. */
const TENANTS = [
  { name: 'acme', address: '10.77.0.11', times: 40 },
  { name: 'globex', address: '10.77.0.12', times: 25 },
] as const;

const RULES = `table inet tollgate {
${TENANTS.map(({ name }) => `  counter ${name}_received { }\n  counter ${name}_sent { }`).join('\n')}
  chain input {
    type filter hook input priority 0;
${TENANTS.map(({ name, address }) => `    ip saddr ${address} tcp dport 3000 counter name "${name}_received"`).join('\n')}
  }
  chain output {
    type filter hook output priority 0;
${TENANTS.map(({ name, address }) => `    ip daddr ${address} tcp sport 3000 counter name "${name}_sent"`).join('\n')}
  }
}`;

/**
 * TCP payload by the kernel's count: bytes from the IP header on, less IPv4 20, TCP 20 and timestamps 12 a packet, and
 * 8 more of options for the one packet of each connection and direction that opens it.
 */
const payloadOf = (wire: Wire, counter: string, connections: number): number => {
  const text = wire.in(wire.left, 'nft', 'list', 'counter', 'inet', 'tollgate', counter);
  const [, packets, bytes] = /packets (\d+) bytes (\d+)/.exec(text) ?? [];
  return Number(bytes) - 52 * Number(packets) - 8 * connections;
};

const repeated = (wire: Wire, namespace: string): number => {
  const lines = wire.in(namespace, 'cat', '/proc/net/snmp').match(/^Tcp: .*$/gm) ?? [];
  const column = lines[0]?.split(' ').indexOf('RetransSegs') ?? -1;
  return Number(lines[1]?.split(' ')[column] ?? -1);
};

const prepare = (t: TestContext): Wire => {
  const wire = openWire(t, 'x');
  loadRules(wire, wire.left, RULES);
  for (const { address } of TENANTS) wire.in(wire.right, 'ip', 'address', 'add', `${address}/24`, 'dev', wire.nic);
  // On a busy machine the kernel probes for losses that are none, and what it repeats is no payload.
  for (const side of [wire.left, wire.right])
    wire.in(side, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/tcp_early_retrans');
  return wire;
};

test('the example of ten lines shows for each tenant the bytes its client sent and received, and the kernel counted', {
  skip: isLong ? needs('linux', 'netns', 'nft') : LONG_FORM,
  timeout: TIMEOUT,
}, async (t) => {
  const wire = prepare(t);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-express-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  t.diagnostic(`on ${install(dir)}`);
  await withServer(
    async (server) => {
      const from = Date.now() - 60_000;
      const outlet = new Outlet(wire, dir, server.url);
      t.after(() => outlet.close());
      const meters = JSON.parse(
        readFileSync(join(root, 'docs', 'examples', 'service-meters.json'), 'utf8'),
      ) as object[];
      for (const meter of meters) await post(server, '/api/v1/meters', meter);
      for (const { name } of TENANTS) {
        await post(server, '/api/v1/accounts', { id: name });
        await post(server, `/api/v1/resources/${name}/owner`, { account: name, from: '2026-01-01T00:00:00Z' });
      }
      const key = await post<{ secret: string }>(server, '/api/v1/keys', {
        account: null,
        scopes: ['ingest'],
        sources: ['shop/*'],
      });
      const app = wire.spawn(wire.left, ['sh', '-c', `cd ${dir} && exec ${process.execPath} express.mjs`], {
        TOLLGATE_URL: outlet.url,
        TOLLGATE_KEY: key.secret,
      });
      t.after(() => app.kill('SIGKILL'));
      let said = '';
      app.stderr?.on('data', (part: Buffer) => {
        said += part.toString();
      });
      const listens = (): Promise<boolean> =>
        Promise.resolve(wire.in(wire.left, 'ss', '-Hltn', 'sport = :3000').includes(':3000'));
      await eventually(listens, (yes) => yes, 10_000).catch((error: unknown) => assert.fail(`${error}\n${said}`));

      const asked = await Promise.all(
        TENANTS.map(async ({ name, address, times }) => {
          const client = [process.execPath, traffic, 'http-get', LEFT_ADDRESS, '3000', address, name, String(times)];
          const run = wire.spawn(wire.right, client);
          let out = '';
          run.stdout?.on('data', (part: Buffer) => {
            out += part.toString();
          });
          await once(run, 'close');
          const [, sent = '', received = ''] = /^done (\d+) (\d+)$/m.exec(out) ?? [];
          return { name, times, sent: Number(sent), received: Number(received) };
        }),
      );
      await wait(200);
      const ended = once(app, 'exit');
      // It sends what is left, and ends.
      app.kill('SIGTERM');
      await ended;

      assert.deepEqual([repeated(wire, wire.left), repeated(wire, wire.right)], [0, 0], 'segments sent twice');
      for (const { name, times, sent, received } of asked) {
        assert.ok(sent > 1000 * times && received > 100 * times, `${name} ${sent} ${received}`);
        assert.deepEqual(
          [payloadOf(wire, `${name}_received`, times), payloadOf(wire, `${name}_sent`, times)],
          [sent, received],
          'the kernel counts what the client sent and received',
        );
        const shown = async (meter: string): Promise<bigint> =>
          wholeSum(await usageRows(server, { meter, from, to: Date.now() + 60_000, more: { account: name } }));
        const both = (): Promise<bigint[]> =>
          Promise.all(['service.bytes.received', 'service.bytes.sent', 'service.requests'].map(shown));
        const right = [BigInt(sent), BigInt(received), BigInt(times)];
        await eventually(both, (now) => now.join() === right.join(), 10_000);
      }
      const nobody = await usageRows(server, {
        meter: 'service.bytes.received',
        from,
        to: Date.now() + 60_000,
        more: { account: 'unattributed' },
      });
      assert.equal(wholeSum(nobody), 0n);
    },
    { env: { TOLLGATE_JOB_SECONDS: '1' } },
  );
});
