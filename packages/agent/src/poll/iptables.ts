/**
 * iptables accounting chains, in the manner of a virtual router: rules without a target that only count. Read with
 * `iptables-save -c`, never with -Z. iptables-nft, iptables-legacy and their IPv6 twins keep separate rules, so each is
 * listed by itself.
 *
 * A rule has no handle here: it is known by the hash of its text, and a rule that was zeroed or loaded anew shows only by
 * its falling value.
 */
import type { Clock, Disk } from '../environment.ts';
import type { Commands } from './commands.ts';
import { type ChainRule, chooser } from './iptables-chains.ts';
import { type IptablesRule, idOf, parseSaved, valueAfter } from './iptables-rules.ts';
import { trafficMeters } from './meters.ts';
import { Place, type PlaceSettings } from './place.ts';
import type { Declaration, Poller, PollPass, Trouble } from './poller.ts';
import { type Seen, Tracker } from './tracker.ts';
import { Troubles } from './troubles.ts';

/** Program -> the first part of its objects' names. */
const PROGRAMS = {
  iptables: 'ip4',
  ip6tables: 'ip6',
  'iptables-legacy': 'ip4-legacy',
  'ip6tables-legacy': 'ip6-legacy',
} as const;
export type IptablesBackend = keyof typeof PROGRAMS;

export interface IptablesSettings extends PlaceSettings {
  name?: string;
  /** Which rule sets are listed; default iptables and ip6tables, whatever these two are on the host. */
  backends?: readonly IptablesBackend[];
  chains: readonly ChainRule[];
  /**
   * Identical rules in one chain all see the same packets, so one of them counts. `largest` (default): the one that has
   * been there longest, for a rule set that was loaded twice. `sum`: they are reached by different ways.
   */
  duplicates?: 'largest' | 'sum';
  viewpoint?: Declaration['viewpoint'];
}

export class IptablesPoller implements Poller {
  readonly name: string;
  readonly declaration: Declaration;
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #settings: IptablesSettings;
  readonly #choose: ReturnType<typeof chooser>;
  readonly #tracker: Tracker;
  readonly #troubles = new Troubles();

  constructor(
    world: { clock: Clock; disk: Disk; commands: Commands },
    settings: IptablesSettings,
    memory: string | null = null,
  ) {
    this.name = settings.name ?? 'iptables';
    this.#clock = world.clock;
    this.#place = new Place(world.disk, world.commands, settings);
    this.#settings = settings;
    this.#choose = chooser(settings.chains);
    this.#tracker = new Tracker(memory);
    this.declaration = {
      kind: 'iptables',
      identity: ['backend', 'table', 'chain', 'rule'],
      epoch: ['boot id', 'network namespace'],
      width: 64,
      layer: 'L3',
      viewpoint: settings.viewpoint ?? 'guest',
      wirePackets: false,
    };
  }

  async poll(signal?: AbortSignal): Promise<PollPass> {
    const epoch = this.#place.epoch();
    const troubles: Trouble[] = [];
    const unread: string[] = [];
    const seen: Seen[] = [];
    const backends = this.#settings.backends ?? ['iptables', 'ip6tables'];
    let failure: unknown;
    for (const backend of backends) {
      try {
        const text = await this.#place.run(`${backend}-save`, ['-c'], signal);
        seen.push(...this.#seen(backend, text, epoch, troubles));
      } catch (error) {
        failure = error;
        unread.push(backend);
        troubles.push({ code: 'unread', object: backend, message: messageOf(error) });
      }
    }
    // One rule set of several may fail; with none of them there is no pass.
    if (unread.length === backends.length) throw failure;
    signal?.throwIfAborted();
    const at = this.#clock.now();
    const tracked = this.#tracker.take({ at, seen, unread, notBefore: this.#place.bootedAt(at) });
    return { ...tracked, troubles: this.#troubles.fresh(troubles) };
  }

  #seen(backend: IptablesBackend, text: string, epoch: string, troubles: Trouble[]): Seen[] {
    const { rules, malformed } = parseSaved(text);
    for (const line of malformed)
      troubles.push({ code: 'malformed', object: `${backend}:${line}`, message: 'is no line of iptables-save -c' });
    const found = new Map<string, Seen[]>();
    for (const rule of rules) {
      const chosen = this.#choose(rule);
      if (chosen === null) continue;
      const object = `${PROGRAMS[backend]}/${rule.table}/${rule.chain}/${idOf(rule)}`;
      const { direction, trafficType } = chosen;
      if (direction === null) {
        troubles.push({ code: 'no_direction', object, message: `${rule.spec}: neither sent nor received` });
        continue;
      }
      const meters = trafficMeters[direction];
      const common = { ...labels(rule), scope: backend, object, epoch, hints: { trafficType } };
      const now = [
        { ...common, meter: meters.bytes, value: rule.bytes },
        { ...common, meter: meters.packets, value: rule.packets },
      ];
      const twin = found.get(object);
      found.set(object, twin === undefined ? now : this.#merge(twin, now));
      if (twin !== undefined)
        troubles.push({
          code: 'duplicate',
          object,
          message: `${rule.chain} holds this rule more than once: ${rule.spec}`,
        });
    }
    return [...found.values()].flat();
  }

  #merge(a: readonly Seen[], b: readonly Seen[]): Seen[] {
    return a.map((seen, i) => {
      const other = b[i]?.value ?? 0n;
      if (this.#settings.duplicates === 'sum') return { ...seen, value: BigInt.asUintN(64, seen.value + other) };
      return other > seen.value ? { ...seen, value: other } : seen;
    });
  }
}

const labels = (rule: IptablesRule): Pick<Seen, 'name' | 'alias'> => {
  const comment = valueAfter(rule.words, '--comment');
  return { name: `${rule.chain} ${rule.spec}`.trim(), ...(comment === undefined ? {} : { alias: comment }) };
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
