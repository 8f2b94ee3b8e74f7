/**
 * The compact batch of readings, from bytes. Its head and series are small and go through JSON.parse; the rows of
 * readings are walked as bytes, so that a value above 2^53 is read exactly or refused and never rounded.
 */
import {
  type ItemOutcome,
  type OutcomeCode,
  outcomeCodes,
  limits as protocol,
  type ResourceHint,
} from '@tollgate/event';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import { counterValue, INSTANT_END, instantOf } from './metering.ts';
import { type Head, type HeadFault, isHead, nameOf, readHead, readHints } from './reading-head.ts';
import { checkUtf8, eachElement, eachMember, JsonError, skipSpace, skipValue, stringAt, unexpected } from './scan.ts';

export interface Row {
  /** Position among the items: readings in order, then end markers. */
  position: number;
  head: number;
  t: Instant;
  value: bigint;
  start: Instant;
  end: boolean;
}

export interface Readings {
  source: string;
  run: string;
  sequence: number;
  /** 0: not said. */
  sentAt: Instant;
  /** 0: nothing declared. */
  completeThrough: Instant;
  heads: (Head | HeadFault)[];
  rows: Row[];
  items: number;
  faults: ItemOutcome[];
  resources: ResourceHint[];
}

export interface ReadingLimits {
  itemsPerRequest: number;
  attributeBytes: number;
}

const invalid = (pointer: string, what: string): Problem => new Problem('request.invalid', what, { pointer });

type Bytes = readonly [start: number, end: number];
type Members = Map<string, Bytes>;

function membersOf(b: Buffer): Members {
  checkUtf8(b);
  const from = skipSpace(b, 0);
  if (b[from] !== 0x7b) {
    skipValue(b, from);
    throw invalid('', 'The body must be a JSON object.');
  }
  const members: Members = new Map();
  const end = eachMember(b, from, (keyStart, keyEnd, value) => {
    const name = stringAt(b, keyStart, keyEnd);
    const after = skipValue(b, value);
    if (members.has(name)) throw invalid(`/${name}`, 'The member occurs twice.');
    members.set(name, [value, after]);
    return after;
  });
  const rest = skipSpace(b, end);
  if (rest < b.length) throw unexpected(b, rest);
  return members;
}

/** Throws Problem: nothing of the body is accepted. What is wrong with one reading is in `faults`. */
export function readReadings(b: Buffer, limits: ReadingLimits = protocol): Readings {
  try {
    return new Reader(b, limits).read();
  } catch (error) {
    if (error instanceof JsonError)
      throw new Problem('request.malformed_json', `The body is not JSON: ${error.message}.`, {
        position: error.offset,
      });
    throw error;
  }
}

/** A row that is none: code, pointer, sentence. */
interface Fault {
  code: OutcomeCode;
  pointer: string;
  message: string;
}
const bad = (pointer: string, message: string, code: OutcomeCode = 'reading.bad_field'): Fault => ({
  code,
  pointer,
  message,
});
const NO_TIME = 'The time is a whole number of milliseconds since 1970.';

class Reader {
  private readonly b: Buffer;
  private readonly limits: ReadingLimits;
  private members: Members = new Map();
  private readonly rows: Row[] = [];
  private readonly faults: ItemOutcome[] = [];
  private heads: (Head | HeadFault)[] = [];
  private items = 0;

  constructor(b: Buffer, limits: ReadingLimits) {
    this.b = b;
    this.limits = limits;
  }

