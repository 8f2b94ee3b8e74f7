/** Instants at the edge of the API: texts in, in the zone of the question; UTC texts out. */
import { CalendarError, edges, formatInstant, parseInstant as parseIn } from '../domain/calendar.ts';
import { type Instant, windowCeil } from '../domain/window.ts';
import { Problem } from '../errors.ts';

/** Milliseconds since 1970 UTC, or null for anything that is not an instant. */
export const parseInstant = (text: string, zone = 'UTC'): number | null => {
  try {
    return parseIn(text, zone);
  } catch (error) {
    if (error instanceof CalendarError) return null;
    throw error;
  }
};

/** RFC 3339, or a date or time of the zone. Throws a Problem that names the field. */
export const instantOf = (text: string, field: string, zone = 'UTC'): number => {
  try {
    return parseIn(text, zone);
  } catch (error) {
    if (!(error instanceof CalendarError)) throw error;
    throw new Problem('query.range', `${field}: ${error.message}`, { pointer: `/${field}` });
  }
};

export const isoText = (at: number): string => formatInstant(at, 'UTC');

/** First instant of the local day that holds `at`. */
export const startOfDay = (zone: string, at: number): number => edges(zone, 'day', at, at)[0] ?? at;

/**
 * Where a question that reaches to now is cut: at the next edge of the window grid. Nothing has happened between the
 * two, and an edge off the grid would take every series through its facts one by one. Minutes do that anyway.
 */
export const openEnd = (now: Instant, size: string | undefined): Instant =>
  size?.toLowerCase() === 'minute' ? now : windowCeil(now);

/** The row with its end said as what was asked for. */
export const endedAt = <R extends { to: Instant }>(row: R, to: Instant): R => (row.to > to ? { ...row, to } : row);
