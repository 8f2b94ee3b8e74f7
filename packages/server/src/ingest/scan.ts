/**
 * A strict JSON scanner over bytes. It finds where values begin and end without building them, so that an event's data
 * stays the text that was sent: numbers are lossless by construction. It accepts exactly what JSON.parse accepts
 * (scan.test.ts fuzzes both) and also notes, on the side, what the store's encoder would have to escape.
 *
 * Tried first: JSON.parse. It rounds numbers above 2^53, and its objects have to be made text again for the hashes and
 * the store. Measured on events of 312 bytes, per event: JSON.parse alone 0.75 us; this, with attributes checked, 0.6.
 * Notes are module variables and not results, because a string or value is skipped millions of times a second and an
 * object for each would be most of the cost.
 */
import { isUtf8 } from 'node:buffer';

/** The body is not JSON: `offset` is the byte where reading stopped. */
export class JsonError extends Error {
  readonly offset: number;
  constructor(offset: number, what: string) {
    super(`${what} at byte ${offset}`);
    this.offset = offset;
  }
}

/**
 * What was met since `resetNotes`: an escape or a byte below 0x20 (1), a byte of 0x7f or above (2), a name twice in one
 * object (4, told by skipValue only), an escaped half of a surrogate pair, perhaps with its other half (8). JSON.parse
 * takes the last two; readers differ on them, so callers may want to refuse them.
 */
let notes = 0;
/** Deepest nesting met by the last skipValue. */
let deepest = 0;
export const Note = { escape: 1, high: 2, repeatedName: 4, surrogate: 8 } as const;
export const resetNotes = (): void => {
  notes = 0;
};
export const notesMet = (): number => notes;
export const deepestMet = (): number => deepest;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

const describe = (b: Buffer, i: number): string => {
  if (i >= b.length) return 'unexpected end';
  const c = b[i] as number;
  return c > 0x20 && c < 0x7f ? `unexpected "${String.fromCharCode(c)}"` : `unexpected byte 0x${c.toString(16)}`;
};
export const unexpected = (b: Buffer, i: number): JsonError => new JsonError(Math.min(i, b.length), describe(b, i));

/** First byte at or after `from` that is not white space. Mostly there is none: the first look is all it takes. */
export function skipSpace(b: Buffer, from: number): number {
  return from < b.length && (b[from] as number) > 0x20 ? from : skipSpaces(b, from);
}
function skipSpaces(b: Buffer, from: number): number {
  let i = from;
  const n = b.length;
  while (i < n) {
    const c = b[i] as number;
    if (c > 0x20) return i;
    if (c !== 0x20) {
      if (c !== 0x0a && c !== 0x0d && c !== 0x09) return i;
      notes |= Note.escape;
    }
    i++;
  }
  return i;
}

const isHex = (c: number): boolean => (c >= 0x30 && c <= 0x39) || ((c | 0x20) >= 0x61 && (c | 0x20) <= 0x66);

/** `i` at the backslash; returns the byte after the escape. */
function skipEscape(b: Buffer, i: number): number {
  notes |= Note.escape;
  const c = i + 1 < b.length ? (b[i + 1] as number) : 0;
  switch (c) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return i + 2;
    case 0x75:
      for (let k = i + 2; k < i + 6; k++) if (k >= b.length || !isHex(b[k] as number)) throw unexpected(b, k);
      if (((b[i + 2] as number) | 0x20) === 0x64 && (b[i + 3] as number) > 0x37) notes |= Note.surrogate;
      return i + 6;
    default:
      throw unexpected(b, i + 1);
  }
}

/** Reads of four bytes at once; one view for the buffer being scanned, because making one costs as much as an event. */
let view: DataView = new DataView(new ArrayBuffer(0));
let viewed: Buffer | null = null;
export function viewOf(b: Buffer): DataView {
  if (viewed !== b) {
    view = new DataView(b.buffer, b.byteOffset, b.length);
    viewed = b;
  }
  return view;
}

