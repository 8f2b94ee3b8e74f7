/**
 * CloudEvents 1.0 to columns: structured and batch bodies by the scanner, binary mode from headers. Broken JSON is an
 * error of the whole body (JsonError); what is wrong with one event rejects that event only.
 */
import { limits as protocol } from '@tollgate/event';
import { Problem } from '../errors.ts';
import { columnName, knownName, NAME_REACH, Name, nameAt, valueOfKnown } from './attribute-names.ts';
import { binaryEvent, type Headers } from './binary-mode.ts';
import type { EventColumns } from './columns.ts';
import { attribute, beginEvent, dataMember, type EventLimits, endEvent, isNull } from './event-parts.ts';
import {
  checkUtf8,
  deepestMet,
  JsonError,
  Note,
  notesMet,
  resetNotes,
  skipSpace,
  skipString,
  skipValue,
  stringAt,
  unexpected,
  viewOf,
} from './scan.ts';
import { LONE } from './text-rules.ts';

export type { Headers } from './binary-mode.ts';
export type { EventLimits } from './event-parts.ts';

/** Names of attributes that are not ours: only kept to see that none comes twice. */
const others: number[] = [];
const OTHERS_MAX = 64;

function repeats(b: Buffer, start: number, end: number): boolean {
  for (let k = 0; k < others.length; k += 2) {
    const from = others[k] as number;
    if ((others[k + 1] as number) - from === end - start && b.compare(b, from, from + end - start, start, end) === 0)
      return true;
  }
  return false;
}

function otherAttribute(cols: EventColumns, p: number, keyStart: number, keyEnd: number): void {
  const b = cols.bytes;
  if (repeats(b, keyStart, keyEnd))
    cols.reject(p, 'event.bad_attribute', '', `The attribute ${b.toString('utf8', keyStart, keyEnd)} occurs twice.`);
  if (others.length >= OTHERS_MAX * 2) cols.reject(p, 'event.bad_attribute', '', 'The event has too many attributes.');
  else others.push(keyStart, keyEnd);
}

/** One event whose opening brace is at `from`; returns the byte after it. */
function scanEvent(cols: EventColumns, from: number, limits: EventLimits): number {
  const b = cols.bytes;
  const n = b.length;
  const four = viewOf(b);
  const p = beginEvent(cols);
  let seen = 0;
  others.length = 0;
  let i = skipSpace(b, from + 1);
  if (i < n && b[i] === 0x7d) i++;
  else
    for (;;) {
      if (i >= n || b[i] !== 0x22) throw unexpected(b, i);
      const keyStart = i + 1;
      let keyEnd = keyStart;
      let code: number = keyStart + NAME_REACH < n ? knownName(four, keyStart) : Name.other;
      if (code !== Name.other) i = skipSpace(b, valueOfKnown());
      else {
        resetNotes();
        keyEnd = skipString(b, i) - 1;
        const escaped = (notesMet() & Note.escape) !== 0;
        const next = skipSpace(b, keyEnd + 1);
        if (escaped) keyEnd = unescapeKey(b, keyStart, keyEnd);
        code = nameAt(b, keyStart, keyEnd);
        if (next >= n || b[next] !== 0x3a) throw unexpected(b, next);
        i = skipSpace(b, next + 1);
      }
      if (code === Name.other) {
        otherAttribute(cols, p, keyStart, keyEnd);
        i = skipValue(b, i);
        if (deepestMet() >= limits.depth) cols.reject(p, 'event.too_deep');
      } else {
        if ((seen & (1 << code)) !== 0)
          cols.reject(p, 'event.bad_attribute', columnName(code), 'The attribute occurs twice.');
        seen |= 1 << code;
        if (code === Name.data) i = dataMember(cols, p, i, limits);
        else if (code === Name.data64) {
          const after = skipValue(b, i);
          if (!isNull(b, i, after))
            cols.reject(p, 'event.bad_data', 'data_base64', 'The data must be JSON; data_base64 is not read.');
          i = after;
        } else i = attribute(cols, p, code, i, limits.attributeBytes);
      }
      i = skipSpace(b, i);
      const c = i < n ? (b[i] as number) : 0;
      i++;
      if (c === 0x7d) break;
      if (c !== 0x2c) throw unexpected(b, i - 1);
      i = skipSpace(b, i);
    }
  endEvent(cols, p);
  return i;
}

/** A name with escapes: resolved in place like an attribute's text; one that cannot be is no name of ours. */
function unescapeKey(b: Buffer, start: number, end: number): number {
  const text = stringAt(b, start, end);
  return LONE.test(text) ? end : start + b.write(text, start, 'utf8');
}

/** An array of events, or one event, whichever the body is. Throws JsonError, or Problem when there are too many. */
export function scanEvents(cols: EventColumns, limits: EventLimits): void {
  const b = cols.bytes;
  checkUtf8(b);
  let i = skipSpace(b, 0);
  if (i < b.length && b[i] === 0x5b) {
    i = skipSpace(b, i + 1);
    if (i < b.length && b[i] === 0x5d) i++;
    else
      for (;;) {
        i = skipSpace(b, scanElement(cols, i, limits));
        const c = i < b.length ? (b[i] as number) : 0;
        i++;
        if (c === 0x5d) break;
        if (c !== 0x2c) throw unexpected(b, i - 1);
        i = skipSpace(b, i);
      }
  } else {
    cols.single = true;
    i = scanElement(cols, i, limits);
  }
  i = skipSpace(b, i);
  if (i < b.length) throw unexpected(b, i);
}

function scanElement(cols: EventColumns, i: number, limits: EventLimits): number {
  if (cols.count >= limits.itemsPerRequest)
    throw new Problem('request.too_many', `At most ${limits.itemsPerRequest} events fit in one request.`);
  if (i < cols.bytes.length && cols.bytes[i] === 0x7b) return scanEvent(cols, i, limits);
  const after = skipValue(cols.bytes, i);
  const p = cols.push();

  cols.reject(p, 'event.not_object');
  return after;
}

export type Mode = 'structured' | 'batch' | 'binary';

/** The mode a request is in by its headers; null: its content type is not one of ours. */
export const modeOf = (headers: Headers): Mode | null => {
  const type = String(headers['content-type'] ?? '')
    .toLowerCase()
    .split(';')[0]
    ?.trim();
  if (type === 'application/cloudevents+json') return 'structured';
  if (type === 'application/cloudevents-batch+json') return 'batch';
  if (headers['ce-specversion'] !== undefined || headers['ce-id'] !== undefined) return 'binary';
  return type === 'application/json' ? 'batch' : null;
};

export const defaultEventLimits: EventLimits = protocol;

/** Fills the columns from a body in the given mode. Throws Problem: nothing of the body is accepted. */
export function readEvents(cols: EventColumns, mode: Mode, headers: Headers, limits: EventLimits): void {
  try {
    if (mode === 'binary') binaryEvent(cols, headers, limits);
    else scanEvents(cols, limits);
  } catch (error) {
    if (error instanceof JsonError)
      throw new Problem('request.malformed_json', `The body is not JSON: ${error.message}.`, {
        position: error.offset,
      });
    throw error;
  }
}
