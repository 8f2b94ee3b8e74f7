/** All tunnels of a host, in the words of the protocol: a resource each, and one counter of what its headers take. */
import type { PollPass } from '../poll/poller.ts';
import type { Portion, Sample } from '../publisher.ts';
import type { Seat } from './daemon-beat.ts';
import type { Found } from './daemon-hints.ts';
import { dimensionsOf, encapsulationMeter, type Reconciliation } from './encapsulation.ts';
import { readWatches, writeWatches } from './encapsulation-memory.ts';
import { TunnelWatch, type Watched, type WatchedTunnel } from './encapsulation-watch.ts';

/** What tunnels are called where pollers have names: in resources, and in the mapping (`poller: tunnel`). */
export const TUNNEL = 'tunnel';

export interface TunnelNews extends Pick<Portion, 'samples' | 'ended'> {
  /** To be called when the server has all of it. */
  acknowledged(): void;
}

export class Tunnels {
  readonly #source: string;
  readonly #watches: readonly TunnelWatch[];
  /** Watches an earlier life left that nobody goes on with: to be ended with the first news. */
  #over: readonly Watched[];

  /** `memory`: what an earlier life remembered; null or anything unreadable: nothing. */
  constructor(source: string, tunnels: readonly WatchedTunnel[], memory: string | null = null) {
    const { going, over } = readWatches(memory, tunnels);
    this.#source = source;
    this.#watches = tunnels.map((tunnel) => new TunnelWatch(tunnel, going.get(tunnel.tunnel) ?? null));
    this.#over = over;
  }

  /** As objects of a pass, so that a mapping can say whose they are, and whether they stand on a bill. */
  get objects(): Found[] {
    return this.#watches.map(({ tunnel: { tunnel } }) => ({
      resource: this.#resource(tunnel),
      poller: TUNNEL,
      object: tunnel,
      name: tunnel,
      billable: false,
    }));
  }

  get reconciliations(): Reconciliation[] {
    return this.#watches.map(({ reconciliation }) => reconciliation);
  }

  /** To be remembered before the news are sent: what comes after a value that was told must go on from it. */
  get memory(): string {
    return writeWatches(this.#watches);
  }

  /** Null: no tunnel is counted by this poller. */
  take({ poller, intervalMs }: Seat, pass: PollPass): TunnelNews | null {
    const steps = this.#watches.flatMap((watch) => watch.take(poller.name, poller.declaration, pass) ?? []);
    if (steps.length === 0) return null;
    const told = steps.flatMap((step) => step.told ?? []);
    const ended = [...this.#over, ...steps.flatMap((step) => step.ended ?? [])];
    this.#over = [];
    return {
      samples: told.flatMap((watched) => this.#sample(watched, intervalMs)),
      ended: ended.flatMap((watched) => this.#sample(watched, intervalMs)).map(({ head, at }) => ({ head, at })),
      acknowledged: () => {
        const epochs = new Map(told.map(({ told, epoch }) => [told?.sum.tunnel, epoch]));
        for (const { tunnel, watched } of this.#watches)
          if (watched !== null && epochs.get(tunnel.tunnel) === watched.epoch) watched.known = true;
      },
    };
  }

  #resource(tunnel: string): string {
    return `${this.#source}/${TUNNEL}/${tunnel}`;
  }

  /** None for a watch that never told anything. */
  #sample({ epoch, first, told, known }: Watched, period: number): Sample[] {
    if (told === null) return [];
    const { sum, at } = told;
    const head = {
      resource: this.#resource(sum.tunnel),
      meter: encapsulationMeter,
      epoch,
      width: 64,
      period,
      layer: sum.underlayLayer ?? 'L2',
      dimensions: dimensionsOf(sum),
    } as const;
    return [{ head, at, value: sum.overheadBytes ?? 0n, start: known ? 0 : first.at }];
  }
}
