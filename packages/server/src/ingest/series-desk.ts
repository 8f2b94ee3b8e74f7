/**
 * Series for the readings of a request: looked up, or registered before the first fact that names them. One registration
 * at a time, so that two collectors that report the same new counter at the same moment are seen as two (case 18).
 */
import type { Receipt } from '../domain/fact.ts';
import { type Series, type SeriesKey, seriesKeyText } from '../domain/series.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';

export interface Wanted {
  key: SeriesKey;
  width: 32 | 64;
  lineBits: number;
  period: number;
  layer: string;
  epoch: number;
  epochText: string;
}

type Registry = Pick<SeriesRegistry, 'findText' | 'register' | 'knowsEpoch' | 'registerEpochs' | 'witnessed'>;

export class SeriesDesk {
  private readonly registry: Registry;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(registry: Registry) {
    this.registry = registry;
  }

  /** One series per wanted one, in order, when all of them and their epochs are known; otherwise null: use `register`. */
  known(wanted: readonly Wanted[]): Series[] | null {
    const found: Series[] = [];
    for (const { key, epoch } of wanted) {
      const series = this.registry.findText(seriesKeyText(key));
      if (series === undefined || !this.registry.knowsEpoch(series.id, epoch)) return null;
      found.push(series);
    }
    return found;
  }

  /** Registers what is new; durable when it resolves. `firstReceipt`: no receipt of their facts will be lower. */
  register(wanted: readonly Wanted[], firstReceipt: Receipt): Promise<Series[]> {
    const turn = this.tail.then(() => this.write(wanted, firstReceipt));
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  private async write(wanted: readonly Wanted[], firstReceipt: Receipt): Promise<Series[]> {
    const fresh = new Map<string, Wanted>();
    for (const one of wanted) {
      const text = seriesKeyText(one.key);
      if (this.registry.findText(text) === undefined) fresh.set(text, one);
    }
    const rows = [];
    for (const { key, width, lineBits, period, layer, epoch } of fresh.values()) {
      const witnessOf = await this.registry.witnessed(key, epoch);
      rows.push({ ...key, width, lineBits, period, layer, witnessOf, firstReceipt });
    }
    if (rows.length > 0) await this.registry.register(rows);
    const found = wanted.map(({ key }) => {
      const series = this.registry.findText(seriesKeyText(key));
      if (series === undefined) throw new Error(`series was registered and is not there: ${seriesKeyText(key)}`);
      return series;
    });
    const epochs = wanted.flatMap(({ epoch, epochText: text }, i) => {
      const series = (found[i] as Series).id;
      return this.registry.knowsEpoch(series, epoch) ? [] : [{ series, epoch, text }];
    });
    if (epochs.length > 0) await this.registry.registerEpochs(epochs);
    return found;
  }
}
