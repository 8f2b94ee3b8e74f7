/**
 * The service that is measured: a node:http server that makes a page for each request and meters it in one of the modes.
 * Samples its own CPU every 100 ms from `begin` to `end`.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Mode, type ModeSettings, publishing } from './agent-modes.ts';
import { page } from './agent-page.ts';

const SAMPLE_MS = 100;

const publisher = await new Promise<Awaited<ReturnType<typeof publishing>>>((resolve) =>
  process.once('message', ({ mode, ...settings }: ModeSettings & { mode: Mode }) =>
    resolve(publishing(mode, settings)),
  ),
);

let records = 0;
const server = createServer((request, response) => {
  const [, kind = '', tenant = '', bytesIn, bytesOut] = (request.url ?? '').split('/');
  response.setHeader('content-type', 'application/json');
  response.end(page(request.url ?? ''));
  publisher.add(`${kind}.in`, tenant, Number(bytesIn));
  publisher.add(`${kind}.out`, tenant, Number(bytesOut));
  records += 2;
});

/** CPU of each sample in share of one core, by its real length: a timer that is late must not make a peak. */
class Sampler {
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  readonly #from = records;
  readonly #cpu: number[] = [];
  readonly #waits: number[] = [];
  #last = { at: performance.now(), cpu: process.cpuUsage() };
  readonly #timer = setInterval(() => this.#sample(), SAMPLE_MS);

  constructor() {
    this.#delay.enable();
  }

  #sample(): void {
    const [at, cpu] = [performance.now(), process.cpuUsage()];
    const used = cpu.user - this.#last.cpu.user + cpu.system - this.#last.cpu.system;
    this.#cpu.push(used / 1000);
    this.#waits.push(at - this.#last.at);
    this.#last = { at, cpu };
  }

  end(): object {
    clearInterval(this.#timer);
    this.#delay.disable();
    return {
      records: records - this.#from,
      cpuMs: this.#cpu,
      wallMs: this.#waits,
      loopP99Ms: this.#delay.percentile(99) / 1e6,
      loopMaxMs: this.#delay.max / 1e6,
      waiting: publisher.waiting(),
    };
  }
}

let sampler: Sampler | undefined;
process.on('message', (message: string) => {
  if (message === 'begin') sampler = new Sampler();
  else if (message === 'end') process.send?.(sampler?.end());
});
process.once('SIGTERM', () => {
  server.close();
  server.closeIdleConnections();
  void publisher.stop().then(() => process.exit(0));
});
process.on('disconnect', () => process.exit(0));
// A machine that stalls for seconds must not cost us connections.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
