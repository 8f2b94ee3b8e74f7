/** The small parts of a batch of readings: heads of series, hints about resources; from values JSON.parse made. */
import { limits as protocol, type ResourceHint } from '@tollgate/event';
import { trafficTypes } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import { instantOf } from './metering.ts';

export interface Head {
  resource: string;
  meter: string;
  dimensions: Record<string, string>;
  epoch: string;
  start: Instant;
  width: 32 | 64;
  lineBits: number;
  period: number;
  layer: string;
}
/** What is wrong with a head: the field below it ('' the whole) and a sentence. */
export interface HeadFault {
  field: string;
  what: string;
}

const LONE = /\p{Surrogate}/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: names with control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** A name: 1 to `most` bytes without control characters. Undefined: it is not. */
export const nameOf = (value: unknown, most: number): string | undefined =>
  typeof value === 'string' &&
  value !== '' &&
  Buffer.byteLength(value) <= most &&
  !CONTROL.test(value) &&
  !LONE.test(value)
    ? value
    : undefined;

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

export function readHead(value: unknown, most: number): Head | HeadFault {
  const fault = (field: string, what: string): HeadFault => ({ field, what });
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fault('', 'A series is an object.');
  const h = value as Record<string, unknown>;
  const resource = nameOf(h.resource, most);
  const meter = nameOf(h.meter, most);
  const epoch = nameOf(h.epoch, most);
  if (resource === undefined) return fault('/resource', `resource is a text of 1 to ${most} bytes.`);
  if (meter === undefined) return fault('/meter', `meter is a text of 1 to ${most} bytes.`);
  if (epoch === undefined) return fault('/epoch', `epoch is a text of 1 to ${most} bytes.`);
  const start = h.start === undefined || h.start === null ? 0 : instantOf(h.start);
  if (Number.isNaN(start)) return fault('/start', 'start is milliseconds since 1970 or an RFC 3339 timestamp.');
  const width = h.width ?? 64;
  if (width !== 32 && width !== 64) return fault('/width', 'width is 32 or 64.');
  const lineBits = h.lineBits ?? 0;
  if (!isCount(lineBits)) return fault('/lineBits', 'lineBits is a whole number of bits per second.');
  const period = h.period ?? 0;
  if (!isCount(period)) return fault('/period', 'period is a whole number of milliseconds.');
  const layer = h.layer === undefined || h.layer === '' ? '' : nameOf(h.layer, 32);
  if (layer === undefined) return fault('/layer', 'layer is a text of at most 32 bytes.');
  const dimensions = dimensionsOf(h.dimensions ?? {});
  if (dimensions === null) {
    const { dimensions: count, dimensionBytes } = protocol;
    return fault('/dimensions', `dimensions are up to ${count} texts of up to ${dimensionBytes} bytes.`);
  }
  return { resource, meter, epoch, start, width, lineBits, period, layer, dimensions };
}

export const isHead = (head: Head | HeadFault): head is Head => 'resource' in head;

/** Names sorted, as series keys have them; null: these are no dimensions. */
function dimensionsOf(value: unknown): Record<string, string> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const out: Record<string, string> = {};
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length > protocol.dimensions) return null;
  for (const [name, text] of entries) {
    if (nameOf(name, protocol.dimensionBytes) === undefined || name === '__proto__') return null;
    if (text !== '' && nameOf(text, protocol.dimensionBytes) === undefined) return null;
    out[name] = text as string;
  }
  return out;
}

/** Hints are hints: what is not one is left out, the readings are what counts. Series may carry them, too. */
export function readHints(values: readonly unknown[], most: number): ResourceHint[] {
  const out = new Map<string, ResourceHint>();
  for (const value of values) {
    const item = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
    const id = nameOf(item.id ?? item.resource, most);
    if (id === undefined || out.has(id)) continue;
    const hint: ResourceHint = { id };
    const name = nameOf(item.name, most);
    const tag = nameOf(item.tag, 64);
    const type = trafficTypes.find((t) => t === item.trafficType);
    if (name !== undefined) hint.name = name;
    if (tag !== undefined) hint.tag = tag;
    if (type !== undefined) hint.trafficType = type;
    const owners = readOwners(item.owners, most);
    if (owners.length > 0) hint.owners = owners;
    if (typeof item.billable === 'boolean') hint.billable = item.billable;
    if (Object.keys(hint).length > 1) out.set(id, hint);
  }
  return [...out.values()];
}

const OWNERS_MAX = 1000;

function readOwners(value: unknown, most: number): { account: string | null; from: number }[] {
  const out: { account: string | null; from: number }[] = [];
  for (const item of Array.isArray(value) ? value.slice(0, OWNERS_MAX) : []) {
    const { account, from } = (typeof item === 'object' && item !== null ? item : {}) as Record<string, unknown>;
    const name = account === null ? null : nameOf(account, most);
    if (name !== undefined && typeof from === 'number' && Number.isSafeInteger(from) && from >= 0)
      out.push({ account: name, from });
  }
  return out;
}
