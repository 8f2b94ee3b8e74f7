/**
 * Zone rules as stretches of constant offset. Asking Temporal for each edge took 50 us (1.6 ms for a month of days); it is
 * asked once per stretch instead, and the answer is kept: its rules are a constant of the process.
 */
import { Temporal } from 'temporal-polyfill';
import { CalendarError } from './calendar-error.ts';
import type { Instant } from './window.ts';

/** [from, to) with one offset, in ms east of UTC. Ends that no change of the clock bounds are infinite. */
export interface Stretch {
  readonly from: Instant;
  readonly to: Instant;
  readonly offset: number;
}

/** Holds no instant. */
const NONE: Stretch = { from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY, offset: 0 };
/** Years 1 to 9999, with room for what lies a day beyond. */
const FIRST = -62_135_596_800_000;
const LAST = 253_402_300_799_999;
/** Kept per zone; 1970 to 2040 has at most 300. Beyond, all are forgotten: a question is about a few years. */
const STRETCHES_MAX = 512;

export class Zone {
  /** The name as the zone database writes it. */
  readonly id: string;
  /** Ascending by `from`, not overlapping, maybe with holes. */
  private stretches: Stretch[] = [];
  private last: Stretch = NONE;

  constructor(id: string) {
    this.id = id;
  }

  offsetAt(t: Instant): number {
    return this.stretchAt(t).offset;
  }

  stretchAt(t: Instant): Stretch {
    if (t >= this.last.from && t < this.last.to) return this.last;
    const at = this.place(t);
    const known = this.stretches[at - 1];
    if (known !== undefined && t < known.to) this.last = known;
    else {
      // Asked on at the end of a known one (edges walk forward): its beginning need not be looked for.
      this.last = this.learn(t, known?.to === t ? t : null);
      if (this.stretches.length >= STRETCHES_MAX) this.stretches = [this.last];
      else this.stretches.splice(at, 0, this.last);
    }
    return this.last;
  }

  /** Number of kept stretches that begin at or before t. */
  private place(t: Instant): number {
    let [low, high] = [0, this.stretches.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.stretches[middle] as Stretch).from <= t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private learn(t: Instant, start: Instant | null): Stretch {
    if (!(t >= FIRST && t <= LAST)) throw new CalendarError('calendar.range', `${t} lies beyond the years 1 to 9999`);
    const here = Temporal.Instant.fromEpochMilliseconds(t).toZonedDateTimeISO(this.id);
    return {
      // The change before is asked for from a ms later, because a change at t itself begins the stretch.
      from: start ?? changeAt(here.add({ milliseconds: 1 }), 'previous') ?? Number.NEGATIVE_INFINITY,
      to: changeAt(here, 'next') ?? Number.POSITIVE_INFINITY,
      offset: here.offsetNanoseconds / 1_000_000,
    };
  }
}

const changeAt = (here: Temporal.ZonedDateTime, side: 'next' | 'previous'): Instant | undefined =>
  here.getTimeZoneTransition(side)?.epochMilliseconds;

const zones = new Map<string, Zone>();

/** `Europe/Berlin`, `UTC`, `Etc/GMT+5`. Not an offset such as `+01:00`: it has no days of 23 hours, and nobody lives in it. */
const NAME = /^[A-Za-z][A-Za-z0-9_+-]{0,31}(\/[A-Za-z0-9_+-]{1,31}){0,3}$/;

function findZone(name: string): Zone | null {
  const known = zones.get(name);
  if (known !== undefined) return known;
  if (!NAME.test(name)) return null;
  try {
    const { timeZoneId: id } = Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    // Another case of the same letters is another text: accounts that differ in it would not compare as equal.
    if (id !== name) return null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  const zone = new Zone(name);
  zones.set(name, zone);
  return zone;
}

/** Whether the name is an IANA time zone, in the letters the database uses (`europe/berlin` is not). */
export const isZone = (name: string): boolean => findZone(name) !== null;

/** Throws CalendarError `calendar.zone`. */
export function loadZone(name: string): Zone {
  const zone = findZone(name);
  if (zone === null) {
    throw new CalendarError('calendar.zone', `${JSON.stringify(name.slice(0, 60))} is not an IANA time zone`);
  }
  return zone;
}
