/**
 * Interfaces of libvirt domains, through a read-only virsh. A NIC is known by its domain's uuid and its MAC, on whatever
 * host it runs: after a migration the new host opens a new epoch of the same NIC. Domain id and target device are new at
 * every start, migration and re-plug, so they make the epoch.
 *
 * Whose rx: libvirt gives taps as the guest sees them (what a tap sends, its guest receives; libvirt swaps the device's
 * figures) and does not swap macvtap (`direct`), whose device already shares the guest's view. So rx is received, for
 * all types. libvirt before 1.2.20 swapped `direct` as well, and other drivers may report the host's view: name such
 * types in `hostView`, and check each new kind of host once with traffic in one direction.
 */
import type { Clock, Disk } from '../environment.ts';
import type { Commands } from './commands.ts';
import { type Direction, trafficMeters } from './meters.ts';
import { Place, type PlaceSettings } from './place.ts';
import type { Declaration, Poller, PollPass, Trouble } from './poller.ts';
import { type Seen, Tracker } from './tracker.ts';
import { Troubles } from './troubles.ts';
import {
  answersOf,
  askAbout,
  DEVICE,
  type DomainText,
  ifstatOf,
  inRow,
  type Nic,
  type NicFigures,
  nicsOf,
  sectionsOf,
  statsOf,
  uuidsOf,
} from './virsh.ts';

export interface LibvirtSettings extends PlaceSettings {
  name?: string;
  /** Default qemu:///system. */
  uri?: string;
  /** Interface types whose figures come as the host sees them. Default none. */
  hostView?: readonly string[];
}

interface Domain {
  uuid: string;
  id: string;
  name: string;
  nics: { nic: Nic; figures: NicFigures | null }[];
}

/** An interface whose figures are asked for by itself. */
interface Wanted {
  uuid: string;
  entry: Domain['nics'][number];
  heading: string;
}

/** Domains of one virsh process: an argument may hold 128 KiB. */
const CHUNK = 100;

export class LibvirtPoller implements Poller {
  readonly name: string;
  readonly declaration: Declaration = {
    kind: 'libvirt',
    identity: ['domain uuid', 'mac'],
    epoch: ['boot id', 'domain id', 'target device'],
    width: 64,
    layer: 'L2',
    viewpoint: 'guest',
    wirePackets: false,
    global: true,
  };
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #uri: string;
  readonly #hostView: ReadonlySet<string>;
  readonly #tracker: Tracker;
  readonly #troubles = new Troubles();

