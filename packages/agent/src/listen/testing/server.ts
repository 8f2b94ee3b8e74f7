/** A metered server, and clients that speak bytes. */
import { once } from 'node:events';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type HttpMeterOptions, meterHttp } from '../http.ts';
import { ManualTime, Sums, until } from './world.ts';

export const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

/** Server and meter on a free port; `sockets` are all it ever accepted. `end` waits for every connection to close. */
export const metered = async (
  handler: RequestListener,
  options: Partial<HttpMeterOptions> = {},
  server: Server = createServer(handler),
) => {
  const sums = new Sums();
  const time = new ManualTime();
  const meter = meterHttp(server, {
    recorder: sums,
    clock: time,
    timers: time,
    tenant: { header: 'x-tenant' },
    ...options,
  });
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const end = async () => {
    server.close();
    await until(() => meter.report().connections === 0, 'the end of all connections');
    await until(() => sockets.every((socket) => socket.closed), 'the close of all sockets');
    meter.close();
  };
  return { server, meter, sums, time, sockets, end, port: portOf(server) };
};

export const total = (sockets: readonly Socket[], what: 'bytesRead' | 'bytesWritten'): number =>
  sockets.reduce((sum, socket) => sum + socket[what], 0);

/** A client of bytes. `seen()` is what came so far. */
export const client = async (port: number) => {
  const socket = connect(port, '127.0.0.1');
  let seen = '';
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    seen += text;
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return {
    socket,
    seen: () => seen,
    send: (text: string) => socket.write(text, 'latin1'),
    /** Waits until `text` has come `times` over. */
    heard: (text: string, times = 1) =>
      until(() => seen.split(text).length > times, `${JSON.stringify(text)} from the server`),
    close: async () => {
      if (socket.closed) return;
      socket.end();
      await once(socket, 'close');
    },
  };
};

/** A request with CRLFs; `lines` are further header lines. */
export const message = (start: string, tenant: string, lines: readonly string[] = [], body = ''): string =>
  [`${start} HTTP/1.1`, 'Host: a.test', `X-Tenant: ${tenant}`, ...lines, '', body].join('\r\n');
