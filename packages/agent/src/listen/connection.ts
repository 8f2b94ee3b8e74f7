/**
 * The bytes of one connection, shared out among the requests on it. Every byte the socket counts goes to exactly one
 * request, so the parts always add up to the socket's own totals; what is estimated is only where, between two
 * pipelined requests, the border lies.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Tally } from './tally.ts';

/** One request and its answer, or what an upgrade or CONNECT turned the connection into. */
export interface Exchange {
  readonly connection: Connection;
  readonly request: IncomingMessage;
  /** The target as it came in. */
  readonly url: string;
  /** Monotonic ms. */
  readonly started: number;
  /** It ends with the connection, not with an answer. */
  readonly upgraded: boolean;
  /** Known once a tenant was found. */
  tally: Tally | undefined;
}

/** What Node keeps inside a socket. Not documented, so every use has another way when it is missing. */
interface Handle {
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
  /** Of TLS: the connection below. */
  readonly _parent?: Handle;
}
interface Inner {
  readonly _handle?: Handle | null;
}

/** Bytes given to the system's library that wait for the kernel. Below TLS they are encrypted, a few more. */
const queued = (handle: Handle): number => (handle._parent ?? handle).writeQueueSize ?? 0;

/** Bytes ever given to it. */
const given = (socket: Socket): number => (socket as Inner)._handle?.bytesWritten ?? socket.bytesWritten;

/**
 * Bytes the kernel has taken. `socket.bytesWritten` counts a write when it is asked for: a client that leaves during a
 * single write of 100 MB would be charged all of it.
 */
const handedOver = (socket: Socket): number => {
  const handle = (socket as Inner)._handle;
  if (typeof handle?.bytesWritten === 'number') return handle.bytesWritten - queued(handle);
  return socket.bytesWritten - socket.writableLength;
};

/** Size of a request from its parsed head and declared length: exact but for unusual spaces and chunked bodies. */
export const sizeOf = (request: IncomingMessage): number => {
  let size = request.method?.length ?? 0;
  size += (request.url?.length ?? 0) + ' '.length + ' HTTP/1.1\r\n\r\n'.length;
  const raw = request.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2)
    size += (raw[i]?.length ?? 0) + (raw[i + 1]?.length ?? 0) + ': \r\n'.length;
  const body = Number(request.headers['content-length'] ?? 0);
  return Number.isSafeInteger(body) && body > 0 ? size + body : size;
};

export class Connection {
  readonly socket: Socket;
  /** The request being answered; answers leave in the order of their requests. */
  current: Exchange | undefined;
  /** Requests that came while it was. */
  readonly behind: Exchange[] = [];
  /** Who had the connection last. */
  last: Tally | undefined;
  /** The last request was answered before all of it had come. */
  #owing = false;
  #in = 0;
  #out = 0;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** For a connection older than the meter: only `request` and what follows counts. */
  joinAt(request: IncomingMessage): void {
    this.#in = Math.max(0, this.socket.bytesRead - sizeOf(request));
    this.#out = handedOver(this.socket);
  }

  begin(exchange: Exchange): void {
    if (this.current !== undefined) {
      this.behind.push(exchange);
      return;
    }
    if (this.#owing) this.#takeIn(this.last, sizeOf(exchange.request));
    this.#owing = false;
    this.current = exchange;
  }

  /** Takes the bytes of `exchange` and makes way for the next. False when it was ended before. */
  end(exchange: Exchange, tally: Tally): boolean {
    if (this.current !== exchange) return this.#drop(exchange);
    this.take(tally);
    this.#owing = !exchange.request.complete;
    this.last = tally;
    this.current = this.behind.shift();
    return true;
  }

  /** Gives `tally` all that came and went since the last time, but what belongs to requests waiting behind. */
  take(tally: Tally | undefined): void {
    let waiting = 0;
    for (const { request } of this.behind) waiting += sizeOf(request);
    this.#takeIn(tally, waiting);
    const out = handedOver(this.socket) - this.#out;
    // Not a number on a stream that counts nothing.
    if (!(out > 0)) return;
    this.#out += out;
    tally?.bytesOut(out);
  }

  /** Does anything flow that has not been taken? An idle connection may hold the beginning of its next request. */
  get isBusy(): boolean {
    return this.current !== undefined || this.#owing;
  }

  /** Bytes written to the socket and not taken: what a destroyed socket throws away. */
  get unsent(): number {
    const left = given(this.socket) - this.#out;
    return left > 0 ? left : 0;
  }

  #takeIn(tally: Tally | undefined, but: number): void {
    const more = this.socket.bytesRead - this.#in - but;
    if (!(more > 0)) return;
    this.#in += more;
    tally?.bytesIn(more);
  }

  #drop(exchange: Exchange): boolean {
    const at = this.behind.indexOf(exchange);
    if (at < 0) return false;
    this.behind.splice(at, 1);
    return true;
  }
}
