/** Everything a host counts, each poller on its own beat, published as one source. */
import type { ResourceHint } from '@tollgate/event';
import type { Backlog } from '../backlog/backlog.ts';
import type { Clock, Network, Randomness } from '../environment.ts';
import type { PollPass } from '../poll/poller.ts';
import { Publisher, publisherDefaults, type Report } from '../publisher.ts';
import { Sending } from '../sending.ts';
import { Beat, type Seat } from './daemon-beat.ts';
import { Hints, parseTold } from './daemon-hints.ts';
import { WatchedNetwork } from './daemon-network.ts';
import { Heads, objectsOf } from './daemon-pass.ts';
import { tellOfItself } from './daemon-report.ts';
import type { PollerStatus, Status } from './daemon-status.ts';
import { asTexts } from './encapsulation-report.ts';
import { TUNNEL, type TunnelNews, Tunnels } from './encapsulation-tunnels.ts';
import type { WatchedTunnel } from './encapsulation-watch.ts';
import type { MappingFile } from './mapping-watch.ts';

export interface DaemonSettings {
  source: string;
  bufferMax: number;
  statusMs: number;
  /** Tunnels whose overhead is counted; left away: none. */
  tunnels?: readonly WatchedTunnel[];
}

export interface DaemonWorld {
  clock: Clock;
  random: Randomness;
  network: Network;
  /** Where readings wait on disk; left away: they wait in memory. Whoever opened it closes it. */
  backlog?: Backlog | undefined;
  mapping: MappingFile;
  report(report: Report): void;
  /** What must outlive a restart, by name; `read` gives null for nothing. A failure to write is reported, never fatal. */
  memory: { read(name: string): string | null; write(name: string, content: string): void };
  /** Called every `statusMs`. */
  showStatus(status: Status): void;
}

/** Objects named in a status that belong to nobody: enough to see what kind they are. */
const UNMATCHED_SHOWN = 50;
/** Share of the grace a last pass may take: what it finds must still be sent. */
const LAST_PASS_SHARE = 1 / 3;

/** Name under which a daemon remembers the pass of a poller. */
export const passMemory = (poller: string): string => `pass-${poller}`;
const OWNERS_MEMORY = 'owners';
const TUNNELS_MEMORY = 'tunnels';

interface Desk {
  beat: Beat;
  heads: Heads;
  /**
   * A pass to be remembered once it is acknowledged. One at a time: while the server is away passes wait by the hundred,
   * and each would hold on to what it knew.
   */
  candidate: { at: number; memory: () => string } | null;
  objects: number;
  unmatched: readonly string[];
  troubles: number;
  lastTrouble: string;
  /** Everything up to here was handed to the publisher. */
  through: number;
}

export class Daemon {
  readonly publisher: Publisher;
  readonly #world: DaemonWorld;
  readonly #settings: DaemonSettings;
  readonly #network: WatchedNetwork;
  readonly #desks: readonly Desk[];
  readonly #hints: Hints;
  readonly #tunnels: Tunnels;
  readonly #startedAt: number;
  #sending: Sending | null = null;
  #lost = 0;

  constructor(world: DaemonWorld, settings: DaemonSettings, seats: readonly Seat[]) {
    this.#world = world;
    this.#settings = settings;
    this.#network = new WatchedNetwork(world.network, world.clock);
    this.#startedAt = world.clock.now();
    this.#hints = new Hints(parseTold(world.memory.read(OWNERS_MEMORY) ?? ''));
    this.#tunnels = new Tunnels(settings.source, settings.tunnels ?? [], world.memory.read(TUNNELS_MEMORY));
    this.publisher = new Publisher(
      { clock: world.clock, random: world.random, network: this.#network, queue: world.backlog },
      { source: settings.source, ...publisherDefaults, bufferMax: settings.bufferMax },
      world.report,
    );
    this.#desks = seats.map((seat) => {
      const desk: Desk = {
        beat: new Beat(seat, world.clock, world.report, (pass) => this.#take(desk, pass)),
        heads: new Heads(),
        candidate: null,
        objects: 0,
        unmatched: [],
        troubles: 0,
        lastTrouble: '',
        through: 0,
      };
      return desk;
    });
  }

