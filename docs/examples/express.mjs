// Per-tenant bandwidth, requests, faults and response times of an Express app. Run it beside a Tollgate server:
//   TOLLGATE_URL=http://127.0.0.1:8080 TOLLGATE_KEY=... node express.mjs
import { meterHttp, openUsage } from '@tollgate/agent';
import express from 'express';

const { TOLLGATE_URL: url = 'http://127.0.0.1:8080', TOLLGATE_KEY: key = '' } = process.env;
const usage = await openUsage({
  url,
  key,
  source: 'shop/web-1',
  spool: './tollgate-spool',
  signals: ['SIGINT', 'SIGTERM'],
});
usage.start();

const app = express();
app.get('/t/:tenant/hello', (request, response) => response.send(`hello ${request.params.tenant}`));
const server = app.listen(3000);
meterHttp(server, { recorder: usage.recorder, kind: 'webapp', tenant: { path: '/t/<tenant>/...' } });
