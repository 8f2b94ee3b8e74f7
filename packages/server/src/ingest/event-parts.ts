/** The parts of one event, whichever mode it comes in: attributes and data go to their columns, faults are told. */
import { Range } from '../store/usage-store.ts';
import { columnName, Name } from './attribute-names.ts';
import type { EventColumns } from './columns.ts';
import { readInstant } from './instant.ts';
import { deepestMet, Note, notesMet, resetNotes, skipString, skipValue, stringAt } from './scan.ts';
import { forbidden, holdsHalfPair } from './text-rules.ts';

export interface EventLimits {
  itemsPerRequest: number;
  attributeBytes: number;
  dataBytes: number;
  depth: number;
}

export const isNull = (b: Buffer, start: number, end: number): boolean => end - start === 4 && b[start] === 0x6e;

/**
 * A text attribute whose bytes lie at [start, end) with escapes or high bytes: escapes are resolved in place (they only
 * ever shrink), so that everything after works on plain UTF-8. Returns the new end, -1 when a character is forbidden.
 */
function cleanText(b: Buffer, start: number, end: number): number {
  const text = stringAt(b, start, end);
  return forbidden(text) ? -1 : start + b.write(text, start, 'utf8');
}

/** Milliseconds of the event's time as sent; NaN when it has none. One event at a time is scanned, so one variable does. */
let timeSent = Number.NaN;
let versionSeen = false;

/** Begins a row: whatever comes next belongs to it. */
export function beginEvent(cols: EventColumns): number {
  timeSent = Number.NaN;
  versionSeen = false;
  return cols.push();
}

/** A string member at `i`; fills its column. Returns the byte after it. */
export function attribute(cols: EventColumns, p: number, code: number, i: number, most: number): number {
  const b = cols.bytes;
  if (i >= b.length || b[i] !== 0x22) {
    const after = skipValue(b, i);
    if (!isNull(b, i, after))
      cols.reject(p, 'event.bad_attribute', columnName(code), 'The attribute must be a string.');
    return after;
  }
  resetNotes();
  const after = skipString(b, i);
  let end = after - 1;
  if (notesMet() !== 0) {
    end = cleanText(b, i + 1, end);
    if (end < 0) {
      cols.reject(
        p,
        'event.bad_attribute',
        columnName(code),
        'The attribute holds a control character or half a pair.',
      );
      return after;
    }
  }
  if (code === Name.time) {
    timeSent = readInstant(b, i + 1, end);
    if (Number.isNaN(timeSent)) cols.reject(p, 'event.bad_time', 'time');
  } else if (code === Name.specversion) {
    versionSeen = true;
    if (end - i - 1 !== 3 || b[i + 1] !== 0x31 || b[i + 2] !== 0x2e || b[i + 3] !== 0x30)
      cols.reject(p, 'event.spec_version', 'specversion');
  } else {
    const length = end - i - 1;
    if (length === 0 || length > most)
      cols.reject(p, 'event.bad_attribute', columnName(code), `The attribute must have 1 to ${most} bytes.`);
    cols.ranges[p * Range.width + code] = i + 1;
    cols.ranges[p * Range.width + code + 1] = end;
  }
  return after;
}

export function dataMember(cols: EventColumns, p: number, i: number, limits: EventLimits): number {
  resetNotes();
  const after = skipValue(cols.bytes, i);
  takeData(cols, p, i, after, limits);
  return after;
}

/** Data at [start, end), just skipped with fresh notes. */
export function takeData(cols: EventColumns, p: number, start: number, end: number, limits: EventLimits): void {
  const met = notesMet();
  if (deepestMet() >= limits.depth) cols.reject(p, 'event.too_deep', 'data');
  if (end - start > limits.dataBytes) cols.reject(p, 'event.too_large', 'data');
  // Readers differ on what these say, so the figure could depend on who reads.
  if ((met & Note.repeatedName) !== 0)
    cols.reject(p, 'event.bad_data', 'data', 'A name occurs twice in one object of the data.');
  if ((met & Note.surrogate) !== 0 && holdsHalfPair(cols.bytes.toString('utf8', start, end)))
    cols.reject(p, 'event.bad_data', 'data', 'The data holds half of a surrogate pair.');
  if (isNull(cols.bytes, start, end)) return;
  cols.ranges[p * Range.width + Range.data] = start;
  cols.ranges[p * Range.width + Range.data + 1] = end;
}

/** Ends a row: what it must have and has not. */
export function endEvent(cols: EventColumns, p: number): void {
  cols.sourceTime[p] = timeSent;
  if (!versionSeen) cols.reject(p, 'event.missing_attribute', 'specversion', 'specversion is missing.');
  const at = p * Range.width;
  if (cols.ranges[at + Range.id + 1] === 0) cols.reject(p, 'event.missing_attribute', 'id', 'id is missing.');
  if (cols.ranges[at + Range.source + 1] === 0)
    cols.reject(p, 'event.missing_attribute', 'source', 'source is missing.');
  if (cols.ranges[at + Range.type + 1] === 0) cols.reject(p, 'event.missing_attribute', 'type', 'type is missing.');
}