/** `i` at the opening quote; returns the byte after the closing one. */
export function skipString(b: Buffer, from: number): number {
  const four = viewOf(b);
  const n = b.length;
  const last = n - 4;
  let i = from + 1;
  while (i < n) {
    // Four bytes at once while none of them is a quote, a backslash, below 0x20 or above 0x7e (bits borrow across
    // bytes only where one of them was special already, so a stop may be too early but never too late).
    while (i <= last) {
      const w = four.getInt32(i, true);
      const q = w ^ 0x22222222;
      const s = w ^ 0x5c5c5c5c;
      const special =
        ((q - 0x01010101) & ~q) | ((s - 0x01010101) & ~s) | ((w - 0x20202020) & ~w) | w | (w + 0x01010101);
      if ((special & 0x80808080) !== 0) break;
      i += 4;
    }
    for (const stop = i + 4; i < n && i < stop; i++) {
      const c = b[i] as number;
      if (c === QUOTE) return i + 1;
      if (c === BACKSLASH) {
        i = skipEscape(b, i);
        break;
      }
      if (c < 0x20) throw unexpected(b, i);
      if (c > 0x7e) notes |= Note.high;
    }
  }
  throw unexpected(b, n);
}

const isDigit = (c: number | undefined): boolean => c !== undefined && c >= 0x30 && c <= 0x39;

/** `i` at the first byte of a number; returns the byte after it. */
export function skipNumber(b: Buffer, from: number): number {
  let i = from;
  const n = b.length;
  let c = i < n ? (b[i] as number) : 0;
  if (c === 0x2d) c = ++i < n ? (b[i] as number) : 0;
  if (c === 0x30) i++;
  else {
    if (c < 0x31 || c > 0x39) throw unexpected(b, i);
    while (i < n && isDigit(b[i])) i++;
  }
  if (i < n && b[i] === 0x2e) {
    i++;
    if (i >= n || !isDigit(b[i])) throw unexpected(b, i);
    while (i < n && isDigit(b[i])) i++;
  }
  if (i < n && ((b[i] as number) | 0x20) === 0x65) {
    i++;
    if (i < n && (b[i] === 0x2b || b[i] === 0x2d)) i++;
    if (i >= n || !isDigit(b[i])) throw unexpected(b, i);
    while (i < n && isDigit(b[i])) i++;
  }
  return i;
}

const TRUE = [0x72, 0x75, 0x65];
const FALSE = [0x61, 0x6c, 0x73, 0x65];
const NULL = [0x75, 0x6c, 0x6c];
function skipWord(b: Buffer, from: number, rest: readonly number[]): number {
  let i = from + 1;
  for (const c of rest) {
    if (i >= b.length || b[i] !== c) throw unexpected(b, i);
    i++;
  }
  return i;
}

/** Containers that are open while a value is skipped: 1 object, 0 array. Grows to the deepest body seen. */
let open = new Uint8Array(256);
/** Where the names of the open object at each depth begin in `names`. */
let firstName = new Int32Array(256);
function deepen(): void {
  const more = new Uint8Array(open.length * 4);
  more.set(open);
  open = more;
  const wider = new Int32Array(firstName.length * 4);
  wider.set(firstName);
  firstName = wider;
}

/** Names met in the open objects, three numbers each: start, end, and a mark that equal names share. */
let names = new Int32Array(1024);
let named = 0;
/** Objects with more names than this are compared by a set; with fewer, looking at the marks is quicker. */
const FEW_NAMES = 24;
let manyNames: Set<string>[] = [];

const markOf = (b: Buffer, start: number, end: number): number =>
  end === start ? 0 : ((end - start) << 16) ^ ((b[start] as number) << 8) ^ (b[end - 1] as number);

function repeatsName(b: Buffer, start: number, end: number, depth: number, mark: number): boolean {
  const from = firstName[depth] as number;
  if (named - from > FEW_NAMES * 3) return repeatsAmongMany(b, start, end, depth);
  for (let k = from; k < named; k += 3) {
    if (names[k + 2] !== mark) continue;
    const other = names[k] as number;
    let i = 1;
    while (i < end - start && b[other + i] === b[start + i]) i++;
    if (i >= end - start && (names[k + 1] as number) - other === end - start) return true;
  }
  return false;
}

