/**
 * Meters an http or https server without touching a request: who used how many bytes, requests, faults and milliseconds.
 * Works below the frameworks, on node:http itself.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { Clock } from '../environment.ts';
import type { Recorder } from '../measure/recorder.ts';
import { realClock } from '../real.ts';
import { Connection, type Exchange } from './connection.ts';
import { Tally, Turn } from './tally.ts';
import { type Resolve, type TenantRule, tenantResolver } from './tenant.ts';
import { type TenantLimits, Tenants, type Unattributed } from './tenants.ts';
import { realTimers, type Timers } from './timers.ts';

export interface HttpMeterOptions extends TenantLimits {
  readonly recorder: Recorder;
  /** Tried in order; the first that names a tenant wins. None: everything is unattributed. */
  readonly tenant?: TenantRule | readonly TenantRule[];
  /** Dimension `kind` of everything recorded. Default `service`. */
  readonly kind?: 'service' | 'webapp';
  /** Further dimensions, the same for all requests. */
  readonly dimensions?: Readonly<Record<string, string>>;
  /** Connections in use are counted at least this often, so that a WebSocket of a day is not one number. Default 10,000. */
  readonly stepMs?: number;
  readonly clock?: Pick<Clock, 'elapsed'>;
  readonly timers?: Timers;
}

export interface HttpMeterReport {
  /** Connections followed now. */
  readonly connections: number;
  /** Requests counted, upgrades included. */
  readonly requests: number;
  /** Bytes given to sockets that were destroyed before the kernel took them; in no tenant's sum. */
  readonly unsent: number;
  /** Connections that count no bytes, such as streams that are not sockets: only their requests count. */
  readonly unmeasured: number;
  /** Errors of the meter or of a tenant function, swallowed. */
  readonly errors: number;
  readonly unattributed: Readonly<Unattributed>;
}

export interface HttpMeter {
  /** Takes what has flowed so far and lets go of the server. Requests in progress are not counted as requests. */
  close(): void;
  report(): HttpMeterReport;
}

const STEP_MS = 10_000;
/** A step visits the connections in slices, so that a hundred thousand of them do not stop the loop. */
const SLICES = 8;
const FORGET_MS = 3_600_000;

type Destroy = (error: Error | null, done: (error?: Error | null) => void) => void;
type Emit = (this: unknown, name: string | symbol, ...args: unknown[]) => boolean;

