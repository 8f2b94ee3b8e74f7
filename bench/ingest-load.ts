/**
 * Load of the ingest bench, in a thread of its own: keep-alive sockets, requests written from prebuilt bodies, several
 * requests in flight on each socket, every answer read and counted. What is refused as busy is sent again.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { Body } from './ingest-events.ts';

export interface LoadSettings {
  port: number;
  key: string;
  day: string;
  dayMs: number;
  connections: number;
  /** Requests in flight on one connection. */
  depth: number;
  batch: number;
  /** Number of the first event. */
  from: number;
  /** Ends after this many events, or after `seconds` when 0. */
  events: number;
  seconds: number;
  /** Left out of rate and latencies at the beginning. */
  warmSeconds: number;
  /** Duplicates are drawn from the numbers below it; 0: none. */
  known: number;
  /** One event of so many is a duplicate. */
  oneOf: number;
}

export interface LoadResult {
  /** Events answered in the measured time, and the time. */
  events: number;
  seconds: number;
  accepted: number;
  duplicates: number;
  other: number;
  busy: number;
  failed: number;
  /** Number after the last event sent. */
  next: number;
  latencies: Float64Array;
}

const settings = workerData as LoadSettings;
const head = (length: number): Buffer =>
  Buffer.from(
    `POST /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${settings.key}\r\n` +
      `content-type: application/cloudevents-batch+json\r\ncontent-length: ${length}\r\n\r\n`,
  );

let next = settings.from;
let drawn = 12345;
const total = { events: 0, accepted: 0, duplicates: 0, other: 0, busy: 0, failed: 0 };
const latencies: number[] = [];
const began = performance.now();
const measureFrom = began + settings.warmSeconds * 1000;
const endAt = settings.seconds > 0 ? began + settings.seconds * 1000 : Number.POSITIVE_INFINITY;
let lastAnswer = began;
const over = (): boolean =>
  settings.events > 0 ? next >= settings.from + settings.events : performance.now() >= endAt;

/** A repeatable draw below `n`: the same load each time. */
function draw(n: number): number {
  drawn = (Math.imul(drawn, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((drawn / 2 ** 32) * n);
}

function fillBody(body: Body): void {
  for (let i = 0; i < settings.batch; i++) {
    if (settings.known > 0 && draw(settings.oneOf) === 0) {
      // Half of the duplicates come with another time.
      body.set(i, draw(settings.known), settings.dayMs, draw(2) * 60_000);
    } else body.set(i, next++, settings.dayMs);
  }
}

interface Flight {
  body: Body;
  sentAt: number;
}

/** One socket with `depth` requests in flight; resolves when the load is over and all of them are answered. */
class Line {
  private readonly socket: Socket;
  private readonly head: Buffer;
  private readonly idle: Body[] = [];
  private readonly flights: Flight[] = [];
  private buffered: Buffer = Buffer.alloc(0);
  private finish: () => void = () => {};

  constructor() {
    this.socket = connect({ port: settings.port, host: '127.0.0.1', noDelay: true });
    for (let i = 0; i < settings.depth; i++) this.idle.push(new Body(settings.batch, settings.day));
    this.head = head((this.idle[0] as Body).bytes.length);
  }

  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.finish = resolve;
      this.socket.on('error', reject);
      this.socket.on('close', () =>
        this.flights.length > 0 ? reject(new Error('the server closed a socket')) : resolve(),
      );
      this.socket.on('data', (chunk) => this.read(chunk));
      this.socket.on('connect', () => this.fill());
    });
  }

  private fill(): void {
    for (let body = this.idle.pop(); body !== undefined; body = this.idle.pop()) {
      if (over()) {
        this.idle.push(body);
        if (this.flights.length === 0) {
          this.socket.end();
          this.finish();
        }
        return;
      }
      fillBody(body);
      this.send(body);
    }
  }

  private send(body: Body): void {
    this.flights.push({ body, sentAt: performance.now() });
    this.socket.cork();
    this.socket.write(this.head);
    this.socket.write(body.bytes);
    this.socket.uncork();
  }

  private read(chunk: Buffer): void {
    this.buffered = this.buffered.length === 0 ? chunk : Buffer.concat([this.buffered, chunk]);
    for (;;) {
      const end = this.buffered.indexOf('\r\n\r\n');
      if (end < 0) break;
      const headers = this.buffered.toString('latin1', 0, end);
      const length = Number(/content-length: (\d+)/i.exec(headers)?.[1] ?? 0);
      if (this.buffered.length < end + 4 + length) break;
      const text = this.buffered.toString('utf8', end + 4, end + 4 + length);
      this.buffered = this.buffered.subarray(end + 4 + length);
      this.answered(Number(headers.slice(9, 12)), text);
    }
    this.fill();
  }

  private answered(status: number, text: string): void {
    const flight = this.flights.shift();
    if (flight === undefined) throw new Error('an answer too many');
    const now = performance.now();
    if (status === 503) {
      total.busy++;
      void sleep(200).then(() => this.send(flight.body));
      return;
    }
    this.idle.push(flight.body);
    if (status !== 200) {
      if (total.failed++ === 0) process.stderr.write(`${status} ${text.slice(0, 500)}\n`);
      return;
    }
    const answer = JSON.parse(text) as { accepted: number; duplicates: number; conflicts: number; rejected: number };
    total.accepted += answer.accepted;
    total.duplicates += answer.duplicates;
    total.other += answer.conflicts + answer.rejected;
    if (now >= measureFrom && now <= endAt) {
      total.events += settings.batch;
      latencies.push(now - flight.sentAt);
      lastAnswer = now;
    }
  }
}

await Promise.all(Array.from({ length: settings.connections }, () => new Line().run()));
const result: LoadResult = {
  ...total,
  seconds: (Math.min(endAt, lastAnswer) - measureFrom) / 1000,
  next,
  latencies: Float64Array.from(latencies),
};
parentPort?.postMessage(result);
