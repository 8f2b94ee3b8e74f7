/** What an account's books and documents do not allow, by what was asked for. */
type LedgerErrorCode =
  | 'invoice.unknown'
  | 'invoice.paid'
  | 'invoice.void'
  | 'invoice.settled'
  | 'invoice.credited'
  | 'invoice.line'
  | 'invoice.too_much'
  | 'payment.unknown'
  | 'payment.currency'
  | 'payment.conflict'
  | 'refund.too_much'
  | 'credit.unknown'
  | 'credit.conflict'
  | 'ledger.document';

export class LedgerError extends Error {
  readonly code: LedgerErrorCode;
  /** Field of the request; '' for none. */
  readonly field: string;
  constructor(code: LedgerErrorCode, message: string, field = '') {
    super(message);
    this.name = 'LedgerError';
    this.code = code;
    this.field = field;
  }
}