class Listener implements HttpMeter {
  /** Marks what this meter follows: sockets with their connection, responses with their exchange. */
  readonly #key = Symbol('tollgate');
  readonly #connections = new Set<Connection>();
  readonly #turn = new Turn(() => {
    this.#errors += 1;
  });
  readonly #tenants: Tenants<Tally>;
  readonly #resolve: Resolve;
  readonly #clock: Pick<Clock, 'elapsed'>;
  readonly #timers: Timers;
  readonly #tickMs: number;
  readonly #finished: (this: ServerResponse) => void;
  readonly #letGo: () => void;
  #cursor = this.#connections.values();
  #cancel: () => void;
  #aged: number;
  #open = true;
  #requests = 0;
  #unsent = 0;
  #unmeasured = 0;
  #errors = 0;

  constructor(server: Server | SecureServer, options: HttpMeterOptions) {
    const dimensions = Object.freeze({ kind: options.kind ?? 'service', ...options.dimensions });
    const stepMs = options.stepMs ?? STEP_MS;
    if (!(stepMs >= 100)) throw new RangeError('stepMs must be at least 100');
    this.#tenants = new Tenants(options, (tenant) => new Tally(options.recorder, this.#turn, tenant, dimensions));
    this.#resolve = tenantResolver(options.tenant ?? []);
    this.#clock = options.clock ?? realClock;
    this.#timers = options.timers ?? realTimers;
    this.#tickMs = stepMs / (SLICES + 2);
    this.#aged = this.#clock.elapsed();
    this.#cancel = this.#timers.after(this.#tickMs, () => this.#tick());
    const key = this.#key;
    const finish = (exchange: Exchange, status: number) => this.#safely(() => this.#end(exchange, status >= 500));
    this.#finished = function (this: ServerResponse) {
      const exchange = (this as unknown as Record<symbol, Exchange | undefined>)[key];
      if (exchange) finish(exchange, this.statusCode);
    };
    this.#letGo = this.#hook(server);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cancel();
    this.#letGo();
    for (const connection of this.#connections) this.#safely(() => this.#takeAll(connection));
    this.#connections.clear();
    this.#turn.flush();
  }

  report(): HttpMeterReport {
    return {
      connections: this.#connections.size,
      requests: this.#requests,
      unsent: this.#unsent,
      unmeasured: this.#unmeasured,
      errors: this.#errors,
      unattributed: { ...this.#tenants.unattributed },
    };
  }

  /**
   * Listens by wrapping `emit`. A listener of its own for `upgrade`, `connect` or `checkContinue` would change what the
   * server does: Node asks whether there is one.
   */
  #hook(server: Server | SecureServer): () => void {
    const connected = server instanceof TlsServer ? 'secureConnection' : 'connection';
    const target = server as { emit: Emit };
    const isOwn = Object.hasOwn(server, 'emit');
    const inner = target.emit;
    const see = (name: string | symbol, a: unknown, b: unknown): void => {
      if (name === 'request' || name === 'checkContinue' || name === 'checkExpectation')
        this.#onRequest(a as IncomingMessage, b as ServerResponse);
      else if (name === connected) this.#connectionOf(a as Socket);
      else if (name === 'upgrade' || name === 'connect') this.#onUpgrade(a as IncomingMessage, b as Socket);
    };
    const failed = () => {
      this.#errors += 1;
    };
    const isOpen = () => this.#open;
    const emit: Emit = function (name, ...args) {
      try {
        if (isOpen()) see(name, args[0], args[1]);
      } catch {
        failed();
      }
      return inner.call(this, name, ...args);
    };
    target.emit = emit;
    return () => {
      // Somebody may have wrapped ours since: then it stays and only passes on.
      if (target.emit !== emit) return;
      if (isOwn) target.emit = inner;
      else Reflect.deleteProperty(target, 'emit');
    };
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const marked = response as unknown as Record<symbol, Exchange | undefined>;
    // `checkContinue` and then `request`, by a handler that passes on.
    if (marked[this.#key]) return;
    marked[this.#key] = this.#begin(request, request.socket, false);
    // First in line: a later listener may already have put the next pipelined answer on the socket.
    response.prependListener('finish', this.#finished);
  }

  #onUpgrade(request: IncomingMessage, socket: Socket): void {
    const exchange = this.#begin(request, socket, true);
    this.#requests += 1;
    this.#tallyOf(exchange).request();
  }

  #begin(request: IncomingMessage, socket: Socket, upgraded: boolean): Exchange {
    const connection = this.#connectionOf(socket, request);
    const url = request.url ?? '';
    const exchange = { connection, request, url, started: this.#clock.elapsed(), upgraded, tally: undefined };
    connection.begin(exchange);
    return exchange;
  }

  #connectionOf(socket: Socket, joining?: IncomingMessage): Connection {
    const marked = socket as unknown as Record<symbol, Connection | undefined>;
    const known = marked[this.#key];
    if (known) return known;
    const connection = new Connection(socket);
    marked[this.#key] = connection;
    if (typeof socket.bytesRead !== 'number') this.#unmeasured += 1;
    if (joining) connection.joinAt(joining);
    this.#connections.add(connection);
    this.#onDestroy(connection);
    return connection;
  }

  /** The last look at the socket has to be before it is taken apart: afterwards nobody knows what was still queued. */
  #onDestroy(connection: Connection): void {
    const socket = connection.socket as unknown as { _destroy: Destroy };
    const inner = socket._destroy;
    const over = () => this.#safely(() => this.#over(connection));
    socket._destroy = function (error, done) {
      over();
      inner.call(this, error, done);
    };
  }

  #over(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    while (connection.current && !connection.current.upgraded) this.#end(connection.current, true);
    this.#takeAll(connection);
    this.#unsent += connection.unsent;
  }

  #end(exchange: Exchange, fault: boolean): void {
    if (!this.#open) return;
    const tally = this.#tallyOf(exchange);
    if (!exchange.connection.end(exchange, tally)) return;
    this.#requests += 1;
    tally.request();
    if (fault) tally.fault();
    tally.answeredIn(this.#clock.elapsed() - exchange.started);
  }

  #takeAll(connection: Connection): void {
    const { current, last } = connection;
    connection.take(current ? this.#tallyOf(current) : (last ?? this.#tenants.nobody));
  }

  #tallyOf(exchange: Exchange): Tally {
    if (exchange.tally) return exchange.tally;
    let name: string | undefined;
    try {
      name = this.#resolve(exchange.request, exchange.url);
    } catch {
      this.#errors += 1;
    }
    const tally = this.#tenants.get(name);
    // A function may know the tenant only later, once the application has asked who it is.
    if (tally !== this.#tenants.nobody) exchange.tally = tally;
    return tally;
  }

  #tick(): void {
    this.#cancel = this.#timers.after(this.#tickMs, () => this.#tick());
    for (let left = Math.ceil(this.#connections.size / SLICES); left > 0; left -= 1) {
      const next = this.#cursor.next();
      if (next.done) {
        this.#cursor = this.#connections.values();
        break;
      }
      if (next.value.isBusy) this.#safely(() => this.#takeAll(next.value));
    }
    this.#turn.flush();
    const now = this.#clock.elapsed();
    if (now - this.#aged < FORGET_MS) return;
    this.#aged = now;
    this.#tenants.age();
  }

  #safely(work: () => void): void {
    try {
      work();
    } catch {
      this.#errors += 1;
    }
  }
}

/**
 * Starts metering `server`, which may be listening already. Throws only for options that make no sense; afterwards no
 * error of the meter reaches a request.
 */
export const meterHttp = (server: Server | SecureServer, options: HttpMeterOptions): HttpMeter =>
  new Listener(server, options);
