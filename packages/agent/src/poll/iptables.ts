/**
 * iptables accounting chains, in the manner of a virtual router: rules without a target that only count. Read with
 * `iptables-save -c`, never with -Z. iptables-nft, iptables-legacy and their IPv6 twins keep separate rules, so each is
 * listed by itself.
 *
 * A rule has no handle here: it is known by the hash of its text, and a rule that was zeroed or loaded anew shows only by
 * its falling value. Rules that are identical are one counter: see iptables-twins.ts.
 */
import type { Clock, Disk } from '../environment.ts';
import type { Commands } from './commands.ts';
import { type ChainRule, chooser } from './iptables-chains.ts';
import { type IptablesRule, idOf, parseSaved, type Saved, valueAfter } from './iptables-rules.ts';
import {
  type Duplicates,
  followTwins,
  isPlain,
  recallTwins,
  rememberTwins,
  type TwinMemory,
  type Twins,
  toldOf,
} from './iptables-twins.ts';
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
   * been there longest, for a rule set that was loaded twice. `sum`: they are reached by different ways. What a removed
   * one had counted stays in the value, as long as the poller's memory is kept.
   */
  duplicates?: Duplicates;
  viewpoint?: Declaration['viewpoint'];
}

/** What a pass has found so far. */
interface Found {
  seen: Seen[];
  unread: string[];
  troubles: Trouble[];
  /** To be remembered. */
  twins: Map<string, Twins>;
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
  #twins: TwinMemory;

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
    // Two lines: what was counted, and rules that stood there more than once.
    const [counted = '', twins] = memory?.split('\n') ?? [];
    this.#tracker = new Tracker(memory === null ? null : counted);
    this.#twins = recallTwins(twins);
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
    const before = this.#twins.epoch === epoch ? this.#twins.known : new Map<string, Twins>();
    const found: Found = { seen: [], unread: [], troubles: [], twins: new Map() };
    const backends = this.#settings.backends ?? ['iptables', 'ip6tables'];
    const failures: unknown[] = [];
    for (const backend of backends) {
      try {
        const saved = parseSaved(await this.#place.run(`${backend}-save`, ['-c'], signal));
        this.#take(backend, saved, epoch, before, found);
      } catch (error) {
        failures.push(error);
        this.#pass(backend, messageOf(error), before, found);
      }
    }
    // One rule set of several may fail; with none of them there is no pass.
    if (failures.length === backends.length) throw failures.at(-1);
    signal?.throwIfAborted();
    // Values of a new namespace under the old epoch would count as a reset, and once more under their own.
    if (this.#place.epoch() !== epoch) throw new Error(`${this.name}: the namespace was made anew during the pass`);
    const at = this.#clock.now();
    const { seen, unread, troubles } = found;
    const twins = { epoch, known: found.twins };
    this.#twins = twins;
    const { memory, ...tracked } = this.#tracker.take({ at, seen, unread, notBefore: this.#place.bootedAt(at) });
    return {
      ...tracked,
      troubles: this.#troubles.fresh(troubles),
      memory: () => `${memory()}\n${rememberTwins(twins)}`,
    };
  }

  #take(backend: IptablesBackend, saved: Saved, epoch: string, before: ReadonlyMap<string, Twins>, found: Found): void {
    // A line that is none may have been any of its rules.
    if (saved.malformed.length > 0) found.unread.push(backend);
    for (const rules of this.#rules(backend, saved, epoch, found.troubles))
      found.seen.push(...this.#told(rules, before, found.twins));
  }

  /** Passes over a rule set that could not be read: it is as it was. */
  #pass(backend: IptablesBackend, message: string, before: ReadonlyMap<string, Twins>, found: Found): void {
    found.unread.push(backend);
    found.troubles.push({ code: 'unread', object: backend, message });
    for (const [key, twins] of before) if (key.startsWith(`${PROGRAMS[backend]}/`)) found.twins.set(key, twins);
  }

  /** Rules that are counted; identical ones side by side. */
  #rules(backend: IptablesBackend, { rules, malformed }: Saved, epoch: string, troubles: Trouble[]): Seen[][][] {
    for (const line of malformed)
      troubles.push({ code: 'malformed', object: `${backend}:${line}`, message: 'is no line of iptables-save -c' });
    const found = new Map<string, Seen[][]>();
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
      const twins = found.get(object);
      if (twins === undefined) found.set(object, [now]);
      else {
        twins.push(now);
        troubles.push({
          code: 'duplicate',
          object,
          message: `${rule.chain} holds this rule more than once: ${rule.spec}`,
        });
      }
    }
    return [...found.values()];
  }

  /** One counter of what identical rules show; what has to be remembered of them is put into `known`. */
  #told(twins: readonly Seen[][], before: ReadonlyMap<string, Twins>, known: Map<string, Twins>): Seen[] {
    const { duplicates = 'largest' } = this.#settings;
    return (twins[0] ?? []).map((first, i) => {
      const key = `${first.object} ${first.meter}`;
      const values = twins.flatMap((rule) => rule[i]?.value ?? []);
      const now = followTwins(before.get(key), values, duplicates);
      if (!isPlain(now)) known.set(key, now);
      return { ...first, value: toldOf(now, duplicates) };
    });
  }
}

const labels = (rule: IptablesRule): Pick<Seen, 'name' | 'alias'> => {
  const comment = valueAfter(rule.words, '--comment');
  return { name: `${rule.chain} ${rule.spec}`.trim(), ...(comment === undefined ? {} : { alias: comment }) };
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
