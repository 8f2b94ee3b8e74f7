/** What became of each item of a request. Codes are stable: programs may match on them. */

export const outcomeCodes = {
  'event.duplicate': 'This event was accepted before; the first one counts.',
  'event.conflict': 'An event with this id and other content was accepted before; this one is set aside.',
  'event.not_object': 'An event must be a JSON object.',
  'event.spec_version': 'specversion must be "1.0".',
  'event.missing_attribute': 'A required attribute is missing.',
  'event.bad_attribute': 'An attribute has a value that is not allowed.',
  'event.bad_time': 'time must be an RFC 3339 timestamp with a zone.',
  'event.time_range': 'time lies too far ahead of the server.',
  'event.too_old': 'time lies before the identity window; send the event with a named backfill set.',
  'event.too_deep': 'The event is nested too deeply.',
  'event.too_large': 'The data of the event is too large.',
  'event.bad_data': 'The data is not what the meters of this type ask for.',
  'event.number': 'The number cannot be kept exactly.',
  'source.forbidden': 'The key may not speak for this source.',
  'meter.unknown': 'Readings must name a known cumulative meter.',
  'reading.duplicate': 'This reading was accepted before.',
  'reading.bad_value': 'A counter value is a whole number from 0 to 18446744073709551615, sent as a text of digits.',
  'reading.bad_field': 'A field of the reading or of its series has a value that is not allowed.',
} as const;
export type OutcomeCode = keyof typeof outcomeCodes;

export type OutcomeKind = 'accepted' | 'duplicate' | 'conflict' | 'rejected';

/** One item that was not accepted. */
export interface ItemOutcome {
  /** Position in the request, from 0. Of readings: position in `readings`, then in `ended`. */
  position: number;
  outcome: Exclude<OutcomeKind, 'accepted'>;
  code: OutcomeCode;
  /** JSON pointer into the request body; '' when the item as a whole is meant. */
  pointer: string;
  message: string;
}

export interface BatchOutcome {
  accepted: number;
  duplicates: number;
  conflicts: number;
  rejected: number;
  /** The items that were not accepted, in order of position. */
  items: ItemOutcome[];
  /** Receipt numbers reserved for the request (item p was given first + p if accepted); null when there was nothing to accept. */
  receipts: { first: number; last: number } | null;
}
