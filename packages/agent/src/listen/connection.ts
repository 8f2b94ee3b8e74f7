/**
 * The bytes of one connection, shared out among the requests on it. Every byte the socket counts goes to exactly one
 * request, so the parts always add up to the socket's own totals; what is estimated is only where, between two
 * pipelined requests, the border lies.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** One request and its answer, or what an upgrade or CONNECT turned the connection into. */
export interface Exchange {
  readonly connection: Connection;
  readonly request: IncomingMessage;
  /** undefined: there is none, it ends with the connection. */
  readonly response: ServerResponse | undefined;
  /** The target as it came in. */
  readonly url: string;
  /** Monotonic ms. */
  readonly started: number;
  /** Known once a rule has named one. */
  tenant: string | undefined;
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
  if (typeof handle?.bytesWritten !== 'number') return socket.bytesWritten - socket.writableLength;
  // The stream waits for nothing, so nothing is queued below it: the usual case at the end of an answer.
  return socket.writableLength === 0 ? handle.bytesWritten : handle.bytesWritten - queued(handle);
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
  /** Who had the connection last; undefined: nobody. */
  last: string | undefined;
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

  /** Returns bytes that came before it and are `last`'s: the rest of an upload that was answered early. */
  begin(exchange: Exchange): number {
    if (this.current !== undefined) {
      this.behind.push(exchange);
      return 0;
    }
    this.current = exchange;
    if (!this.#owing) return 0;
    this.#owing = false;
    return this.#takeIn(sizeOf(exchange.request));
  }

  /** The exchange of `response`, which is nearly always the current one. */
  exchangeOf(response: ServerResponse): Exchange | undefined {
    if (this.current?.response === response) return this.current;
    return this.behind.length === 0 ? undefined : this.behind.find((exchange) => exchange.response === response);
  }

  /** The current exchange is over and was `tenant`'s: makes way for the next. Take its bytes before. */
  advance(tenant: string | undefined): void {
    this.#owing = this.current?.request.complete === false;
    this.last = tenant;
    this.current = this.behind.length === 0 ? undefined : this.behind.shift();
  }

  /** An exchange behind is over before its turn, as answers can be that were not made by Node. */
  drop(exchange: Exchange): void {
    const at = this.behind.indexOf(exchange);
    if (at >= 0) this.behind.splice(at, 1);
  }

  /** Bytes that came since they were last taken, but what belongs to requests waiting behind. */
  takeIn(): number {
    return this.#takeIn(this.behind.length === 0 ? 0 : this.#waiting());
  }

  /** Bytes the kernel took since they were last taken. */
  takeOut(): number {
    const out = handedOver(this.socket) - this.#out;
    // Not a number on a stream that counts nothing.
    if (!(out > 0)) return 0;
    this.#out += out;
    return out;
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

  /** Bytes that came and belong to requests behind. */
  #waiting(): number {
    let bytes = 0;
    for (const { request } of this.behind) bytes += sizeOf(request);
    return bytes;
  }

  #takeIn(but: number): number {
    const more = this.socket.bytesRead - this.#in - but;
    if (!(more > 0)) return 0;
    this.#in += more;
    return more;
  }
}