  read(): Readings {
    this.members = membersOf(this.b);
    const source = this.name('source');
    const run = this.name('run');
    const sequence = this.parsed('sequence');
    if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0)
      throw invalid('/sequence', 'The sequence is a whole number from 0 on.');
    const sentAt = this.instant('sentAt');
    const completeThrough = this.instant('completeThrough');
    const series = this.list('series');
    this.heads = series.map((head) => readHead(head, this.limits.attributeBytes));
    this.eachRow('readings', (at, position) => this.reading(at, position));
    this.eachRow('ended', (at, position, index) => this.ended(at, position, index));
    const resources = readHints([...this.list('resources'), ...series], this.limits.attributeBytes);
    const { heads, rows, items, faults } = this;
    return { source, run, sequence, sentAt, completeThrough, heads, rows, items, faults, resources };
  }

  private parsed(name: string): unknown {
    const range = this.members.get(name);
    return range === undefined ? undefined : JSON.parse(this.b.toString('utf8', ...range));
  }
  private name(name: string): string {
    const most = this.limits.attributeBytes;
    const text = nameOf(this.parsed(name), most);
    if (text === undefined)
      throw invalid(`/${name}`, `${name} is a text of 1 to ${most} bytes without control characters.`);
    return text;
  }
  private instant(name: string): Instant {
    const value = this.parsed(name);
    if (value === undefined || value === null) return 0;
    const t = instantOf(value);
    if (Number.isNaN(t)) throw invalid(`/${name}`, `${name} is milliseconds since 1970 or an RFC 3339 timestamp.`);
    return t;
  }
  private list(name: string): unknown[] {
    const value = this.parsed(name) ?? [];
    if (!Array.isArray(value)) throw invalid(`/${name}`, `${name} is a list.`);
    if (value.length > this.limits.itemsPerRequest)
      throw new Problem('request.too_many', `At most ${this.limits.itemsPerRequest} ${name} fit in one request.`);
    return value;
  }

  private eachRow(name: string, visit: (at: number, position: number, index: number) => Row | Fault): void {
    const range = this.members.get(name);
    if (range === undefined || this.b[range[0]] === 0x6e) return;
    if (this.b[range[0]] !== 0x5b) throw invalid(`/${name}`, `${name} is a list.`);
    let index = 0;
    eachElement(this.b, range[0], (at) => {
      if (this.items >= this.limits.itemsPerRequest)
        throw new Problem('request.too_many', `At most ${this.limits.itemsPerRequest} readings fit in one request.`);
      const position = this.items++;
      const row = visit(at, position, index++);
      if ('code' in row) this.faults.push({ position, outcome: 'rejected', ...row });
      else this.rows.push(row);
      return skipValue(this.b, at);
    });
  }

  /** Ranges of the row's elements; null when it is no list of `least` to `most` elements. */
  private elements(at: number, least: number, most: number): Bytes[] | null {
    if (this.b[at] !== 0x5b) return null;
    const ranges: Bytes[] = [];
    eachElement(this.b, at, (value) => {
      const end = skipValue(this.b, value);
      ranges.push([value, end]);
      return end;
    });
    return ranges.length >= least && ranges.length <= most ? ranges : null;
  }

  /** A whole number from 0 on, exactly as written; NaN otherwise. */
  private whole([start, end]: Bytes): number {
    if (end - start > 15) return Number.NaN;
    let n = 0;
    for (let i = start; i < end; i++) {
      const digit = (this.b[i] as number) - 0x30;
      if (digit < 0 || digit > 9) return Number.NaN;
      n = n * 10 + digit;
    }
    return n;
  }

  private instantAt(range: Bytes): Instant {
    const t = this.whole(range);
    return t < INSTANT_END ? t : Number.NaN;
  }

  /** Index of a good head, or the fault of every row that names it. */
  private head(range: Bytes, pointer: string): number | Fault {
    const index = this.whole(range);
    const head = this.heads[index];
    if (head === undefined) return bad(`${pointer}/0`, 'The index names no series of the batch.');
    return isHead(head) ? index : bad(`/series/${index}${head.field}`, head.what);
  }

  private reading(at: number, position: number): Row | Fault {
    const pointer = `/readings/${position}`;
    const parts = this.elements(at, 3, 4);
    if (parts === null) return bad(pointer, 'A reading is [series, time, value] or [series, time, value, start].');
    const [first, second, third, fourth] = parts as [Bytes, Bytes, Bytes, Bytes?];
    const head = this.head(first, pointer);
    if (typeof head !== 'number') return head;
    const t = this.instantAt(second);
    if (Number.isNaN(t)) return bad(`${pointer}/1`, NO_TIME);
    const value = this.value(third);
    if (value === null) return bad(`${pointer}/2`, outcomeCodes['reading.bad_value'], 'reading.bad_value');
    const own = fourth === undefined || this.b[fourth[0]] === 0x6e ? null : fourth;
    const start = own === null ? (this.heads[head] as Head).start : this.instantAt(own);
    if (Number.isNaN(start)) return bad(`${pointer}/3`, NO_TIME);
    return { position, head, t, value, start, end: false };
  }

  /** Digits in quotes, or a JSON integer below 2^53: a float beyond may have been rounded before we saw it. */
  private value([start, end]: Bytes): bigint | null {
    if (this.b[start] === 0x22) {
      const digits = this.b.toString('latin1', start + 1, end - 1);
      return /^\d{1,64}$/.test(digits) ? (counterValue(digits.replace(/^0+(?=\d)/, ''))?.value ?? null) : null;
    }
    const text = this.b.toString('latin1', start, end);
    return /^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text)) ? BigInt(text) : null;
  }

  private ended(at: number, position: number, index: number): Row | Fault {
    const pointer = `/ended/${index}`;
    const parts = this.elements(at, 2, 2);
    if (parts === null) return bad(pointer, 'An end marker is [series, time].');
    const [first, second] = parts as [Bytes, Bytes];
    const head = this.head(first, pointer);
    if (typeof head !== 'number') return head;
    const t = this.instantAt(second);
    return Number.isNaN(t) ? bad(`${pointer}/1`, NO_TIME) : { position, head, t, value: 0n, start: 0, end: true };
  }
}
