/**
 * Sends or takes a known number of bytes; runs as a process inside a namespace. One word line on standard output when
 * it listens (`ready`) and when it is through (`done N`).
 *
 *   udp-send ADDRESS PORT COUNT PAYLOAD | udp-take ADDRESS PORT | tcp-send ADDRESS PORT BYTES | tcp-take ADDRESS PORT
 *   http-get ADDRESS PORT FROM TENANT COUNT: asks /t/TENANT/hello, each time on a connection of its own out of FROM;
 *   `done SENT RECEIVED` are the bytes of its sockets
 *   relay PORT SOCKET: forwards TCP on loopback to a Unix socket, a way out of a namespace that no interface counts
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect, createServer } from 'node:net';

const [what = '', address = '', port = '0', count = '0', size = '0'] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const udpSend = async (): Promise<void> => {
  const socket = createSocket('udp4');
  const payload = Buffer.alloc(Number(size), 7);
  for (let n = 0; n < Number(count); n++) {
    await new Promise<void>((resolve, reject) =>
      socket.send(payload, Number(port), address, (error) => (error ? reject(error) : resolve())),
    );
  }
  socket.close();
  say(`done ${Number(count) * Number(size)}`);
};

const udpTake = (): void => {
  const socket = createSocket('udp4');
  socket.bind(Number(port), address, () => say('ready'));
};

const tcpSend = (): void => {
  const total = Number(count);
  let left = total;
  const chunk = Buffer.alloc(65_536, 7);
  const socket = connect(Number(port), address);
  const push = (): void => {
    while (left > 0) {
      const part = chunk.subarray(0, Math.min(left, chunk.length));
      left -= part.length;
      if (!socket.write(part)) return;
    }
    socket.end();
  };
  socket.on('drain', push);
  socket.on('connect', push);
  // The other side closes when it has read everything: by then nothing is on the way.
  socket.on('close', () => say(`done ${total}`));
};

const tcpTake = (): void => {
  const server = createServer((socket) => {
    let taken = 0;
    socket.on('data', (part) => {
      taken += part.length;
    });
    socket.on('end', () => say(`done ${taken}`));
  });
  server.listen(Number(port), address, () => say('ready'));
};

/** Questions and answers of many sizes. Asks on when the server has closed the connection before, so that none overlap. */
const httpGet = async (localAddress: string, tenant: string, times: number): Promise<void> => {
  let [sent, received] = [0, 0];
  for (let n = 0; n < times; n++) {
    const path = `/t/${tenant}/hello?${'q'.repeat((n * 97) % 3000)}`;
    const asked = get({ host: address, port: Number(port), path, localAddress, agent: false });
    const [socket] = await once(asked, 'socket');
    const closed = once(socket, 'close');
    const [answer] = await once(asked, 'response');
    answer.resume();
    await closed;
    sent += socket.bytesWritten;
    received += socket.bytesRead;
  }
  say(`done ${sent} ${received}`);
};

const relay = (from: number, socketPath: string): void => {
  const server = createServer((inner) => {
    const outer = connect(socketPath);
    inner.pipe(outer).pipe(inner);
    for (const end of [inner, outer]) {
      end.on('error', () => {
        inner.destroy();
        outer.destroy();
      });
    }
  });
  server.listen(from, '127.0.0.1', () => say('ready'));
};

if (what === 'udp-send') await udpSend();
else if (what === 'udp-take') udpTake();
else if (what === 'tcp-send') tcpSend();
else if (what === 'tcp-take') tcpTake();
else if (what === 'http-get') await httpGet(count, size, Number(process.argv[7]));
else if (what === 'relay') relay(Number(address), port);
else throw new Error(`unknown: ${what}`);
