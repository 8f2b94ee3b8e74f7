/** A node:http server that answers with a page of 5 kB of JSON; with `url`, metered and published to it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { meterHttp, openUsage } from '@tollgate/agent';
import { page } from './agent-page.ts';

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  response.setHeader('content-type', 'application/json');
  response.end(page(pathname));
});

process.once('message', async ({ url, folder }: { url: string; folder: string }) => {
  if (url !== '') {
    const usage = await openUsage({ url, key: 'key', source: 'bench', spool: folder });
    usage.start();
    meterHttp(server, { recorder: usage.recorder, tenant: { path: '/t/<tenant>/' } });
  }
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
});
// Asked before and after a span, for the CPU that it took.
process.on('message', (message) => {
  if (message === 'cpu') process.send?.({ cpu: process.cpuUsage() });
});
process.on('disconnect', () => process.exit(0));
