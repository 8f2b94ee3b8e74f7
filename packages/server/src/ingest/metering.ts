/**
 * What the known meters ask of an event, checked when it comes: a value that cannot be kept exactly is refused by name
 * instead of failing the job later. Meters made afterwards cover the past too, so this is a courtesy and not a guarantee:
 * the job judges every event again.
 */
import { counterMax, limits } from '@tollgate/event';
import { type JsonPath, parsePath, pointerOf } from '../domain/json-path.ts';
import type { Meter } from '../domain/meter.ts';
import { type Quantity, SCALE } from '../domain/quantity.ts';
import { dimensionText, type SeriesKey } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import { Range } from '../store/usage-store.ts';
import type { EventColumns } from './columns.ts';
import { epochNumber } from './epoch.ts';
import { readInstant } from './instant.ts';
import { found, isPlainInteger, pick, quantityAt, textAt } from './values.ts';

/** What ingest needs of the book of control facts. */
export interface BookView {
  /** Receipt of the last fact: meters are looked up again when it has moved. */
  readonly at: number;
  /** Newest versions, deleted ones left out. */
  meters(): Iterable<Meter>;
  meter(key: string): Meter | undefined;
}

interface Compiled {
  meter: Meter;
  value: JsonPath | null;
  numeric: boolean;
  counter: boolean;
  /** Somebody wants to know what its events are worth; readings are told in any case. */
  watched: boolean;
  epoch: JsonPath | null;
  start: JsonPath | null;
  dimensions: [name: string, path: JsonPath][];
  filters: { path: JsonPath; passes: ReadonlySet<string> }[];
}

const compile = (meter: Meter, watched: boolean): Compiled => ({
  meter,
  value: meter.valuePath === '' ? null : parsePath(meter.valuePath),
  numeric: meter.aggregation !== 'count' && meter.aggregation !== 'unique',
  counter: meter.kind === 'cumulative',
  watched,
  epoch: meter.epochPath === '' ? null : parsePath(meter.epochPath),
  start: meter.startPath === '' ? null : parsePath(meter.startPath),
  dimensions: Object.entries(meter.groupBy).flatMap(([name, text]) => {
    const path = parsePath(text);
    return path === null ? [] : [[name, path]];
  }),
  filters: meter.filters.flatMap(({ path: text, in: values }) => {
    const path = parsePath(text);
    return path === null ? [] : [{ path, passes: new Set(values) }];
  }),
});

/** A reading that an event of a cumulative meter's type brings. */
export interface EventReading {
  position: number;
  key: SeriesKey;
  value: bigint;
  epochText: string;
  epoch: number;
  start: Instant;
  inexact: boolean;
}

/** What an event is worth to a watched meter. */
export interface FoundWorth {
  position: number;
  meter: string;
  dimensions: Readonly<Record<string, string>>;
  value: Quantity | null;
}

const COUNTER_MAX_TEXT = counterMax.toString();
/** Floats are exact up to here; one above it may be off by one or more. */
const FLOAT_EXACT = 2n ** 53n;

export class Metering {
  private at = -1;
  private byType = new Map<string, readonly Compiled[]>();
  private lastType: Buffer = Buffer.alloc(0);
  private lastMeters: readonly Compiled[] = NONE;

  /** Looks the meters up again if the book has moved. */
  follow(book: BookView, watched: () => ReadonlySet<string>): void {
    if (book.at === this.at) return;
    const wanted = watched();
    const byType = new Map<string, Compiled[]>();
    for (const meter of book.meters()) {
      if (meter.eventType === '' || meter.deleted) continue;
      const list = byType.get(meter.eventType);
      const compiled = compile(meter, wanted.has(meter.key));
      if (list === undefined) byType.set(meter.eventType, [compiled]);
      else list.push(compiled);
    }
    this.byType = byType;
    this.at = book.at;
    this.lastType = Buffer.alloc(0);
    this.lastMeters = NONE;
  }

