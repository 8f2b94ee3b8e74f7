/** What is wrong with a zone, a range or a written instant. A RangeError, because all of them are values out of bounds. */

/**
 * `zone`: no IANA zone. `range`: no range, or beyond the calendar. `too_many`: more edges than one answer may have.
 * `instant`: the text is no instant.
 */
export type CalendarCode = 'calendar.zone' | 'calendar.range' | 'calendar.too_many' | 'calendar.instant';

export class CalendarError extends RangeError {
  readonly code: CalendarCode;
  constructor(code: CalendarCode, message: string) {
    super(message);
    this.name = 'CalendarError';
    this.code = code;
  }
}
