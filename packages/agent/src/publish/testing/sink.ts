/**
 * A server of its own process's kind, in little: takes batches over HTTP, settles them by (source, run, number) and keeps
 * what came. Misbehaves on order: answers 503, stalls, takes and does not answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { outcomeOf } from './outcome.ts';

export interface TakenEvent {
  id: string;
  type: string;
  subject?: string;
  time: string;
  data: Record<string, string>;
}

interface Report {
  spoolDepth: number;
  lost: { from: string; to: string; reason: string }[];
}

export type Mood = 'answer' | 'busy' | 'stall' | 'drop' | 'take and drop';

export class Sink {
  readonly events = new Map<string, TakenEvent>();
  readonly marks = new Map<string, number>();
  readonly declared: number[] = [];
  readonly reports: Report[] = [];
  requests = 0;
  /** Events that came again after they were taken. */
  repeated = 0;
  /** Something no publisher of ours may do. */
  readonly faults: string[] = [];
  mood: () => Mood = () => 'answer';
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  /** Sums of `value` by `type subject`. */
  totals(): Map<string, number> {
    const totals = new Map<string, number>();
    for (const { type, subject = '', data } of this.events.values()) {
      const key = `${type} ${subject}`;
      totals.set(key, (totals.get(key) ?? 0) + Number(data.value));
    }
    return totals;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.url?.endsWith('/report')) {
      this.reports.push(JSON.parse(Buffer.concat(chunks).toString()) as Report);
      return void response.end('{}');
    }
    const mood = this.mood();
    this.requests++;
    if (mood === 'busy') return void response.writeHead(503, { 'retry-after': '0' }).end();
    if (mood === 'stall') return;
    if (mood === 'drop') return void request.socket.destroy();
    const count = this.#settle(request, JSON.parse(Buffer.concat(chunks).toString()) as TakenEvent[]);
    if (mood === 'take and drop') return void request.socket.destroy();
    const receipts = count > 0 ? { first: 1, last: count } : null;
    response.writeHead(200, { 'content-type': 'application/json' }).end(outcomeOf(count, receipts));
  }

  #settle(request: IncomingMessage, events: readonly TakenEvent[]): number {
    const { 'tollgate-run': run, 'tollgate-sequence': first, 'tollgate-complete-through': through } = request.headers;
    const mark = this.marks.get(String(run)) ?? 0;
    if (Number(first) > mark + 1) this.faults.push(`${run}: ${first} follows ${mark}`);
    events.forEach((event, i) => {
      const number = Number(first) + i;
      const known = this.events.get(event.id);
      if (event.id !== `${run}-${number}`) this.faults.push(`${event.id} has number ${number} of ${run}`);
      if (known !== undefined && JSON.stringify(known) !== JSON.stringify(event))
        this.faults.push(`${event.id} changed`);
      if (number <= mark) this.repeated++;
      else this.events.set(event.id, event);
      const latest = this.declared.at(-1) ?? 0;
      if (number > mark && Date.parse(event.time) < latest) this.faults.push(`${event.time} comes after ${latest}`);
    });
    this.marks.set(String(run), Math.max(mark, Number(first) + events.length - 1));
    if (through !== undefined) this.declared.push(Number(through));
    return events.length;
  }
}
