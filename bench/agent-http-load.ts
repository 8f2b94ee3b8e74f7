/**
 * A closed loop of bare sockets, one request outstanding on each: cheap enough that the server is what is measured. The
 * connections are kept from span to span, and each asks for one tenant after another, as a proxy's do. Answers are told
 * apart by their declared lengths.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { TENANTS, tenantName } from './agent-http-tenants.ts';

const SOCKETS = 32;
const requests = Array.from({ length: TENANTS }, (_, i) =>
  Buffer.from(`GET /t/${tenantName(i)}/page HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n`),
);
const HEAD_END = '\r\n\r\n';
const LENGTH = 'Content-Length: ';

/** Bytes of a whole answer from its beginning. */
const lengthOf = (start: Buffer): number => {
  const head = start.indexOf(HEAD_END);
  const at = start.indexOf(LENGTH) + LENGTH.length;
  if (head < 0 || at < LENGTH.length || at > head) throw new Error('the service gave an answer without a length');
  return head + HEAD_END.length + Number(start.toString('latin1', at, start.indexOf('\r', at)));
};

/** The connections to one server. */
class Pool {
  readonly #sockets: readonly Socket[];
  #isOpen = false;
  #next = 0;
  #answered = 0;
  #outstanding = 0;
  #settled: () => void = () => undefined;

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
    for (const socket of sockets) this.#read(socket);
  }

  static async open(port: number): Promise<Pool> {
    const sockets = Array.from({ length: SOCKETS }, () => connect(port, '127.0.0.1').setNoDelay(true));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    return new Pool(sockets);
  }

  /** Answers, and seconds until the last of them. */
  async span(ms: number): Promise<{ answered: number; seconds: number }> {
    this.#answered = 0;
    this.#isOpen = true;
    const from = performance.now();
    const settled = new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
    for (const socket of this.#sockets) this.#ask(socket);
    setTimeout(() => {
      this.#isOpen = false;
    }, ms);
    await settled;
    return { answered: this.#answered, seconds: (performance.now() - from) / 1000 };
  }

  #ask(socket: Socket): void {
    this.#outstanding += 1;
    this.#next = (this.#next + 1) % TENANTS;
    socket.write(requests[this.#next] as Buffer);
  }

  #read(socket: Socket): void {
    let left = 0;
    socket.on('data', (chunk) => {
      if (left === 0) left = lengthOf(chunk);
      left -= chunk.length;
      if (left > 0) return;
      if (left < 0) throw new Error('more came than was asked for');
      this.#answered += 1;
      this.#outstanding -= 1;
      if (this.#isOpen) this.#ask(socket);
      else if (this.#outstanding === 0) this.#settled();
    });
  }
}

const pools = new Map<number, Pool>();

process.on('message', async ({ port, ms }: { port: number; ms: number }) => {
  const pool = pools.get(port) ?? (await Pool.open(port));
  pools.set(port, pool);
  process.send?.(await pool.span(ms));
});
process.on('disconnect', () => process.exit(0));
