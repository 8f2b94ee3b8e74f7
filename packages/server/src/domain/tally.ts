/**
 * The pure reference of delta meters: what one event is worth to a meter, and how events add up. Numbers are read from
 * the event's JSON text exactly; SQL may take the same path faster, and must come to the same sums.
 */
import type { Receipt, StoredEvent } from './fact.ts';
import { JsonError, JsonNumber, type JsonValue, readJson } from './json-exact.ts';
import { type JsonPath, parsePath, pointerOf, textOf, valueAt } from './json-path.ts';
import type { Meter } from './meter.ts';
import { inRange, type Quantity, readQuantity, SCALE } from './quantity.ts';
import { Flag, State, type TallyRecord } from './record.ts';
import { type Instant, WINDOW_MS, windowStart } from './window.ts';

export interface ValueProblem {
  code: 'event.value_invalid';
  /** JSON pointer into the event. */
  pointer: string;
  message: string;
}

/** What the meter looks at in one event. */
type Content = Pick<StoredEvent, 'data' | 'receipt'>;

/** A meter with its paths read once. Throws RangeError for a path that is none: definitions are checked when they are made. */
export class MeterProgram {
  readonly meter: Meter;
  private readonly value: JsonPath;
  private readonly dimensions: readonly (readonly [string, JsonPath])[];
  private readonly filters: readonly { path: JsonPath; in: ReadonlySet<string> }[];
  private last: { receipt: Receipt; data: string; root: JsonValue } | null = null;

  constructor(meter: Meter) {
    this.meter = meter;
    this.value = path(meter.valuePath === '' ? '$' : meter.valuePath);
    this.dimensions = Object.entries(meter.groupBy).map(([name, text]) => [name, path(text)] as const);
    this.filters = meter.filters.map((f) => ({ path: path(f.path), in: new Set(f.in) }));
  }

  /** The event's dimensions, or null when a filter keeps it out. */
  dimensionsOf(event: Content): Record<string, string> | null {
    const root = this.rootOf(event);
    if (root === null)
      return this.filters.length > 0 ? null : Object.fromEntries(this.dimensions.map(([n]) => [n, '']));
    for (const filter of this.filters) if (!filter.in.has(textOf(valueAt(root, filter.path)))) return null;
    return Object.fromEntries(this.dimensions.map(([name, at]) => [name, textOf(valueAt(root, at))]));
  }

  /** The event's value, exactly; a number, or a text that holds one. A counting meter takes every event for one. */
  valueOf(event: Content): Quantity | ValueProblem {
    if (this.meter.valuePath === '' || this.meter.aggregation === 'count') return SCALE;
    const root = this.rootOf(event);
    const found = root === null ? undefined : valueAt(root, this.value);
    const text = found instanceof JsonNumber ? found.text : typeof found === 'string' ? found : null;
    if (text === null) return this.problem(found === undefined ? 'is missing' : 'is not a number');
    const value = readQuantity(text);
    if (typeof value === 'bigint') return value;
    return this.problem(
      value === 'quantity.syntax'
        ? 'is not a number'
        : value === 'quantity.precision'
          ? 'has more than 12 decimals'
          : 'is out of range',
    );
  }

  /** The value as a text, for meters that count distinct ones. */
  textOf(event: Content): string {
    const root = this.rootOf(event);
    return root === null ? '' : textOf(valueAt(root, this.value));
  }

  private problem(what: string): ValueProblem {
    const pointer = pointerOf(this.value, '/data');
    return { code: 'event.value_invalid', pointer, message: `${pointer} ${what}` };
  }

  /** Data that is no JSON holds no values. The last event's is kept: dimensions and value are asked one after the other. */
  private rootOf(event: Content): JsonValue | null {
    if (this.last !== null && this.last.receipt === event.receipt && this.last.data === event.data)
      return this.last.root;
    if (event.data === '') return null;
    try {
      const root = readJson(event.data);
      this.last = { receipt: event.receipt, data: event.data, root };
      return root;
    } catch (error) {
      if (error instanceof JsonError) return null;
      throw error;
    }
  }
}

export const compileMeter = (meter: Meter): MeterProgram => new MeterProgram(meter);