  /** One pass of each, sent. True: all came through and all of it is acknowledged. */
  async once(signal: AbortSignal): Promise<boolean> {
    const told = onceAborted(signal);
    const passed = await Promise.race([
      Promise.all(this.#desks.map(({ beat }) => beat.pass())),
      told.then(() => [false]),
    ]);
    for (const { beat } of this.#desks) beat.abandon();
    const sent = await this.publisher.drain(signal);
    this.#world.showStatus(this.status());
    return passed.every((ok) => ok) && sent && this.publisher.lost === 0;
  }

  /** Until the signal comes; then a last pass, and up to `graceMs` in all for what is still to be acknowledged. */
  async run(signal: AbortSignal, graceMs = 3000): Promise<void> {
    const { clock } = this.#world;
    const sending = new Sending((abandon) => this.publisher.drain(abandon), clock);
    this.#sending = sending;
    const { network, report, backlog } = this.#world;
    const telling = {
      ...{ clock, network, report, source: this.#settings.source },
      waiting: () => this.publisher.waiting,
      lost: () => backlog?.lostIntervals() ?? [],
    };
    const beside = [this.#showing(signal), tellOfItself(telling, signal)];
    await Promise.all([...this.#desks.map(({ beat }) => beat.run(signal)), ...beside]);
    const begun = clock.elapsed();
    await this.#lastPasses(graceMs * LAST_PASS_SHARE);
    await sending.close(graceMs - (clock.elapsed() - begun));
    this.#sending = null;
    this.#show();
  }

  status(): Status {
    const { publisher } = this;
    const { mapping, backlog } = this.#world;
    return {
      at: this.#world.clock.now(),
      startedAt: this.#startedAt,
      source: this.#settings.source,
      completeThrough: this.#through(),
      pollers: this.#desks.map(statusOf),
      tunnels: this.#tunnels.reconciliations.map(asTexts),
      queue: { waiting: publisher.waiting, lost: publisher.lost },
      ...(backlog ? { disk: backlog.state } : {}),
      server: this.#network.state,
      mapping: {
        path: mapping.path,
        rules: mapping.current.rules.length,
        version: mapping.version,
        problems: [...mapping.problems],
      },
    };
  }

  #take(desk: Desk, pass: PollPass): void {
    const { source } = this.#settings;
    const { seat } = desk.beat;
    const { mapping } = this.#world;
    mapping.check();
    if (this.publisher.lost > this.#lost) this.#hints.repeat();
    this.#lost = this.publisher.lost;
    const objects = objectsOf(source, seat, pass);
    const { hints, unmatched } = this.#hints.of(seat.poller.name, objects, mapping.current, mapping.version, pass.at);
    desk.objects = objects.length;
    desk.unmatched = unmatched;
    // What carries an instant of its own may be older than the pass: more of it may come from then on.
    desk.through = pass.counted.reduce((through, { at = pass.at }) => Math.min(through, at), pass.at);
    this.#tell(desk, pass);
    const { at, memory } = pass;
    if (memory !== undefined) desk.candidate ??= { at, memory: () => memory() };
    const { samples, ended } = desk.heads.readings(source, seat, pass);
    const overhead = this.#overhead(seat, pass);
    const resources = [...hints, ...overhead.hints];
    if (resources.some(({ owners }) => owners !== undefined))
      this.#world.memory.write(OWNERS_MEMORY, JSON.stringify(this.#hints.told));
    this.publisher.offer({
      samples: [...samples, ...overhead.samples],
      ended: [...ended, ...overhead.ended],
      resources,
      completeThrough: this.#through(),
      settled: (kept) => {
        if (kept) overhead.acknowledged();
        this.#remember(desk, at, kept);
      },
    });
    this.#sending?.ring();
  }

  /** What this pass says of the tunnels. Remembered before it is sent: a value that was told must be gone on from. */
  #overhead(seat: Seat, pass: PollPass): TunnelNews & { hints: ResourceHint[] } {
    const { mapping, memory } = this.#world;
    const news = this.#tunnels.take(seat, pass);
    if (news === null) return { samples: [], ended: [], hints: [], acknowledged: () => undefined };
    memory.write(TUNNELS_MEMORY, this.#tunnels.memory);
    const { hints } = this.#hints.of(TUNNEL, this.#tunnels.objects, mapping.current, mapping.version, pass.at);
    return { ...news, hints };
  }

  /** The source is complete only up to what all its pollers have delivered; 0: one has not delivered anything yet. */
  #through(): number {
    return Math.min(...this.#desks.map((desk) => desk.through));
  }

  #tell(desk: Desk, { troubles = [] }: PollPass): void {
    for (const { code, object, message } of troubles) {
      desk.troubles++;
      desk.lastTrouble = `${object === '' ? '' : `${object}: `}${message} (${code})`;
      this.#world.report({ level: 'warn', message: `${desk.beat.seat.poller.name}: ${desk.lastTrouble}` });
    }
  }

  #remember(desk: Desk, at: number, kept: boolean): void {
    const { memory } = this.#world;
    if (desk.candidate?.at !== at) return;
    // One the server refused is not remembered, and the next takes its place.
    if (kept) memory.write(passMemory(desk.beat.seat.poller.name), desk.candidate.memory());
    desk.candidate = null;
  }

  async #showing(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#show();
      await this.#world.clock.sleep(this.#settings.statusMs, signal);
    }
  }

  #show(): void {
    try {
      this.#world.showStatus(this.status());
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#world.report({ level: 'debug', message: `cannot write the status: ${message}` });
    }
  }

  async #lastPasses(withinMs: number): Promise<void> {
    const over = new AbortController();
    const limit = this.#world.clock.sleep(withinMs, over.signal);
    await Promise.race([Promise.all(this.#desks.map(({ beat }) => beat.pass())), limit]);
    for (const { beat } of this.#desks) beat.abandon();
    over.abort();
    await limit;
  }
}

const onceAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

const statusOf = (desk: Desk): PollerStatus => {
  const { seat, state } = desk.beat;
  return {
    name: seat.poller.name,
    kind: seat.kind,
    intervalMs: seat.intervalMs,
    ...state,
    objects: desk.objects,
    unmatched: desk.unmatched.length,
    unmatchedObjects: desk.unmatched.slice(0, UNMATCHED_SHOWN),
    troubles: desk.troubles,
    lastTrouble: desk.lastTrouble,
  };
};