  /** Throws when the address is none. */
  constructor(
    world: { clock: Clock; disk: Disk; commands: Commands },
    settings: LibvirtSettings = {},
    memory: string | null = null,
  ) {
    this.name = settings.name ?? 'libvirt';
    this.#clock = world.clock;
    this.#place = new Place(world.disk, world.commands, settings);
    this.#uri = settings.uri ?? 'qemu:///system';
    if (!/^[a-z][\w+.-]*:\/\//i.test(this.#uri)) throw new Error(`"${this.#uri}" is no libvirt address`);
    this.#hostView = new Set(settings.hostView);
    this.#tracker = new Tracker(memory);
  }

  async poll(signal?: AbortSignal): Promise<PollPass> {
    const uuids = uuidsOf(await this.#virsh(['list', '--uuid'], signal));
    const troubles: Trouble[] = [];
    const domains: Domain[] = [];
    for (let from = 0; from < uuids.length; from += CHUNK)
      domains.push(...(await this.#read(uuids.slice(from, from + CHUNK), signal)));
    signal?.throwIfAborted();
    const at = this.#clock.now();
    const local = /^[^:]+:\/\/\//.test(this.#uri);
    const boot = local ? this.#place.boot() : this.#uri.replace(/^[^/]*\/\/([^/]*).*$/, '$1');
    const read = new Set(domains.map(({ uuid }) => uuid));
    const unread = uuids.filter((uuid) => !read.has(uuid));
    for (const uuid of unread) troubles.push({ code: 'unread', object: uuid, message: 'the domain could not be read' });
    const seen = domains.flatMap((domain) => this.#seen(domain, boot, troubles, unread));
    const tracked = this.#tracker.take({ at, seen, unread, ...(local ? { notBefore: this.#place.bootedAt(at) } : {}) });
    return { ...tracked, troubles: this.#troubles.fresh(troubles) };
  }

  #virsh(args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
    return this.#place.run('virsh', ['-r', '-c', this.#uri, ...args], signal);
  }

  /** What could be read of these domains. */
  async #read(uuids: readonly string[], signal: AbortSignal | undefined): Promise<Domain[]> {
    const answers = await this.#ask(uuids, signal);
    const domains = [...answers].flatMap(([uuid, text]) => domainOf(uuid, text) ?? []);
    await this.#readSingly(domains, signal);
    return domains;
  }

  /** Where virsh fails over all of them, each is asked by itself: one that cannot be asked must not hide the others. */
  async #ask(uuids: readonly string[], signal: AbortSignal | undefined): Promise<Map<string, DomainText>> {
    try {
      return answersOf(await this.#virsh([askAbout(uuids)], signal), uuids);
    } catch (error) {
      const found = new Map<string, DomainText>();
      for (const uuid of uuids.length > 1 ? uuids : []) {
        const answer = await this.#virsh([askAbout([uuid])], signal).catch(() => '');
        for (const [which, text] of answersOf(answer, [uuid])) found.set(which, text);
      }
      if (found.size === 0) throw error;
      return found;
    }
  }

  /** Drivers without interface statistics in `domstats` (the test driver) answer `domifstat`. */
  async #readSingly(domains: readonly Domain[], signal: AbortSignal | undefined): Promise<void> {
    const wanted = domains.flatMap((domain) =>
      domain.nics
        .filter(({ nic, figures }) => figures === null && DEVICE.test(nic.target) && nic.target !== '-')
        .map((entry, i) => ({ uuid: domain.uuid, entry, heading: `@if ${domain.uuid} ${i}` })),
    );
    for (let from = 0; from < wanted.length; from += CHUNK)
      await this.#readFigures(wanted.slice(from, from + CHUNK), signal);
  }

  /** Figures that cannot be asked for stay unknown, and hide no others. */
  async #readFigures(wanted: readonly Wanted[], signal: AbortSignal | undefined): Promise<void> {
    const asked = wanted.flatMap(({ uuid, entry, heading }) => [
      `echo ${heading}`,
      `domifstat ${uuid} ${entry.nic.target}`,
    ]);
    try {
      const text = await this.#virsh([inRow(asked)], signal);
      const sections = sectionsOf(
        text,
        wanted.map(({ heading }) => heading),
      );
      for (const [i, section] of sections.entries()) {
        const entry = wanted[i]?.entry;
        if (entry !== undefined) entry.figures = ifstatOf(section);
      }
    } catch {
      if (wanted.length > 1) for (const one of wanted) await this.#readFigures([one], signal);
    }
  }

  /** Adds a NIC to `unread` where figures are not told: it has not ended, and need not begin when they are. */
  #seen(domain: Domain, boot: string, troubles: Trouble[], unread: string[]): Seen[] {
    const taken = new Set<string>();
    return domain.nics.flatMap(({ nic, figures }) => {
      // A second NIC with the same MAC is a fault of the domain, not a reason to lose its traffic.
      const twin = taken.has(nic.mac);
      const object = `${domain.uuid}/${nic.mac}${twin ? `/${nic.target}` : ''}`;
      taken.add(nic.mac);
      if (twin) troubles.push({ code: 'duplicate', object, message: `${domain.name} has the MAC ${nic.mac} twice` });
      const common = {
        scope: object,
        object,
        epoch: `${boot}/${domain.id}/${nic.target}`,
        name: `${domain.name} ${nic.target}`,
        mac: nic.mac,
        ...(nic.source === '-' ? {} : { hints: { network: nic.source } }),
      };
      const told = figuresOf(figures, this.#hostView.has(nic.type));
      const seen = told.flatMap(({ meter, value }): Seen[] => (value === null ? [] : [{ ...common, meter, value }]));
      if (seen.length === told.length) return seen;
      unread.push(object);
      const counted = told.some(
        ({ meter, value }) => value === null && this.#tracker.pastOf({ object, meter }) !== null,
      );
      const code = counted ? 'unread' : 'unsupported';
      const reason = counted ? 'figures counted before are not told now' : `not counted by this driver (${nic.type})`;
      troubles.push({ code, object, message: `${common.name}: ${reason}` });
      return seen;
    });
  }
}

const figuresOf = (figures: NicFigures | null, hostView: boolean): { meter: string; value: bigint | null }[] => {
  const [rx, tx]: [Direction, Direction] = hostView ? ['sent', 'received'] : ['received', 'sent'];
  return [
    { meter: trafficMeters[rx].bytes, value: figures?.rxBytes ?? null },
    { meter: trafficMeters[rx].packets, value: figures?.rxPackets ?? null },
    { meter: trafficMeters[tx].bytes, value: figures?.txBytes ?? null },
    { meter: trafficMeters[tx].packets, value: figures?.txPackets ?? null },
  ];
};

/** Null: it went away while we looked. */
const domainOf = (uuid: string, text: DomainText): Domain | null => {
  const nics = nicsOf(text.nics);
  if (!/^\d+$/.test(text.id) || nics === null) return null;
  const stats = statsOf(text.stats);
  return {
    uuid,
    id: text.id,
    name: text.name.split('\n')[0] ?? '',
    nics: nics.map((nic) => ({ nic, figures: stats.get(nic.target) ?? null })),
  };
};
