/** The meters a limit or an entitlement names, as one thing with one unit. */
import type { Meter } from '../meter.ts';
import { Misread, quoted } from './amount.ts';
import { JOINED, REQUESTS } from './limit.ts';

export interface Metered {
  /** As it is stored: keys with ` + ` between them. */
  meter: string;
  meters: readonly Meter[];
  unit: string;
  /** Every dimension that all of them have; null: whatever the call names. */
  dimensions: ReadonlySet<string> | null;
}

export type MetersByKey = ReadonlyMap<string, Meter>;

export const byKey = (meters: Iterable<Meter>): MetersByKey => new Map([...meters].map((m) => [m.key, m]));

/** `a`, or `a + b`; a meter called `requests` hides the requests themselves. */
export function readMetered(text: string, known: MetersByKey): Metered | Misread {
  const keys = text.split('+').map((key) => key.trim());
  if (new Set(keys).size !== keys.length) return new Misread(`${quoted(text)} names a meter twice`);
  const [only] = keys;
  if (only === REQUESTS && keys.length === 1 && !known.has(REQUESTS))
    return { meter: REQUESTS, meters: [], unit: '{request}', dimensions: null };
  const meters = keys.flatMap((key) => known.get(key) ?? []);
  const missing = keys.find((key) => !known.has(key));
  if (missing !== undefined) return new Misread(`there is no meter ${quoted(missing)}; known are ${someOf(known)}`);
  const units = new Set(meters.map(unitOf));
  if (units.size > 1) return new Misread(`the meters count in different units: ${[...units].join(', ')}`);
  return { meter: keys.join(JOINED), meters, unit: [...units][0] ?? '1', dimensions: sharedOf(meters) };
}

/** A level's integral is in unit-hours; it is what `usage` shows for it. */
const unitOf = (m: Meter): string => (m.aggregation === 'integral' ? `${m.unit}.h` : m.unit);

const sharedOf = (meters: readonly Meter[]): Set<string> => {
  const [first, ...rest] = meters.map((m) => Object.keys(m.groupBy));
  return new Set((first ?? []).filter((name) => rest.every((names) => names.includes(name))));
};

/** What every series has besides dimensions: usage can be told apart by it too. */
const ALWAYS: readonly string[] = ['trafficType', 'resource'];

/** Why usage of the meters is not told apart by this name; null: it is. */
export function unknownDimension({ meter, dimensions }: Metered, name: string): string | null {
  if (meter === '' || dimensions === null || dimensions.has(name) || ALWAYS.includes(name)) return null;
  return `the meter has no dimension ${quoted(name)}; it has ${[...dimensions, ...ALWAYS].join(', ')}`;
}

const SHOWN = 12;
const someOf = (known: MetersByKey): string => {
  const keys = [REQUESTS, ...known.keys()].sort();
  return keys.length > SHOWN ? `${keys.slice(0, SHOWN).join(', ')} and ${keys.length - SHOWN} more` : keys.join(', ');
};
