/**
 * A collector of fixed cost, in a process of its own: 50 us of CPU and 1 ms of time a request. Keeps what came as it came
 * and counts at the end, so that counting costs nobody anything. Told by messages to be away or to lose its answers.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type CollectorMood = 'answer' | 'busy' | 'mute';

interface Kept {
  headers: IncomingHttpHeaders;
  body: Buffer;
}
interface Event {
  type: string;
  subject?: string;
  data: { value: string };
}

const CPU_MS = 0.05;
const LATENCY_MS = 1;

const kept: Kept[] = [];
let mood: CollectorMood = 'answer';
let requests = 0;

const spin = (): void => {
  const until = performance.now() + CPU_MS;
  while (performance.now() < until);
};

/** What was taken is taken, whether we answer or not. */
const answer = (response: ServerResponse): void => {
  if (mood === 'mute') return void response.socket?.destroy();
  response.end('{"accepted":1,"duplicates":0,"conflicts":0,"rejected":0,"items":[],"receipts":null}');
};

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url !== '/api/v1/events') return void response.end('{}');
    requests++;
    spin();
    if (mood === 'busy') return void response.writeHead(503, { 'retry-after': '0' }).end();
    kept.push({ headers: request.headers, body: Buffer.concat(chunks) });
    setTimeout(() => answer(response), LATENCY_MS);
  });
});

/** Totals by `meter tenant`; what comes again under its number counts once, what has no number counts as often as it comes. */
const count = (): { requests: number; events: number; totals: Record<string, number> } => {
  const totals: Record<string, number> = {};
  const marks = new Map<string, number>();
  let events = 0;
  for (const { headers, body } of kept) {
    const run = String(headers['tollgate-run'] ?? '');
    const first = Number(headers['tollgate-sequence'] ?? 0);
    const mark = marks.get(run) ?? 0;
    const batch = JSON.parse(body.toString()) as Event[];
    events += batch.length;
    batch.forEach(({ type, subject = '', data }, i) => {
      if (run !== '' && first + i <= mark) return;
      const key = `${type} ${subject}`;
      totals[key] = (totals[key] ?? 0) + Number(data.value);
    });
    if (run !== '') marks.set(run, Math.max(mark, first + batch.length - 1));
  }
  kept.length = 0;
  const all = { requests, events, totals };
  requests = 0;
  return all;
};

process.on('message', (message: CollectorMood | 'count') => {
  if (message === 'count') process.send?.(count());
  else mood = message;
});
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