function repeatsAmongMany(b: Buffer, start: number, end: number, depth: number): boolean {
  let set = manyNames[depth];
  if (set === undefined) {
    set = new Set();
    for (let k = firstName[depth] as number; k < named; k += 3)
      set.add(stringAt(b, names[k] as number, names[k + 1] as number));
    manyNames[depth] = set;
  }
  const text = stringAt(b, start, end);
  if (set.has(text)) return true;
  set.add(text);
  return false;
}

/** Some name of the value has an escape. */
let anyEscaped = false;
/** A name with an escape may equal one without: compared as texts. */
function repeatsEscaped(b: Buffer, start: number, end: number, depth: number): boolean {
  const text = stringAt(b, start, end);
  for (let k = firstName[depth] as number; k < named; k += 3)
    if (stringAt(b, names[k] as number, names[k + 1] as number) === text) return true;
  return false;
}

function noteName(b: Buffer, start: number, end: number, depth: number, escaped: boolean): void {
  // Once a name has come twice there is nothing more to find out.
  if ((notes & Note.repeatedName) !== 0) return;
  if (escaped) anyEscaped = true;
  const mark = markOf(b, start, end);
  const again = anyEscaped ? repeatsEscaped(b, start, end, depth) : repeatsName(b, start, end, depth, mark);
  if (again) notes |= Note.repeatedName;
  if (named + 3 > names.length) {
    const more = new Int32Array(names.length * 4);
    more.set(names);
    names = more;
  }
  names[named++] = start;
  names[named++] = end;
  names[named++] = mark;
}

/** A value that holds no other value: string, number or word. */
function skipScalar(b: Buffer, i: number): number {
  const c = i < b.length ? (b[i] as number) : 0;
  if (c === QUOTE) return skipString(b, i);
  if (c === 0x74) return skipWord(b, i, TRUE);
  if (c === 0x66) return skipWord(b, i, FALSE);
  if (c === 0x6e) return skipWord(b, i, NULL);
  return skipNumber(b, i);
}

function closeNames(depth: number): void {
  named = firstName[depth] as number;
  if (manyNames.length > depth) manyNames.length = depth;
}

/** `i` where a key must begin; returns the first byte of its value. */
function skipKey(b: Buffer, from: number, depth: number): number {
  let i = skipSpace(b, from);
  if (i >= b.length || b[i] !== QUOTE) throw unexpected(b, i);
  const start = i + 1;
  const before = notes;
  notes = 0;
  i = skipString(b, i);
  const escaped = (notes & Note.escape) !== 0;
  notes |= before;
  noteName(b, start, i - 1, depth, escaped);
  i = skipSpace(b, i);
  if (i >= b.length || b[i] !== COLON) throw unexpected(b, i);
  return skipSpace(b, i + 1);
}

/**
 * `from` at the first byte of any value; returns the byte after it. Iterative: nesting costs a byte a level and not a
 * stack frame, so a body of a million brackets is just read.
 */
export function skipValue(b: Buffer, from: number): number {
  let i = from;
  let depth = 0;
  let most = 0;
  const n = b.length;
  named = 0;
  anyEscaped = false;
  if (manyNames.length > 0) manyNames = [];
  for (;;) {
    const c = i < n ? (b[i] as number) : 0;
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      const object = c === OPEN_OBJECT;
      const inside = skipSpace(b, i + 1);
      if (depth + 1 > most) most = depth + 1;
      if (inside < n && b[inside] === (object ? CLOSE_OBJECT : CLOSE_ARRAY)) i = inside + 1;
      else {
        if (depth >= open.length) deepen();
        open[depth] = object ? 1 : 0;
        firstName[depth] = named;
        i = object ? skipKey(b, inside, depth) : inside;
        depth++;
        continue;
      }
    } else i = skipScalar(b, i);
    // A value ended: close what ends with it, until a comma asks for the next one.
    for (;;) {
      if (depth === 0) {
        deepest = most;
        return i;
      }
      i = skipSpace(b, i);
      const after = i < n ? (b[i] as number) : 0;
      const object = open[depth - 1] === 1;
      if (after === COMMA) {
        i = object ? skipKey(b, i + 1, depth - 1) : skipSpace(b, i + 1);
        break;
      }
      if (after !== (object ? CLOSE_OBJECT : CLOSE_ARRAY)) throw unexpected(b, i);
      depth--;
      if (object) closeNames(depth);
      i++;
    }
  }
}

