/**
 * CloudEvents 1.0 to columns: structured and batch bodies by the scanner, binary mode from headers. Broken JSON is an
 * error of the whole body (JsonError); what is wrong with one event rejects that event only.
 */
import { limits as protocol } from '@tollgate/event';
import { Problem } from '../errors.ts';
import { Range } from '../store/usage-store.ts';
import type { EventColumns } from './columns.ts';
import { readInstant } from './instant.ts';
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
  wholeValue,
} from './scan.ts';

export interface EventLimits {
  itemsPerRequest: number;
  attributeBytes: number;
  dataBytes: number;
  depth: number;
}

/** What an attribute's name stands for: the column, or one of the words below. */
const Name = { ...Range, time: 16, specversion: 17, data64: 18, other: 19 } as const;

const nameBytes = ['source', 'id', 'type', 'subject', 'data', 'time', 'specversion', 'data_base64'].map((name) => ({
  name,
  bytes: Buffer.from(name),
}));
const nameCode: Record<string, number> = {
  source: Name.source,
  id: Name.id,
  type: Name.type,
  subject: Name.subject,
  data: Name.data,
  time: Name.time,
  specversion: Name.specversion,
  data_base64: Name.data64,
};
const columnName = (code: number): string => nameBytes.find(({ name }) => nameCode[name] === code)?.name ?? '';

function same(b: Buffer, start: number, want: Buffer): boolean {
  for (let k = 0; k < want.length; k++) if (b[start + k] !== want[k]) return false;
  return true;
}
const [SOURCE, ID, TYPE, SUBJECT, DATA, TIME, SPECVERSION, DATA64] = nameBytes.map((n) => n.bytes) as [
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
];

/** By length first: one comparison for every name that occurs in practice. */
function nameAt(b: Buffer, start: number, end: number): number {
  switch (end - start) {
    case 2:
      return same(b, start, ID) ? Name.id : Name.other;
    case 4:
      if (same(b, start, TYPE)) return Name.type;
      if (same(b, start, TIME)) return Name.time;
      return same(b, start, DATA) ? Name.data : Name.other;
    case 6:
      return same(b, start, SOURCE) ? Name.source : Name.other;
    case 7:
      return same(b, start, SUBJECT) ? Name.subject : Name.other;
    case 11:
      if (same(b, start, SPECVERSION)) return Name.specversion;
      return same(b, start, DATA64) ? Name.data64 : Name.other;
    default:
      return Name.other;
  }
}

const word = (text: string): number => Buffer.from(text).readInt32LE(0);
const [ID__, TYPE_, TIME_, DATA_] = [word('id":'), word('type'), word('time'), word('data')];
const [SOUR, CE__, SUBJ, ECT_] = [word('sour'), word('ce":'), word('subj'), word('ect"')];
const [SPEC, VERS, ION_, QUOTE_COLON] = [word('spec'), word('vers'), word('ion"'), 0x3a22];

/** The value's place when the name at `i` is one of ours, written without escape and directly before its colon; else 0. */
let knownValue = 0;
function knownName(four: DataView, i: number): number {
  knownValue = 0;
  switch (four.getInt32(i, true)) {
    case ID__:
      knownValue = i + 4;
      return Name.id;
    case TYPE_:
    case TIME_:
    case DATA_: {
      if (four.getUint16(i + 4, true) !== QUOTE_COLON) return Name.other;
      knownValue = i + 6;
      const first = four.getInt32(i, true);
      return first === TYPE_ ? Name.type : first === TIME_ ? Name.time : Name.data;
    }
    case SOUR:
      if (four.getInt32(i + 4, true) !== CE__) return Name.other;
      knownValue = i + 8;
      return Name.source;
    case SUBJ:
      if (four.getInt32(i + 4, true) !== ECT_ || four.getUint8(i + 8) !== 0x3a) return Name.other;
      knownValue = i + 9;
      return Name.subject;
    case SPEC:
      if (four.getInt32(i + 4, true) !== VERS || four.getInt32(i + 8, true) !== ION_) return Name.other;
      if (four.getUint8(i + 12) !== 0x3a) return Name.other;
      knownValue = i + 13;
      return Name.specversion;
    default:
      return Name.other;
  }
}
/** Bytes that knownName may look at behind the first. */
const NAME_REACH = 14;

const isNull = (b: Buffer, start: number, end: number): boolean => end - start === 4 && b[start] === 0x6e;

/** Half of a surrogate pair, standing alone. */
const LONE = /\p{Surrogate}/u;

/** JSON.stringify writes a half that stands alone as an escape, and whole pairs not: look for the escape. */
const holdsHalfPair = (json: string): boolean => /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(JSON.stringify(JSON.parse(json)));

/** C0, DEL, C1, noncharacters and lone surrogates: what CloudEvents forbids in a string. */
const forbidden = (text: string): boolean => {
  if (LONE.test(text)) return true;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0xfdd0 && c <= 0xfdef)) return true;
    if ((c & 0xfffe) === 0xfffe) return true;
    // The last two code points of every plane, as surrogate pairs.
    if (c >= 0xd800 && c < 0xdc00 && (c & 0x3f) === 0x3f && (text.charCodeAt(i + 1) & 0x3fe) === 0x3fe) return true;
  }
  return false;
};

/**
 * A text attribute whose bytes lie at [start, end) with escapes or high bytes: escapes are resolved in place (they only
 * ever shrink), so that everything after works on plain UTF-8. Returns the new end, -1 when a character is forbidden.
 */
