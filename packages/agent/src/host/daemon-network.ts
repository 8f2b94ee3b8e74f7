/** The network, watched: when the server answered last, when it acknowledged last, and how far our clock is from its. */
import type { Clock, HttpAnswer, Network } from '../environment.ts';

/** Instants are ms since 1970 by our clock; 0 never. */
export interface ServerState {
  lastAnswerAt: number;
  lastStatus: number;
  lastAcknowledgedAt: number;
  /** Requests without an answer or with one that is no 2xx, since the last acknowledgement. */
  failures: number;
  /** Our clock less the server's, null until it is known; the server tells its time to the second. */
  clock: { offsetMs: number; uncertaintyMs: number; at: number } | null;
}

export class WatchedNetwork implements Network {
  readonly state: ServerState = { lastAnswerAt: 0, lastStatus: 0, lastAcknowledgedAt: 0, failures: 0, clock: null };
  readonly #network: Network;
  readonly #clock: Clock;

  constructor(network: Network, clock: Clock) {
    this.#network = network;
    this.#clock = clock;
  }

  async post(...request: Parameters<Network['post']>): Promise<HttpAnswer> {
    const { state } = this;
    const sent = this.#clock.elapsed();
    const answer = await this.#network.post(...request).catch((error: unknown) => {
      state.failures++;
      throw error;
    });
    const took = this.#clock.elapsed() - sent;
    const now = this.#clock.now();
    state.lastAnswerAt = now;
    state.lastStatus = answer.status;
    if (answer.date !== undefined) {
      // The header names the second in which the answer was made: somewhere in our request, somewhere in that second.
      const offsetMs = Math.round(now - took / 2 - (answer.date + 500));
      state.clock = { offsetMs, uncertaintyMs: Math.ceil(500 + took / 2), at: now };
    }
    if (answer.status < 300) {
      state.lastAcknowledgedAt = now;
      state.failures = 0;
    } else state.failures++;
    return answer;
  }
}