/** Throws JsonError with the offset of the first byte that is not UTF-8. */
export function checkUtf8(b: Buffer): void {
  if (isUtf8(b)) return;
  let good = 0;
  let bad = b.length;
  // Halving: a prefix that ends inside a character is not UTF-8 either, so step back to the start of that character.
  while (bad - good > 8) {
    let middle = good + ((bad - good) >> 1);
    while (middle > good && ((b[middle] as number) & 0xc0) === 0x80) middle--;
    if (middle === good) break;
    if (isUtf8(b.subarray(good, middle))) good = middle;
    else bad = middle;
  }
  while (good < bad) {
    let end = good + 1;
    while (end < b.length && end < good + 4 && ((b[end] as number) & 0xc0) === 0x80) end++;
    if (!isUtf8(b.subarray(good, end))) break;
    good = end;
  }
  throw new JsonError(good, 'not UTF-8');
}

/** Whole text: one value with nothing but white space around it. Returns [start, end) of the value. */
export function wholeValue(b: Buffer): [start: number, end: number] {
  checkUtf8(b);
  const start = skipSpace(b, 0);
  const end = skipValue(b, start);
  const rest = skipSpace(b, end);
  if (rest < b.length) throw unexpected(b, rest);
  return [start, end];
}

/**
 * Visits the members of the object at `from` (an opening brace) in order; returns the byte after it. `visit` gets the
 * key's bytes (without quotes, escapes as sent) and the first byte of the value, and returns the byte after the value.
 */
export function eachMember(
  b: Buffer,
  from: number,
  visit: (keyStart: number, keyEnd: number, value: number) => number,
): number {
  let i = skipSpace(b, from + 1);
  if (i < b.length && b[i] === CLOSE_OBJECT) return i + 1;
  for (;;) {
    if (i >= b.length || b[i] !== QUOTE) throw unexpected(b, i);
    const keyStart = i + 1;
    const keyEnd = skipString(b, i) - 1;
    i = skipSpace(b, keyEnd + 1);
    if (i >= b.length || b[i] !== COLON) throw unexpected(b, i);
    i = skipSpace(b, visit(keyStart, keyEnd, skipSpace(b, i + 1)));
    if (i < b.length && b[i] === CLOSE_OBJECT) return i + 1;
    if (i >= b.length || b[i] !== COMMA) throw unexpected(b, i);
    i = skipSpace(b, i + 1);
  }
}

/** Visits the elements of the array at `from`; returns the byte after it. */
export function eachElement(b: Buffer, from: number, visit: (value: number) => number): number {
  let i = skipSpace(b, from + 1);
  if (i < b.length && b[i] === CLOSE_ARRAY) return i + 1;
  for (;;) {
    i = skipSpace(b, visit(i));
    if (i < b.length && b[i] === CLOSE_ARRAY) return i + 1;
    if (i >= b.length || b[i] !== COMMA) throw unexpected(b, i);
    i = skipSpace(b, i + 1);
  }
}

/** Text of the string literal between its quotes, escapes resolved. May hold lone surrogates, as JSON allows. */
export const stringAt = (b: Buffer, start: number, end: number): string => {
  for (let i = start; i < end; i++)
    if (b[i] === BACKSLASH) return JSON.parse(b.toString('utf8', start - 1, end + 1)) as string;
  return b.toString('utf8', start, end);
};
