/**
 * nftables named counters (`nft -j list counters`), of all families, in one call. 64 bits; read, never reset: what a
 * reset would print is lost when we die before it is on disk.
 *
 * A counter object that is made anew gets a new handle, and a table made anew gets one while it gives its first counter
 * the handle 1 again (tried): so both handles are in the epoch. One trap remains: a ruleset
 * saved with its values (`nft list ruleset` without -s) and loaded again brings old values under new handles. Such a
 * value looks like new traffic; it is reported here (`restored`), and `epoch: 'name'` continues the old chain instead.
 */
import type { Clock, Disk } from '../environment.ts';
import type { Commands } from './commands.ts';
import { type Direction, trafficMeters } from './meters.ts';
import { LISTING, type NftCounter, parseListing } from './nft-listing.ts';
import { directionOfEnding, parseComment, parseName, type Told } from './nft-names.ts';
import { Place, type PlaceSettings } from './place.ts';
import type { Declaration, Poller, PollPass, Trouble } from './poller.ts';
import { type Seen, Tracker } from './tracker.ts';
import { Troubles } from './troubles.ts';

export interface NftSettings extends PlaceSettings {
  name?: string;
  /** Only counters of these tables; left away: of all. */
  tables?: readonly string[];
  /** Counters by `family/table/name` or by name alone whose direction the name does not tell. */
  directions?: Readonly<Record<string, Direction>>;
  /** Parse `t.<tenant>.<network>.<class>.<dir>` into hints. Default true. */
  names?: boolean;
  /** `handle` (default): a re-created counter is a new one. `name`: rulesets are loaded with their saved values. */
  epoch?: 'handle' | 'name';
  /** Whose sent and received the directions are. Default guest. */
  viewpoint?: Declaration['viewpoint'];
  /** True only where offloads are off on every device the counted packets pass. Default false. */
  wirePackets?: boolean;
}

const LOOKS_MAX = 3;

/** A new handle with at least as many bytes as the old one had, and more than this, was most likely restored. */
const RESTORED_MIN = 1n << 20n;

export class NftPoller implements Poller {
  readonly name: string;
  readonly declaration: Declaration;
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #settings: NftSettings;
  readonly #tracker: Tracker;
  readonly #troubles = new Troubles();
  #last = new Map<string, NftCounter>();

  constructor(
    world: { clock: Clock; disk: Disk; commands: Commands },
    settings: NftSettings = {},
    memory: string | null = null,
  ) {
    this.name = settings.name ?? 'nft';
    this.#clock = world.clock;
    this.#place = new Place(world.disk, world.commands, settings);
    this.#settings = settings;
    this.#tracker = new Tracker(memory);
    this.declaration = {
      kind: 'nft',
      identity: ['family', 'table', 'name'],
      epoch:
        settings.epoch === 'name' ? ['network namespace'] : ['boot id', 'network namespace', 'table handle', 'handle'],
      width: 64,
      layer: 'L3',
      viewpoint: settings.viewpoint ?? 'guest',
      wirePackets: settings.wirePackets ?? false,
    };
  }

  async poll(signal?: AbortSignal): Promise<PollPass> {
    const { counters, malformed, at, epoch } = await this.#list(signal);
    signal?.throwIfAborted();
    const troubles: Trouble[] = malformed.map((object) => ({ code: 'malformed', object, message: 'has no figures' }));
    const chosen = counters.filter(({ table }) => this.#settings.tables?.includes(table) ?? true);
    const seen = chosen.flatMap((counter) => this.#seen(counter, epoch, troubles));
    if (this.#settings.epoch !== 'name') this.#remark(chosen, troubles);
    const tracked = this.#tracker.take({ at, seen, unread: malformed, notBefore: this.#place.bootedAt(at) });
    return { ...tracked, troubles: this.#troubles.fresh(troubles) };
  }

  /**
   * Lists until no table came or went meanwhile (the handles of counters are told apart by their tables'), nor the
   * namespace itself: values of the new one under the old epoch would count as a reset, and once more under their own.
   */
  async #list(signal: AbortSignal | undefined) {
    for (let look = 0; look < LOOKS_MAX; look++) {
      const epoch = this.#place.epoch();
      const text = await this.#place.run('nft', ['-j', LISTING], signal);
      const at = this.#clock.now();
      const { settled, ...listing } = parseListing(text);
      if (settled && this.#place.epoch() === epoch) return { ...listing, at, epoch };
    }
    throw new Error(`${this.name}: tables or the namespace came and went during each of ${LOOKS_MAX} looks`);
  }

  #seen(counter: NftCounter, place: string, troubles: Trouble[]): Seen[] {
    const object = objectOf(counter);
    const told = this.#told(counter, object);
    if (told.direction === undefined) {
      troubles.push({ code: 'no_direction', object, message: 'neither its name nor the settings tell its direction' });
      return [];
    }
    const common = {
      scope: object,
      object,
      epoch: this.#settings.epoch === 'name' ? `name/${place.split('/')[1] ?? ''}` : `${place}/${counter.handle}`,
      name: counter.name,
      fromZero: this.#settings.epoch !== 'name',
      hints: told.hints,
      ...(told.tag === undefined ? {} : { tag: told.tag }),
      ...(counter.comment === '' ? {} : { alias: counter.comment }),
    };
    const { bytes, packets } = trafficMeters[told.direction];
    return [
      { ...common, meter: bytes, value: counter.bytes },
      { ...common, meter: packets, value: counter.packets },
    ];
  }

  /** The settings outweigh the comment, the comment the name. */
  #told(counter: NftCounter, object: string): Told {
    const { directions = {}, names = true } = this.#settings;
    const named = names ? parseName(counter.name) : null;
    const commented = parseComment(counter.comment);
    const direction =
      directions[object] ??
      directions[counter.name] ??
      commented.direction ??
      named?.direction ??
      directionOfEnding(counter.name);
    return {
      ...commented,
      ...(direction === undefined ? {} : { direction }),
      hints: { ...named?.hints, ...commented.hints },
    };
  }

  #remark(counters: readonly NftCounter[], troubles: Trouble[]): void {
    const now = new Map(counters.map((counter) => [objectOf(counter), counter]));
    for (const [object, { handle, bytes }] of now) {
      const before = this.#last.get(object);
      if (before === undefined || before.handle === handle || bytes < before.bytes || bytes < RESTORED_MIN) continue;
      troubles.push({
        code: 'restored',
        object,
        message: `came back under a new handle with ${bytes} bytes, it had ${before.bytes}: if it was loaded with its old value, it counts twice (epoch: name)`,
      });
    }
    this.#last = now;
  }
}

const objectOf = ({ family, table, name }: NftCounter): string => `${family}/${table}/${name}`;
