/**
 * A closed loop of bare sockets, one request outstanding on each: cheap enough that the server is what is measured. All
 * answers have one length, so they are counted by their bytes.
 */
import { connect, type Socket } from 'node:net';

const SOCKETS = 32;
const TENANTS = 200;

const requestFor = (i: number): Buffer =>
  Buffer.from(
    `GET /t/tenant-${String(i % TENANTS).padStart(4, '0')}/page HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n`,
  );
const requests = Array.from({ length: TENANTS }, (_, i) => requestFor(i));

const open = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket.setNoDelay(true)));
    socket.once('error', reject);
  });

/** The length of one whole answer. */
const lengthOf = async (port: number): Promise<number> => {
  const socket = await open(port);
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      const body = Number(/content-length: (\d+)/i.exec(text)?.[1]);
      if (head < 0 || text.length < head + 4 + body) return;
      socket.destroy();
      resolve(head + 4 + body);
    });
    socket.write(requests[0] as Buffer);
  });
};

const load = async (port: number, ms: number): Promise<number> => {
  const length = await lengthOf(port);
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => open(port)));
  let answered = 0;
  let sent = 0;
  const from = performance.now();
  for (const socket of sockets) {
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes < length) return;
      bytes -= length;
      answered++;
      socket.write(requests[sent++ % TENANTS] as Buffer);
    });
    socket.write(requests[sent++ % TENANTS] as Buffer);
  }
  await new Promise((done) => setTimeout(done, ms));
  const seconds = (performance.now() - from) / 1000;
  for (const socket of sockets) socket.destroy();
  return answered / seconds;
};

process.on('message', async ({ port, ms }: { port: number; ms: number }) => {
  process.send?.({ perSecond: await load(port, ms) });
});
process.on('disconnect', () => process.exit(0));