function cleanText(b: Buffer, start: number, end: number): number {
  const text = stringAt(b, start, end);
  return forbidden(text) ? -1 : start + b.write(text, start, 'utf8');
}

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

/** Milliseconds of the event's time as sent; NaN when it has none. One event at a time is scanned, so one variable does. */
let timeSent = Number.NaN;
let versionSeen = false;

/** A string member at `i`; fills its column. Returns the byte after it. */
function attribute(cols: EventColumns, p: number, code: number, i: number, most: number): number {
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
    cols.plain[p] = 0;
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

function dataMember(cols: EventColumns, p: number, i: number, limits: EventLimits): number {
  resetNotes();
  const after = skipValue(cols.bytes, i);
  takeData(cols, p, i, after, limits);
  return after;
}

/** Data at [start, end), just skipped with fresh notes. */
function takeData(cols: EventColumns, p: number, start: number, end: number, limits: EventLimits): void {
  const met = notesMet();
  if ((met & Note.escape) !== 0) cols.plain[p] = 0;
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

/** One event whose opening brace is at `from`; returns the byte after it. */
function scanEvent(cols: EventColumns, from: number, limits: EventLimits): number {
  const b = cols.bytes;
  const n = b.length;
  const four = viewOf(b);
  const p = cols.push();
  let seen = 0;
  timeSent = Number.NaN;
  versionSeen = false;
  others.length = 0;
  let i = skipSpace(b, from + 1);
  if (i < n && b[i] === 0x7d) i++;
  else
    for (;;) {
      if (i >= n || b[i] !== 0x22) throw unexpected(b, i);
      const keyStart = i + 1;
      let keyEnd = keyStart;
      let code: number = keyStart + NAME_REACH < n ? knownName(four, keyStart) : Name.other;
      if (code !== Name.other) i = skipSpace(b, knownValue);
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
  cols.sourceTime[p] = timeSent;
  complete(cols, p);
  return i;
}

/** A name with escapes: resolved in place like an attribute's text; one that cannot be is no name of ours. */
function unescapeKey(b: Buffer, start: number, end: number): number {
  const text = stringAt(b, start, end);
  return LONE.test(text) ? end : start + b.write(text, start, 'utf8');
}

function complete(cols: EventColumns, p: number): void {
  if (!versionSeen) cols.reject(p, 'event.missing_attribute', 'specversion', 'specversion is missing.');
  const at = p * Range.width;
  if (cols.ranges[at + Range.id + 1] === 0) cols.reject(p, 'event.missing_attribute', 'id', 'id is missing.');
  if (cols.ranges[at + Range.source + 1] === 0)
    cols.reject(p, 'event.missing_attribute', 'source', 'source is missing.');
  if (cols.ranges[at + Range.type + 1] === 0) cols.reject(p, 'event.missing_attribute', 'type', 'type is missing.');
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
  cols.sourceTime[p] = Number.NaN;
  cols.reject(p, 'event.not_object');
  return after;
}

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A header value by the HTTP binding of CloudEvents: percent-encoded UTF-8, perhaps in double quotes. Null: not decodable. */
const headerText = (value: string): string | null => {
  const plain = /^"(.*)"$/s.exec(value.trim())?.[1]?.replace(/\\(.)/gs, '$1') ?? value.trim();
  try {
    return decodeURIComponent(plain.replace(/%(?![0-9A-Fa-f]{2})/g, '%25'));
  } catch {
    return null;
  }
};

const jsonType = (type: string): boolean => /^[^;]*[/+]json\s*(;|$)/i.test(type);

/** Binary mode: attributes in `ce-` headers, the body is the data. Throws JsonError when a JSON body is broken. */
export function binaryEvent(cols: EventColumns, headers: Headers, limits: EventLimits): void {
  const body = cols.bytes;
  cols.single = true;
  const p = cols.push();
  const parts: Buffer[] = [body];
  let at = body.length;
  timeSent = Number.NaN;
  versionSeen = false;
  const given: [number, Buffer][] = [];
  for (const { name } of nameBytes) {
    const raw = headers[`ce-${name}`];
    if (raw === undefined || name === 'data' || name === 'data_base64') continue;
    const text = typeof raw === 'string' ? headerText(raw) : null;
    if (text === null) cols.reject(p, 'event.bad_attribute', name, `The header ce-${name} cannot be decoded.`);
    // Written as a JSON string, so that one piece of code checks attributes of every mode.
    else given.push([nameCode[name] as number, Buffer.from(JSON.stringify(text))]);
  }
  for (const [, text] of given) parts.push(text);
  cols.bytes = Buffer.concat(parts);
  for (const [code, text] of given) {
    attribute(cols, p, code, at, limits.attributeBytes);
    at += text.length;
  }
  binaryData(cols, p, body, String(headers['content-type'] ?? ''), limits);
  cols.sourceTime[p] = timeSent;
  complete(cols, p);
}

function binaryData(cols: EventColumns, p: number, body: Buffer, type: string, limits: EventLimits): void {
  if (body.length === 0) return;
  if (type !== '' && !jsonType(type)) {
    cols.reject(p, 'event.bad_data', 'data', `The data must be JSON; ${type} is not read.`);
    return;
  }
  resetNotes();
  const [start, end] = wholeValue(body);
  takeData(cols, p, start, end, limits);
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