  /** Checks the event at `p` against the meters of its type, rejecting it or adding what it brings. */
  check(cols: EventColumns, p: number, readings: EventReading[], worths: FoundWorth[]): void {
    const meters = this.metersOf(cols, p);
    if (meters.length === 0) return;
    const at = p * Range.width + Range.data;
    const start = cols.ranges[at] as number;
    const end = cols.ranges[at + 1] as number;
    let asked = false;
    let fed = false;
    for (const compiled of meters) {
      if (!passes(cols.bytes, start, end, compiled)) continue;
      asked = true;
      if (compiled.counter) {
        const reading = counterReading(cols, p, compiled);
        if (reading === null) return;
        readings.push(reading);
        fed = true;
      } else if (compiled.value === null) fed = true;
      else if (pick(cols.bytes, start, end, compiled.value)) {
        fed = true;
        if (compiled.numeric && !isPlainInteger(cols.bytes, found.start, found.end)) checkQuantity(cols, p, compiled);
      }
      if (compiled.watched && !compiled.counter) addWorth(cols, p, compiled, worths);
    }
    if (asked && !fed) {
      const path = meters.find((m) => m.value !== null)?.value ?? [];
      cols.reject(p, 'event.bad_data', `data${pointerOf(path)}`, 'The data has no value for any meter of this type.');
    }
  }

  /** Consecutive events mostly have one type: its bytes are compared before anything is looked up. */
  private metersOf(cols: EventColumns, p: number): readonly Compiled[] {
    const at = p * Range.width + Range.type;
    const start = cols.ranges[at] as number;
    const end = cols.ranges[at + 1] as number;
    const last = this.lastType;
    if (end - start === last.length) {
      let i = 0;
      while (i < last.length && cols.bytes[start + i] === last[i]) i++;
      if (i === last.length) return this.lastMeters;
    }
    this.lastType = Buffer.from(cols.bytes.subarray(start, end));
    this.lastMeters = this.byType.get(cols.bytes.toString('utf8', start, end)) ?? NONE;
    return this.lastMeters;
  }
}

const NONE: readonly Compiled[] = [];

function passes(b: Buffer, start: number, end: number, { filters }: Compiled): boolean {
  for (const { path, passes: texts } of filters)
    if (!texts.has(pick(b, start, end, path) ? textAt(b, found.start, found.end) : '')) return false;
  return true;
}

/** Most values are a few plain digits: read without a text and a pattern. */
function quantityOf(b: Buffer, start: number, end: number): ReturnType<typeof quantityAt> {
  if (end - start > 15 || b[start] === 0x2d || !isPlainInteger(b, start, end)) return quantityAt(b, start, end);
  let n = 0;
  for (let i = start; i < end; i++) n = n * 10 + (b[i] as number) - 0x30;
  return BigInt(n) * SCALE;
}

/** Data without a value adds nothing. */
function addWorth(cols: EventColumns, p: number, compiled: Compiled, worths: FoundWorth[]): void {
  const { meter, value: path } = compiled;
  const at = p * Range.width + Range.data;
  const start = cols.ranges[at] as number;
  const end = cols.ranges[at + 1] as number;
  const text = (of: JsonPath): string =>
    pick(cols.bytes, start, end, of) ? textAt(cols.bytes, found.start, found.end) : '';
  let value: Quantity | null = null;
  if (meter.kind === 'delta' && (meter.aggregation === 'count' || (path === null && meter.aggregation === 'sum')))
    value = SCALE;
  else if (path !== null && !pick(cols.bytes, start, end, path)) return;
  else if (path !== null && meter.kind === 'delta' && meter.aggregation === 'sum') {
    const read = quantityOf(cols.bytes, found.start, found.end);
    if (typeof read !== 'bigint') return;
    value = read;
  }
  const dimensions: Record<string, string> = {};
  for (const [name, of] of compiled.dimensions) dimensions[name] = dimensionText(text(of));
  worths.push({ position: p, meter: meter.key, dimensions, value });
}

