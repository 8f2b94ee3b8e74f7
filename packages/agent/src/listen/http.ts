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
import { Batch, happened } from './batch.ts';
import { Connection, type Exchange } from './connection.ts';
import { tap } from './tap.ts';
import { type Resolve, type TenantRule, tenantResolver } from './tenant.ts';
import type { TenantLimits, Unattributed } from './tenants.ts';
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

class Listener implements HttpMeter {
  /** Marks the sockets that this meter follows, with their connection. */
  readonly #key = Symbol('tollgate');
  readonly #connections = new Set<Connection>();
  readonly #batch: Batch;
  readonly #resolve: Resolve;
  /** Is a function among the rules? */
  readonly #isAsking: boolean;
  readonly #clock: Pick<Clock, 'elapsed'>;
  readonly #timers: Timers;
  readonly #tickMs: number;
  /** The event of a new connection. */
  readonly #connected: string;
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
    this.#batch = new Batch(options.recorder, options, dimensions, () => {
      this.#errors += 1;
    });
    this.#resolve = tenantResolver(options.tenant ?? []);
    this.#isAsking = [options.tenant].flat().some((rule) => typeof rule === 'function');
    this.#clock = options.clock ?? realClock;
    this.#timers = options.timers ?? realTimers;
    this.#tickMs = stepMs / (SLICES + 2);
    this.#aged = this.#clock.elapsed();
    this.#cancel = this.#timers.after(this.#tickMs, () => this.#tick());
    this.#connected = server instanceof TlsServer ? 'secureConnection' : 'connection';
    this.#letGo = tap(server, {
      event: (name, a, b) => this.#onEvent(name, a, b),
      finish: (socket, response) => this.#onFinish(socket, response),
      failed: () => {
        this.#errors += 1;
      },
    });
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cancel();
    this.#letGo();
    for (const connection of this.#connections) this.#safely(() => this.#leave(connection));
    this.#connections.clear();
    this.#batch.close();
  }

  report(): HttpMeterReport {
    this.#batch.settle();
    return {
      connections: this.#connections.size,
      requests: this.#requests,
      unsent: this.#unsent,
      unmeasured: this.#unmeasured,
      errors: this.#errors,
      unattributed: { ...this.#batch.unattributed },
    };
  }

  #onEvent(name: string | symbol, a: unknown, b: unknown): void {
    if (!this.#open) return;
    if (name === 'request' || name === 'checkContinue' || name === 'checkExpectation')
      this.#onRequest(a as IncomingMessage, b as ServerResponse);
    else if (name === this.#connected && !this.#known(a as Socket)) this.#follow(a as Socket);
    else if (name === 'upgrade' || name === 'connect') this.#onUpgrade(a as IncomingMessage, b as Socket);
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    // `checkContinue` and then `request`, by a handler that passes on.
    const known = this.#known(socket);
    if (known?.exchangeOf(response)) return;
    this.#begin(known ?? this.#follow(socket, true), request, response);
    // Made by hand, not by Node, who listens to its own: the channel will not speak of it.
    if (response.listenerCount('finish') === 0)
      response.once('finish', () => this.#safely(() => this.#onFinish(socket, response)));
  }

  #onUpgrade(request: IncomingMessage, socket: Socket): void {
    this.#begin(this.#known(socket) ?? this.#follow(socket, true), request, undefined);
  }

  /** Of all servers of the process. */
  #onFinish(socket: Socket, response: ServerResponse): void {
    const exchange = this.#known(socket)?.exchangeOf(response);
    if (exchange) this.#end(exchange, response.statusCode >= 500);
  }

  #begin(connection: Connection, request: IncomingMessage, response: ServerResponse | undefined): void {
    const url = request.url ?? '';
    const started = this.#clock.elapsed();
    const tenant = undefined;
    connection.begin({ connection, request, response, url, started, tenant, isCounted: false, announced: 0 });
  }

  #known(socket: Socket): Connection | undefined {
    return (socket as unknown as Record<symbol, Connection | undefined>)[this.#key];
  }

  #follow(socket: Socket, isLate = false): Connection {
    const connection = new Connection(socket);
    (socket as unknown as Record<symbol, Connection>)[this.#key] = connection;
    if (typeof socket.bytesRead !== 'number') this.#unmeasured += 1;
    if (isLate) connection.join();
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
    while (connection.current?.response) this.#end(connection.current, true);
    this.#takeAll(connection);
    this.#unsent += connection.unsent;
  }

  #end(exchange: Exchange, fault: boolean): void {
    if (!this.#open) return;
    const { connection } = exchange;
    const tenant = this.#tenantOf(exchange);
    let [came, left] = [0, 0];
    if (connection.current === exchange) {
      this.#takeRest(connection);
      came = connection.takeIn();
      left = connection.takeOut();
      connection.advance(tenant);
    } else connection.drop(exchange);
    this.#requests += 1;
    const ms = this.#clock.elapsed() - exchange.started;
    this.#batch.put(tenant, came, left, fault ? happened.fault : happened.answer, ms);
  }

  #takeAll(connection: Connection): void {
    this.#takeRest(connection);
    const { current, last } = connection;
    const tenant = current ? this.#tenantOf(current) : last;
    const isNew = current?.response === undefined && current?.isCounted === false;
    if (isNew) {
      current.isCounted = true;
      this.#requests += 1;
    }
    const what = isNew ? happened.upgrade : happened.bytes;
    this.#batch.put(tenant, connection.takeIn(), connection.takeOut(), what, 0);
  }

  /** The last look: what has come of requests that wait is theirs. */
  #leave(connection: Connection): void {
    this.#takeAll(connection);
    while (connection.behind.length > 0) {
      connection.advance(connection.current && this.#tenantOf(connection.current));
      this.#takeAll(connection);
    }
  }

  #takeRest(connection: Connection): void {
    const rest = connection.takeRest();
    if (rest > 0) this.#batch.put(connection.last, rest, 0, happened.bytes, 0);
  }

  #tenantOf(exchange: Exchange): string | undefined {
    if (exchange.tenant !== undefined) return exchange.tenant;
    try {
      const tenant = this.#resolve(exchange.request, exchange.url);
      // A function may know better at the next step, once the application has asked who it is.
      if (!this.#isAsking) exchange.tenant = tenant;
      return tenant;
    } catch {
      this.#errors += 1;
      return undefined;
    }
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
    this.#batch.flush();
    const now = this.#clock.elapsed();
    if (now - this.#aged < FORGET_MS) return;
    this.#aged = now;
    this.#batch.age();
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
