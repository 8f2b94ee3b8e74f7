/** A network that loses requests and answers, delays them, and now and then delivers a copy again much later. */
import type { HttpAnswer, Network } from '@tollgate/agent';
import type { Lots } from './lots.ts';
import type { Machine, Reply } from './machine.ts';
import type { VirtualTime } from './time.ts';

export interface Weather {
  /** Probability that a request, or its answer, is lost. */
  lost: number;
  /** Longest delay of one way, ms. */
  delayMs: number;
  /** Probability that a copy of a request arrives once more, minutes later. */
  ghost: number;
}

export const calm: Weather = { lost: 0, delayMs: 0, ghost: 0 };

export class SimulatedNetwork implements Network {
  readonly #lots: Lots;
  readonly #time: VirtualTime;
  readonly #server: () => Machine | undefined;
  weather: Weather;
  /**
   * Copies that came late and told something new, because the request they are copies of never arrived. What they say of
   * the sender's clock is late too, and cannot be told from a clock that is behind: their times are taken as skewed.
   */
  lateNews = 0;

  constructor(lots: Lots, time: VirtualTime, server: () => Machine | undefined, weather: Weather) {
    this.#lots = lots;
    this.#time = time;
    this.#server = server;
    this.weather = weather;
  }

  async post(path: string, body: string): Promise<HttpAnswer> {
    const { lost, delayMs, ghost } = this.weather;
    await this.#time.sleep(this.#lots.int(0, delayMs));
    if (this.#lots.chance(lost)) throw new Error('the request was lost');
    if (this.#lots.chance(ghost)) void this.#again(path, body, this.#lots.int(60_000, 1_800_000));
    const reply = await this.#deliver(path, body);
    await this.#time.sleep(this.#lots.int(0, delayMs));
    if (this.#lots.chance(lost)) throw new Error('the answer was lost');
    return {
      status: reply.status,
      retryAfter: reply.status === 503 ? 1000 : 0,
      body: JSON.stringify(reply.outcome ?? { code: reply.code }),
    };
  }

  async #again(path: string, body: string, ms: number): Promise<void> {
    await this.#time.sleep(ms);
    // Nobody waits for this one; a server that is down refuses it.
    const reply = await this.#deliver(path, body).catch(() => undefined);
    if ((reply?.outcome?.accepted ?? 0) > 0) this.lateNews++;
  }

  /** A server that dies with the request in its hands never answers: the connection breaks when the process is gone. */
  async #deliver(path: string, body: string): Promise<Reply> {
    const server = this.#server();
    if (!server) throw new Error('connection refused');
    const answer = path.endsWith('/readings')
      ? server.readings(JSON.parse(body))
      : server.events(JSON.parse(body) as unknown[]);
    return await Promise.race([answer, this.#broken(server)]);
  }

  async #broken(server: Machine): Promise<never> {
    await server.life.over;
    await this.#time.sleep(5000);
    throw new Error('connection reset');
  }
}