function checkQuantity(cols: EventColumns, p: number, { value, meter }: Compiled): void {
  const b = cols.bytes;
  const field = `data${pointerOf(value ?? [])}`;
  const c = b[found.start] as number;
  const isNumber = c === 0x22 || c === 0x2d || (c >= 0x30 && c <= 0x39);
  const quantity = isNumber ? quantityAt(b, found.start, found.end) : 'quantity.syntax';
  if (quantity === 'quantity.syntax')
    cols.reject(p, 'event.bad_data', field, `The meter ${meter.key} asks for a number here.`);
  else if (quantity === 'quantity.precision')
    cols.reject(p, 'event.number', field, 'The value has more than 12 decimals.');
  else if (quantity === 'quantity.range')
    cols.reject(p, 'event.number', field, 'The value has more than 26 digits before the point.');
}

/** Digits of a counter value, exactly; or null. Floats above 2^53 are taken with a stamp that says so. */
export function counterValue(text: string): { value: bigint; inexact: boolean } | null {
  if (/^(0|[1-9]\d{0,19})$/.test(text)) {
    const fits = text.length < COUNTER_MAX_TEXT.length || text <= COUNTER_MAX_TEXT;
    return fits ? { value: BigInt(text), inexact: false } : null;
  }
  const match = /^(\d{1,20})(?:\.(\d{1,40}))?(?:[eE]\+?(\d{1,2}))?$/.exec(text);
  if (match === null) return null;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const zeros = Number(exponent);
  if (/[1-9]/.test(fraction.slice(zeros))) return null;
  const value = BigInt(whole + fraction.slice(0, zeros).padEnd(zeros, '0'));
  return value > counterMax ? null : { value, inexact: value > FLOAT_EXACT };
}

function counterReading(cols: EventColumns, p: number, compiled: Compiled): EventReading | null {
  const b = cols.bytes;
  const at = p * Range.width + Range.data;
  const start = cols.ranges[at] as number;
  const end = cols.ranges[at + 1] as number;
  const text = (path: JsonPath | null): string =>
    path !== null && pick(b, start, end, path) ? textAt(b, found.start, found.end) : '';
  const refuse = (path: JsonPath | null, message: string): null => {
    cols.reject(p, 'event.bad_data', `data${pointerOf(path ?? [])}`, message);
    return null;
  };
  const resource = cols.text(p, Range.subject);
  if (resource === '') {
    cols.reject(p, 'event.missing_attribute', 'subject', 'subject is missing: it names what the counter measures.');
    return null;
  }
  const counted = counterValue(text(compiled.value));
  if (counted === null) return refuse(compiled.value, 'A counter is a whole number from 0 to 18446744073709551615.');
  const epochText = text(compiled.epoch);
  if (Buffer.byteLength(epochText) > limits.attributeBytes) return refuse(compiled.epoch, 'The epoch is too long.');
  const began = text(compiled.start);
  const zero = began === '' ? 0 : instantOf(began);
  if (!Number.isFinite(zero)) return refuse(compiled.start, 'The start of the counter is not a time.');
  const dimensions: Record<string, string> = {};
  for (const [name, path] of compiled.dimensions) {
    const value = text(path);
    if (Buffer.byteLength(value) > limits.dimensionBytes) return refuse(path, 'A dimension is longer than 256 bytes.');
    if (value.includes('\0')) return refuse(path, 'A dimension holds a NUL character.');
    dimensions[name] = value;
  }
  const key = {
    tenant: cols.tenant,
    source: cols.text(p, Range.source),
    resource,
    meter: compiled.meter.key,
    dimensions,
  };
  return { position: p, key, ...counted, epochText, epoch: epochNumber(epochText), start: zero };
}

/** The last instant the stores can hold, exclusive: 2^32 seconds. */
export const INSTANT_END = 2 ** 32 * 1000;

/** Milliseconds as digits, or RFC 3339. NaN: neither, or outside of what can be kept. */
export function instantOf(value: unknown): Instant {
  let t = Number.NaN;
  if (typeof value === 'number') t = Number.isInteger(value) ? value : Number.NaN;
  else if (typeof value === 'string' && /^\d{1,15}$/.test(value)) t = Number(value);
  else if (typeof value === 'string') {
    const b = Buffer.from(value, 'utf8');
    t = readInstant(b, 0, b.length);
  }
  return t >= 0 && t < INSTANT_END ? t : Number.NaN;
}
