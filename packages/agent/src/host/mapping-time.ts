/** Instants of the mapping: with a zone of their own, or in the zone of the file (then also just a date: its midnight). */

/** null: there is no such zone here. */
export const zoneOf = (name: string): Intl.DateTimeFormat | null => {
  try {
    return new Intl.DateTimeFormat('en-US-u-ca-iso8601-nu-latn', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    return null;
  }
};

const shape = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d*)?)?(Z|z|[+-]\d\d:?\d\d)?)?$/;

/** What the wall in the zone shows at an instant, as if it were UTC. */
const wallAt = (zone: Intl.DateTimeFormat, at: number): number => {
  const part: Record<string, number> = {};
  for (const { type, value } of zone.formatToParts(at)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second);
};

const DAY = 86_400_000;

/** The instants at which the wall shows `wall`: none in a spring gap, two in an autumn hour. */
const instantsOf = (zone: Intl.DateTimeFormat, wall: number): number[] => {
  const whole = Math.floor(wall / 1000) * 1000;
  const offsets = new Set([whole - DAY, whole + DAY].map((at) => wallAt(zone, at) - at));
  return [...offsets].map((offset) => whole - offset).filter((at) => wallAt(zone, at) === whole);
};

/** Milliseconds since 1970, or a sentence that says what is wrong. */
export const parseInstant = (text: string, zone: Intl.DateTimeFormat | null): number | string => {
  const found = shape.exec(text);
  if (found === null) return `"${text}" is no instant: write 2026-11-01T00:00:00Z, or a date in the zone of the file`;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', offset] = found;
  const wall = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const back = Number.isNaN(wall) ? '' : new Date(wall).toISOString().slice(0, 19);
  const pad = (n: string | undefined): string => String(n).padStart(2, '0');
  if (back !== `${year}-${pad(month)}-${pad(day)}T${pad(hour)}:${pad(minute)}:${pad(second)}`)
    return `"${text}" names a day or a time that does not exist`;
  const ms = Number(fraction.padEnd(3, '0'));
  if (offset !== undefined) return shifted(text, wall + ms, offset);
  if (zone === null)
    return `"${text}" has no zone: end it with Z or +01:00, or name a zone for the file (zone: Europe/Berlin)`;
  const instants = instantsOf(zone, wall);
  if (instants.length === 0)
    return `"${text}" is skipped when the clocks go forward in that zone; give an offset such as +01:00`;
  if (instants.length > 1)
    return `"${text}" comes twice when the clocks go back in that zone; give an offset such as +01:00`;
  return inRange(text, (instants[0] ?? 0) + ms);
};

const shifted = (text: string, wall: number, offset: string): number | string => {
  if (offset.toUpperCase() === 'Z') return inRange(text, wall);
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(offset) ?? [];
  if (Number(hours) > 14 || Number(minutes) > 59) return `"${text}" has an offset that no zone has`;
  const shift = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return inRange(text, sign === '+' ? wall - shift : wall + shift);
};

const inRange = (text: string, at: number): number | string => (at < 0 ? `"${text}" lies before 1970` : at);
