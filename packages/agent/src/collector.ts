/** Polls on a steady beat and publishes: the loop around a poller and a publisher. */
import type { SeriesHead } from '@tollgate/event';
import type { Clock, Disk, Network, Randomness } from './environment.ts';
import { LinuxInterfaces, type Memory, type Observed, type Pass, parseMemory } from './linux.ts';
import { type Portion, Publisher, publisherDefaults, type Report } from './publisher.ts';
import { Sending } from './sending.ts';

/** Keys of the server's built-in cumulative meters for interfaces. */
export const networkMeters = {
  receivedBytes: 'network.bytes.received',
  sentBytes: 'network.bytes.sent',
  receivedPackets: 'network.packets.received',
  sentPackets: 'network.packets.sent',
} as const;
type Counter = keyof typeof networkMeters;
const counters = Object.keys(networkMeters) as Counter[];

export interface CollectorSettings {
  /** Who reports; also the first part of the names of the interfaces it reports on. */
  source: string;
  intervalMs: number;
  /** File that remembers the last acknowledged pass; '' for none. */
  statePath: string;
  bufferMax?: number;
}

export interface World {
  clock: Clock;
  disk: Disk;
  random: Randomness;
  network: Network;
}

/** Resource of an interface, by the id its ifindex goes by. */
export const resourceOf = (source: string, id: string): string => `${source}/${id}`;

/** A name that is not the id is told as a hint. */
const headOf = (
  settings: CollectorSettings,
  { id, epoch, name = id }: { id: string; epoch: string; name?: string },
  counter: Counter,
): SeriesHead => ({
  resource: resourceOf(settings.source, id),
  meter: networkMeters[counter],
  epoch,
  width: 64,
  period: settings.intervalMs,
  layer: 'L2',
  ...(name === id ? {} : { name }),
});

/** A pass in the words of the protocol. Directions are as this machine sees them. */
export const portionOf = (pass: Pass, settings: CollectorSettings): Portion => ({
  samples: pass.interfaces.flatMap((i: Observed) =>
    counters.map((counter) => ({
      head: headOf(settings, i, counter),
      at: pass.at,
      value: i[counter],
      start: i.start,
    })),
  ),
  ended: pass.ended.flatMap((e) => counters.map((counter) => ({ head: headOf(settings, e, counter), at: e.at }))),
  completeThrough: pass.at,
});

export interface CollectorEvents {
  report(report: Report): void;
  /** Interfaces of this pass, before it is queued: the local server makes resources of new ones. */
  seen?(interfaces: readonly SeenInterface[]): Promise<void>;
}

/** `id`: what it is known by. `name`: what it is called now. `was`: what it was called at the pass before, if not so. */
export type SeenInterface = Pick<Observed, 'id' | 'name' | 'was'>;

export class Collector {
  readonly publisher: Publisher;
  readonly #world: World;
  readonly #settings: CollectorSettings;
  readonly #events: CollectorEvents;
  readonly #poller: LinuxInterfaces;
  #sending: Sending | null = null;

  /** Throws where the machine has no /proc/net/dev. */
  constructor(world: World, settings: CollectorSettings, events: CollectorEvents) {
    this.#world = world;
    this.#settings = settings;
    this.#events = events;
    this.#poller = new LinuxInterfaces(world.disk, world.clock, recall(world.disk, settings.statePath));
    this.publisher = new Publisher(
      world,
      {
        source: settings.source,
        ...publisherDefaults,
        ...(settings.bufferMax ? { bufferMax: settings.bufferMax } : {}),
      },
      events.report,
    );
    if (!this.#poller.indexed)
      events.report({
        level: 'warn',
        message: '/sys shows another network namespace: re-created interfaces are only seen by a falling counter',
      });
  }

  /** One pass, queued. Returns the number of interfaces. */
  async pass(): Promise<number> {
    const pass = this.#poller.pass();
    await this.#events.seen?.(pass.interfaces);
    this.publisher.offer({ ...portionOf(pass, this.#settings), settled: (kept) => this.#settled(pass.memory, kept) });
    this.#sending?.ring();
    return pass.interfaces.length;
  }

  /** One pass, sent. True: all of it is acknowledged. */
  async once(signal?: AbortSignal): Promise<boolean> {
    await this.pass();
    return this.publisher.drain(signal);
  }

  /**
   * Until the signal comes: a pass every interval, on a beat that does not drift. Then a last pass, and up to
   * `graceMs` for what is still to be acknowledged.
   */
  async run(signal: AbortSignal, graceMs = 3000): Promise<void> {
    const { clock } = this.#world;
    this.#sending = new Sending((abandon) => this.publisher.drain(abandon), clock);
    await this.#beats(signal);
    await this.#guardedPass();
    await this.#sending.close(graceMs);
    this.#sending = null;
  }

  async #beats(signal: AbortSignal): Promise<void> {
    const begun = this.#world.clock.elapsed();
    const { intervalMs } = this.#settings;
    while (!signal.aborted) {
      await this.#guardedPass();
      const since = this.#world.clock.elapsed() - begun;
      // A pass that took longer than its interval skips beats instead of piling them up.
      await this.#world.clock.sleep(intervalMs - (since % intervalMs), signal);
    }
  }

  async #guardedPass(): Promise<void> {
    try {
      await this.pass();
    } catch (error) {
      // One failed look at /proc must not end metering: the next beat tries again, counters lose nothing by it.
      this.#events.report({ level: 'error', message: `pass failed: ${messageOf(error)}` });
    }
  }

  #settled(memory: Memory, kept: boolean): void {
    if (!kept || this.#settings.statePath === '') return;
    try {
      this.#world.disk.replace(this.#settings.statePath, `${JSON.stringify(memory)}\n`);
    } catch (error) {
      this.#events.report({ level: 'warn', message: `cannot remember the last pass: ${messageOf(error)}` });
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const recall = (disk: Disk, path: string): Memory | null => {
  if (path === '') return null;
  try {
    return parseMemory(disk.read(path));
  } catch {
    return null;
  }
};