function path(text: string): JsonPath {
  const steps = parsePath(text);
  if (steps === null) throw new RangeError(`${text} is not a path`);
  return steps;
}

export interface TallyAmounts {
  sum: bigint;
  count: bigint;
  min: bigint | null;
  max: bigint | null;
  latest: bigint | null;
  latestAt: Instant;
}

/** Sums events; the order in which they come does not matter. */
export class Tally {
  private unreadable = 0;
  private sum = 0n;
  private count = 0n;
  private min: bigint | null = null;
  private max: bigint | null = null;
  private latest: bigint | null = null;
  private latestAt: Instant = 0;
  private latestReceipt: Receipt = 0;

  add(program: MeterProgram, event: Pick<StoredEvent, 'data' | 'receipt' | 't'>): void {
    if (program.meter.aggregation === 'unique') {
      this.count += 1n;
      return;
    }
    const value = program.valueOf(event);
    if (typeof value !== 'bigint') {
      this.unreadable++;
      return;
    }
    this.count += 1n;
    this.sum += value;
    if (this.min === null || value < this.min) this.min = value;
    if (this.max === null || value > this.max) this.max = value;
    // Of two events at one instant the later receipt is the latest.
    if (
      this.latest === null ||
      event.t > this.latestAt ||
      (event.t === this.latestAt && event.receipt > this.latestReceipt)
    ) {
      this.latest = value;
      this.latestAt = event.t;
      this.latestReceipt = event.receipt;
    }
  }

  /**
   * What keeps the window back: events whose value could not be read, and one more when the sum is beyond 38 digits.
   * That many digits are nobody's usage; written, they would fail the whole batch (law 6).
   */
  get invalid(): number {
    return this.unreadable + (inRange(this.sum) ? 0 : 1);
  }

  amounts(): TallyAmounts {
    const { count, min, max, latest, latestAt } = this;
    return { sum: inRange(this.sum) ? this.sum : 0n, count, min, max, latest, latestAt };
  }
}

export interface TallyGroups<Event> {
  /** Id of the series that the event's source, subject and dimensions make. */
  seriesOf(event: Event, dimensions: Readonly<Record<string, string>>): number;
  /** Instants inside a window at which the series changes its owner: they cut the window into parts. */
  breakpoints?(series: number, from: Instant, to: Instant): readonly Instant[];
}

/**
 * The records of a delta meter over events in any order, as far as the events alone can say: what is complete is for the
 * caller to judge. A window with a value that could not be read, or a sum beyond range, is quarantined. Void and undone
 * events are left out before.
 */
export function tallyRecords<Event extends Pick<StoredEvent, 'data' | 'receipt' | 't' | 'type'>>(
  meter: Meter,
  events: Iterable<Event>,
  groups: TallyGroups<Event>,
): { records: TallyRecord[]; problems: (ValueProblem & { receipt: Receipt })[] } {
  const program = compileMeter(meter);
  const cells = new Map<string, { series: number; window: Instant; part: number; tally: Tally }>();
  const problems: (ValueProblem & { receipt: Receipt })[] = [];
  for (const event of events) {
    const dimensions = event.type === meter.eventType ? program.dimensionsOf(event) : null;
    if (dimensions === null) continue;
    const series = groups.seriesOf(event, dimensions);
    const window = windowStart(event.t);
    let part = 0;
    for (const b of groups.breakpoints?.(series, window, window + WINDOW_MS) ?? []) {
      if (b > window && b <= event.t) part = Math.max(part, b - window);
    }
    const key = `${series}/${window}/${part}`;
    const cell = cells.get(key) ?? { series, window, part, tally: new Tally() };
    cells.set(key, cell);
    cell.tally.add(program, event);
    const value = meter.aggregation === 'unique' ? 0n : program.valueOf(event);
    if (typeof value !== 'bigint') problems.push({ ...value, receipt: event.receipt });
  }
  const records = [...cells.values()].map(({ tally, ...key }): TallyRecord => {
    const bad = tally.invalid > 0;
    const [flags, state] = bad ? [Flag.setAside, State.quarantined] : [0, State.known];
    return { ...key, ...tally.amounts(), flags, state, isVoid: false };
  });
  records.sort((a, b) => a.series - b.series || a.window - b.window || a.part - b.part);
  return { records, problems };
}
