/** What cannot be done to a document by hand. */

export type ByHandCode =
  | 'invoice.unknown'
  | 'invoice.void'
  | 'invoice.settled'
  | 'invoice.credited'
  | 'invoice.line'
  | 'invoice.too_much';

export class ByHandError extends Error {
  readonly code: ByHandCode;
  /** Field of the request; '' for none. */
  readonly field: string;
  constructor(code: ByHandCode, message: string, field = '') {
    super(message);
    this.name = 'ByHandError';
    this.code = code;
    this.field = field;
  }
}
