/** What is wrong with a zone, a range or a written instant. A RangeError, because all of them are values out of bounds. */
import { CodedError } from './coded-error.ts';

/**
 * `zone`: no IANA zone. `range`: no range, or beyond the calendar. `too_many`: more edges than one answer may have.
 * `instant`: the text is no instant.
 */
export type CalendarCode = 'calendar.zone' | 'calendar.range' | 'calendar.too_many' | 'calendar.instant';

export class CalendarError extends CodedError<CalendarCode> {}
