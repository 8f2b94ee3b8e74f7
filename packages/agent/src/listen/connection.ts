/**
 * The bytes of one connection, shared out among the requests on it. Every byte the socket counts goes to exactly one
 * request, so the parts always add up to the socket's own totals; what is estimated is only where, between a request
 * and one that came before its answer, the border lies.
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
  /** What the rules said, where they will say it again. */
  tenant: string | undefined;
  /** Counted as a request, as an upgrade is before it ends. */
  isCounted: boolean;
  /** Bytes read from the socket when it was announced, where others came before it; otherwise 0. */
  announced: number;
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

/** Bytes of a request's head from what Node kept of it: exact but for unusual spaces. */
const headSize = (request: IncomingMessage): number => {
  let size = request.method?.length ?? 0;
  size += (request.url?.length ?? 0) + ' '.length + ' HTTP/1.1\r\n\r\n'.length;
  const raw = request.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2)
    size += (raw[i]?.length ?? 0) + (raw[i + 1]?.length ?? 0) + ': \r\n'.length;
  return size;
};

/** Bytes of a body that has come. undefined: it was chunked, and only the wire knows. */
const bodySize = (request: IncomingMessage): number | undefined => {
  if (request.headers['transfer-encoding'] !== undefined) return undefined;
  const declared = Number(request.headers['content-length'] ?? 0);
  return Number.isSafeInteger(declared) && declared > 0 ? declared : 0;
};

export class Connection {
  readonly socket: Socket;
  /** The request being answered; answers leave in the order of their requests. */
  current: Exchange | undefined;
  /** Requests that came while it was. */
  readonly behind: Exchange[] = [];
  /** Who had the connection last; undefined: nobody. */
  last: string | undefined;
  /**
   * A request that was answered before all of it had come: what comes is `last`'s until the next request. null: the
   * connection is older than the meter, and what came before the current request is nobody's. Nearly always undefined.
   */
  #before: IncomingMessage | null | undefined;
  /** Where the current request began, or the one in `#before` if there is one. */
  #from = 0;
  #in = 0;
  #out = 0;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** For a connection older than the meter: only the request that begins next and what follows counts. */
  join(): void {
    this.#before = null;
    this.#out = handedOver(this.socket);
  }

  begin(exchange: Exchange): void {
    if (this.current !== undefined) {
      exchange.announced = this.socket.bytesRead;
      this.behind.push(exchange);
      return;
    }
    this.current = exchange;
    if (this.#before === undefined) this.#from = this.#in;
    else exchange.announced = this.socket.bytesRead;
  }

  /** The exchange of `response`, which is nearly always the current one. */
  exchangeOf(response: ServerResponse): Exchange | undefined {
    if (this.current?.response === response) return this.current;
    return this.behind.length === 0 ? undefined : this.behind.find((exchange) => exchange.response === response);
  }

  /** The current exchange is over and was `tenant`'s: makes way for the next. Take its bytes before. */
  advance(tenant: string | undefined): void {
    if (this.current?.request.complete === false) this.#before = this.current.request;
    else this.#from = this.#in;
    this.last = tenant;
    this.current = this.behind.length === 0 ? undefined : this.behind.shift();
  }

  /** An exchange behind is over before its turn, as answers can be that were not made by Node. */
  drop(exchange: Exchange): void {
    const at = this.behind.indexOf(exchange);
    if (at >= 0) this.behind.splice(at, 1);
  }

  /** Bytes that came before the current request and are `last`'s. To be asked before `takeIn`. */
  takeRest(): number {
    const { current } = this;
    const before = this.#before;
    if (before === undefined || current === undefined) return 0;
    this.#before = undefined;
    const rest = this.#takeTo(this.#border(before, [current, ...this.behind]));
    this.#from = this.#in;
    return before === null ? 0 : rest;
  }

  /** Bytes that came since they were last taken, but what belongs to requests waiting behind. */
  takeIn(): number {
    const { current, behind } = this;
    if (current === undefined && this.#before?.complete) this.#before = undefined;
    // What an upgrade carries is its own, even where somebody reads requests in it.
    if (behind.length === 0 || current?.response === undefined) return this.#takeTo(this.socket.bytesRead);
    return this.#takeTo(this.#border(current.request, behind));
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
    return this.current !== undefined || this.#before !== undefined;
  }

  /** Bytes written to the socket and not taken: what a destroyed socket throws away. */
  get unsent(): number {
    const left = given(this.socket) - this.#out;
    return left > 0 ? left : 0;
  }

  /**
   * Where `before` ends and the first of `after` begins, as bytes of the socket. Looked for from both ends. Forwards: what
   * has another behind it has come whole, so a declared length is its length. Backwards, which is all there is behind
   * a chunked body: a head was read when it was announced, and bodies that have come whole lie between the heads. Of
   * a body on its way nothing is known, so none of it is taken off: a declared length may never come. That is late by
   * what was read in one piece with its head, at most a chunk (64 KiB).
   */
  #border(before: IncomingMessage | null, after: readonly Exchange[]): number {
    let border = this.socket.bytesRead;
    for (let i = after.length - 1; i >= 0; i -= 1) {
      const { request, response, announced } = after[i] as Exchange;
      const body = request.complete && response !== undefined ? (bodySize(request) ?? 0) : 0;
      border = Math.min(announced, border - body) - headSize(request);
    }
    const body = before === null ? undefined : bodySize(before);
    return before === null || body === undefined ? border : Math.min(border, this.#from + headSize(before) + body);
  }

  #takeTo(end: number): number {
    const more = end - this.#in;
    // Not a number on a stream that counts nothing.
    if (!(more > 0)) return 0;
    this.#in = end;
    return more;
  }
}
