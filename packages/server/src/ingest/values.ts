/** Values picked out of an event's data by path, as byte ranges: what a meter reads, without building the data. */
import { type Quantity, type QuantityCode, readQuantity } from '../domain/quantity.ts';
import { eachElement, eachMember, skipString, skipValue, stringAt } from './scan.ts';

/** Range of the last value found. */
export const found = { start: 0, end: 0 };

const nameBytes = new Map<string, Buffer>();
const bytesOf = (name: string): Buffer => {
  let bytes = nameBytes.get(name);
  if (bytes === undefined) {
    if (nameBytes.size > 10_000) nameBytes.clear();
    bytes = Buffer.from(name, 'utf8');
    nameBytes.set(name, bytes);
  }
  return bytes;
};

function isName(b: Buffer, start: number, end: number, name: Buffer): boolean {
  if (end - start === name.length) {
    let i = 0;
    while (i < name.length && b[start + i] === name[i]) i++;
    if (i === name.length) return true;
  }
  // A name with an escape is longer than what it says.
  if (end - start > name.length)
    for (let i = start; i < end; i++) if (b[i] === 0x5c) return stringAt(b, start, end) === name.toString();
  return false;
}

/** The member `name` of the object at `from`, or the element of the array; into `found`. False when there is none. */
function step(b: Buffer, from: number, key: string | number): boolean {
  let hit = false;
  const take = (value: number): number => {
    const end = skipValue(b, value);
    if (!hit) {
      found.start = value;
      found.end = end;
      hit = true;
    }
    return end;
  };
  if (typeof key === 'number') {
    if (b[from] !== 0x5b) return false;
    let index = 0;
    eachElement(b, from, (value) => (index++ === key ? take(value) : skipValue(b, value)));
    return hit;
  }
  if (b[from] !== 0x7b) return false;
  const name = bytesOf(key);
  eachMember(b, from, (start, end, value) => (isName(b, start, end, name) ? take(value) : skipValue(b, value)));
  return hit;
}

/**
 * The quick way for the common case: the data is an object, the path one name. Data was checked when it was scanned, so
 * nesting is skipped by the full scanner and everything at the top is read here.
 */
function topMember(b: Buffer, from: number, name: Buffer): boolean {
  let i = from + 1;
  for (;;) {
    while ((b[i] as number) <= 0x20) i++;
    if (b[i] !== 0x22) return false;
    const start = i + 1;
    const end = skipString(b, i) - 1;
    i = end + 1;
    while (b[i] !== 0x3a) i++;
    i++;
    while ((b[i] as number) <= 0x20) i++;
    const after = b[i] === 0x22 ? skipString(b, i) : skipValue(b, i);
    if (isName(b, start, end, name)) {
      found.start = i;
      found.end = after;
      return true;
    }
    i = after;
    while ((b[i] as number) <= 0x20) i++;
    if (b[i] !== 0x2c) return false;
    i++;
  }
}

/** The value at `path` in the checked JSON at [start, end), into `found`. False: there is none, or it is null. */
export function pick(b: Buffer, start: number, end: number, path: readonly (string | number)[]): boolean {
  if (end <= start) return false;
  found.start = start;
  found.end = end;
  const only = path[0];
  if (path.length === 1 && typeof only === 'string') {
    if (b[start] !== 0x7b || !topMember(b, start, bytesOf(only))) return false;
  } else for (const key of path) if (!step(b, found.start, key)) return false;
  return b[found.start] !== 0x6e;
}

/** As a dimension, a filter or a number in a string: strings without quotes, all else as written; '' for containers. */
export function textAt(b: Buffer, start: number, end: number): string {
  const c = b[start];
  if (c === 0x22) return stringAt(b, start + 1, end - 1);
  if (c === 0x7b || c === 0x5b) return '';
  return b.toString('latin1', start, end);
}

/** True for a number of at most 26 digits without point and exponent: certainly a quantity, nothing more to look at. */
export function isPlainInteger(b: Buffer, start: number, end: number): boolean {
  const first = b[start] === 0x2d ? start + 1 : start;
  if (end - first > 26) return false;
  for (let i = first; i < end; i++) {
    const c = b[i] as number;
    if (c < 0x30 || c > 0x39) return false;
  }
  return true;
}

/** The number at [start, end), also as a text of digits, exactly; or what is wrong with it. */
export const quantityAt = (b: Buffer, start: number, end: number): Quantity | QuantityCode =>
  readQuantity(textAt(b, start, end));
