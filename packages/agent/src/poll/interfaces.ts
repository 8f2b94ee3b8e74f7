/** Every interface of this machine as a poller: LinuxInterfaces with what `ip` knows of tags and aliases beside it. */
import type { Clock, Disk } from '../environment.ts';
import { LinuxInterfaces, type Memory, type Observed, parseMemory } from '../linux.ts';
import type { Commands } from './commands.ts';
import { type Link, parseLinks } from './links.ts';
import { type Direction, trafficMeters } from './meters.ts';
import { Place, type PlaceSettings } from './place.ts';
import type { Counted, Declaration, Poller, PollPass, Trouble } from './poller.ts';
import { Troubles } from './troubles.ts';

export interface InterfacesSettings extends Omit<PlaceSettings, 'namespace'> {
  name?: string;
  /** Asks `ip -d -j link show` for tags, aliases and addresses. Default true; needs iproute2. */
  details?: boolean;
  /** How long what `ip` said is believed, ms. New interfaces are asked for at once. Default 60,000. */
  detailsMs?: number;
  /** True only where offloads are off on every device of the tunnels that are watched. Default false. */
  wirePackets?: boolean;
}

/** ARPHRD numbers of devices whose frames begin with an Ethernet header: Ethernet, and loopback, which makes one up. */
const ETHERNET = new Set(['1', '772']);
/** These look like Ethernet and count inner packets without their Ethernet header (measured for vxlan). */
const BARE = /^DEVTYPE=(?:vxlan|geneve)$/m;

export class InterfacesPoller implements Poller {
  readonly name: string;
  readonly declaration: Declaration;
  readonly #world: { clock: Clock; disk: Disk };
  readonly #place: Place;
  readonly #settings: InterfacesSettings;
  readonly #troubles = new Troubles();
  #linux: LinuxInterfaces;
  /** As of the last pass that was handed over. */
  #memory: Memory | null;
  /** By epoch: where a device counts at another layer than L2. It is part of the series, so it must not depend on `ip`. */
  #layers: ReadonlyMap<string, 'L2' | 'L3'> = new Map();
  #links: ReadonlyMap<number, Link> = new Map();
  #asked = Number.NEGATIVE_INFINITY;

  /** Throws where the machine has no /proc/net/dev. */
  constructor(
    world: { clock: Clock; disk: Disk; commands: Commands },
    settings: InterfacesSettings = {},
    memory: string | null = null,
  ) {
    this.name = settings.name ?? 'interfaces';
    this.#world = world;
    this.#place = new Place(world.disk, world.commands, settings);
    this.#settings = settings;
    this.#memory = memory === null ? null : parseMemory(memory);
    this.#layers = new Map(bareOf(memory).map((epoch) => [epoch, 'L3']));
    this.#linux = new LinuxInterfaces(world.disk, world.clock, this.#memory);
    this.declaration = {
      kind: 'interfaces',
      identity: ['name when first seen'],
      epoch: this.#linux.indexed ? ['boot id', 'network namespace', 'ifindex'] : ['boot id', 'network namespace'],
      width: 64,
      layer: 'L2',
      viewpoint: 'device',
      wirePackets: settings.wirePackets ?? false,
    };
  }

  async poll(signal?: AbortSignal): Promise<PollPass> {
    signal?.throwIfAborted();
    const pass = this.#linux.pass();
    const troubles: Trouble[] = [];
    if (!this.#linux.indexed)
      troubles.push({
        code: 'no_ifindex',
        object: '',
        message: '/sys shows another network namespace: re-created interfaces are only seen by a falling counter',
      });
    await this.#look(pass.interfaces, troubles, signal);
    if (signal?.aborted === true) {
      // Nobody takes this pass: what began and ended in it must be told by the next one.
      this.#linux = new LinuxInterfaces(this.#world.disk, this.#world.clock, this.#memory);
      signal.throwIfAborted();
    }
    this.#memory = pass.memory;
    const before = this.#layers;
    const layers = new Map(pass.interfaces.map((one) => [one.epoch, before.get(one.epoch) ?? this.#layerOf(one.name)]));
    this.#layers = layers;
    return {
      at: pass.at,
      counted: pass.interfaces.flatMap((one) => countedOf(one, layers.get(one.epoch), this.#links.get(one.ifindex))),
      ended: pass.ended.flatMap(({ id, epoch, at }) =>
        all.map(({ meter }) => ({ object: id, meter, epoch, at, ...unless(before.get(epoch)) })),
      ),
      troubles: this.#troubles.fresh(troubles),
      memory: () => JSON.stringify({ ...pass.memory, bare: bare(layers) }),
    };
  }

  #layerOf(name: string): 'L2' | 'L3' {
    const read = (file: string): string => {
      try {
        return this.#world.disk.read(`/sys/class/net/${name}/${file}`).trim();
      } catch {
        return '';
      }
    };
    const type = read('type');
    return (type !== '' && !ETHERNET.has(type)) || BARE.test(read('uevent')) ? 'L3' : 'L2';
  }

  /** Details are a help: a pass never fails for want of them. */
  async #look(interfaces: readonly Observed[], troubles: Trouble[], signal: AbortSignal | undefined): Promise<void> {
    const { details = true, detailsMs = 60_000 } = this.#settings;
    if (!details) return;
    const now = this.#world.clock.elapsed();
    if (now - this.#asked < detailsMs && interfaces.every(({ ifindex }) => this.#links.has(ifindex))) return;
    this.#asked = now;
    try {
      this.#links = parseLinks(await this.#place.run('ip', ['-d', '-j', 'link', 'show'], signal));
    } catch (error) {
      troubles.push({
        code: 'no_details',
        object: '',
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

const columns: readonly { direction: Direction; unit: 'bytes' | 'packets'; of: (one: Observed) => bigint }[] = [
  { direction: 'received', unit: 'bytes', of: (one) => one.receivedBytes },
  { direction: 'received', unit: 'packets', of: (one) => one.receivedPackets },
  { direction: 'sent', unit: 'bytes', of: (one) => one.sentBytes },
  { direction: 'sent', unit: 'packets', of: (one) => one.sentPackets },
];
const all = columns.map(({ direction, unit, of }) => ({ meter: trafficMeters[direction][unit], of }));

const bare = (layers: ReadonlyMap<string, 'L2' | 'L3'>): string[] =>
  [...layers].filter(([, layer]) => layer === 'L3').map(([epoch]) => epoch);

/** Epochs that were counted at L3, as remembered beside what LinuxInterfaces remembers. */
const bareOf = (memory: string | null): string[] => {
  try {
    const { bare: epochs } = JSON.parse(memory ?? '{}') as { bare?: unknown };
    return Array.isArray(epochs) ? epochs.map(String) : [];
  } catch {
    return [];
  }
};

/** L2 is what the declaration says already. */
const unless = (layer: 'L2' | 'L3' | undefined): { layer?: 'L3' } => (layer === 'L3' ? { layer } : {});

const countedOf = (one: Observed, layer: 'L2' | 'L3' | undefined, link: Link | undefined): Counted[] => {
  const common = {
    object: one.id,
    epoch: one.epoch,
    start: one.start,
    name: one.name,
    ...(link === undefined || link.tag === '' ? {} : { tag: link.tag }),
    ...(link === undefined || link.mac === '' ? {} : { mac: link.mac }),
    ...(link === undefined || link.alias === '' ? {} : { alias: link.alias }),
    ...unless(layer),
  };
  return all.map(({ meter, of }) => ({ ...common, meter, value: of(one) }));
};
