/**
 * A small service on node:http: finds the tenant of the path in a map and answers with 3.4 kB of JSON made for the
 * request. With `url`, metered and published to it.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { meterHttp, openUsage } from '@tollgate/agent';
import { TENANTS, tenantName } from './agent-http-tenants.ts';

const plans = ['free', 'team', 'enterprise'];
const accounts = new Map(
  Array.from({ length: TENANTS }, (_, i) => [tenantName(i), { name: `Tenant ${i}`, plan: plans[i % 3], seats: i }]),
);
const rows = Array.from({ length: 75 }, (_, i) => ({ id: i, name: `row ${i}`, tags: ['a', 'b'] }));

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const account = accounts.get(pathname.split('/')[2] ?? '');
  if (account === undefined) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ account, path: pathname, rows }));
});

process.once('message', async ({ url, folder }: { url: string; folder: string }) => {
  if (url !== '') {
    const usage = await openUsage({ url, key: 'key', source: 'bench', spool: folder });
    usage.start();
    meterHttp(server, { recorder: usage.recorder, tenant: { path: '/t/<tenant>/' } });
  }
  // Connections are kept from span to span, and a machine may stall between them.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
});
// Asked before and after a span, for the CPU that it took.
process.on('message', (message) => {
  if (message === 'cpu') process.send?.({ cpu: process.cpuUsage() });
});
process.on('disconnect', () => process.exit(0));
