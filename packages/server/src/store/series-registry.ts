/**
 * The series registry in memory: every series the control store knows, by id and by key. Ingest registers what is new
 * before the first fact that names it is written; the job registers the series of event meters.
 */
import { groupOf, type Series, type SeriesKey, seriesKeyText } from '../domain/series.ts';
import type { ControlStore, NewSeries } from './control-store.ts';

/** A counter epoch of one measured object, whoever reports it: what two collectors of one counter have in common. */
const epochOwnerText = (key: SeriesKey, epoch: number): string =>
  JSON.stringify([key.tenant, key.resource, key.meter, Object.entries(key.dimensions).sort(), epoch]);

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

export class SeriesRegistry {
  private readonly control: ControlStore;
  private readonly ids = new Map<number, Series>();
  private readonly keys = new Map<string, Series>();
  private readonly byResource = new Map<string, Series[]>();
  /** Ids by meter, by group. */
  private readonly groups = new Map<number, Map<string, number[]>>();
  private readonly epochsSeen = new Set<string>();
  private readonly epochOwner = new Map<string, number>();

  private constructor(control: ControlStore) {
    this.control = control;
  }

  static async open(control: ControlStore): Promise<SeriesRegistry> {
    const registry = new SeriesRegistry(control);
    for (const series of await control.series()) registry.add(series);
    return registry;
  }

  get size(): number {
    return this.ids.size;
  }
  byId(id: number): Series | undefined {
    return this.ids.get(id);
  }
  find(key: SeriesKey): Series | undefined {
    return this.keys.get(seriesKeyText(key));
  }
  /** The one way to look up by a prepared key text (seriesKeyText), for hot paths that cache it. */
  findText(text: string): Series | undefined {
    return this.keys.get(text);
  }
  /** The ids of a group by meter. */
  inGroup(group: number): ReadonlyMap<string, readonly number[]> {
    return this.groups.get(group) ?? new Map();
  }
  all(): IterableIterator<Series> {
    return this.ids.values();
  }
  ofResource(tenant: string, resource: string): readonly Series[] {
    return this.byResource.get(`${tenant}\n${resource}`) ?? [];
  }

  /** Returns one series per key, in order, registering those not known yet. Durable when it resolves. */
  async register(keys: readonly NewSeries[]): Promise<Series[]> {
    const unknown = keys.filter((key) => this.find(key) === undefined);
    if (unknown.length > 0) for (const series of await this.control.registerSeries(unknown)) this.add(series);
    return keys.map((key) => {
      const series = this.find(key);
      if (series === undefined) throw new Error(`series was registered and is not there: ${seriesKeyText(key)}`);
      return series;
    });
  }

  /** True once the epoch's text is on record for the series. */
  knowsEpoch(series: number, epoch: number): boolean {
    return this.epochsSeen.has(`${series}:${epoch}`);
  }
  async registerEpochs(epochs: readonly { series: number; epoch: number; text: string }[]): Promise<void> {
    const unknown = epochs.filter((e) => !this.knowsEpoch(e.series, e.epoch));
    if (unknown.length === 0) return;
    await this.control.registerEpochs(unknown);
    for (const { series, epoch } of unknown) {
      this.epochsSeen.add(`${series}:${epoch}`);
      const known = this.ids.get(series);
      if (known !== undefined && known.witnessOf === 0) this.holdEpoch(known, epoch);
    }
  }

  /** Case 18: the series that already follows this epoch of this object from another source; 0 when none does. */
  async witnessed(key: SeriesKey, epoch: number): Promise<number> {
    const held = this.epochOwner.get(epochOwnerText(key, epoch));
    if (held !== undefined) return this.ids.get(held)?.source === key.source ? 0 : held;
    for (const id of await this.control.epochHolders(epoch)) {
      const holder = this.ids.get(id);
      if (holder === undefined || holder.witnessOf !== 0 || holder.source === key.source) continue;
      if (epochOwnerText(holder, epoch) === epochOwnerText(key, epoch)) return id;
    }
    return 0;
  }

  private holdEpoch(series: Series, epoch: number): void {
    const text = epochOwnerText(series, epoch);
    if (!this.epochOwner.has(text)) this.epochOwner.set(text, series.id);
  }
  private add(series: Series): void {
    if (this.ids.has(series.id)) return;
    this.ids.set(series.id, series);
    this.keys.set(seriesKeyText(series), series);
    const group = entry(this.groups, groupOf(series.id), () => new Map<string, number[]>());
    entry(group, series.meter, () => []).push(series.id);
    entry(this.byResource, `${series.tenant}\n${series.resource}`, () => []).push(series);
  }
}
