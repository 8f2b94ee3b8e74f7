/** What a store refuses or fails with. `code` is stable and for programs; message and hint are for people. */

/**
 * Codes used in this folder:
 * - `store.unavailable`, `store.disk_full`: try again later, nothing was acknowledged.
 * - `store.not_writable`, `store.locked`, `store.newer_layout`, `store.newer_schema`, `store.engine_*`: refuse to start.
 * - `store.text_invalid`, `store.text_too_long`, `store.number_range`, `store.misuse`: the caller's input is wrong.
 * - `store.not_found`, `store.receipt_taken`, `store.progress_overlap`, `store.series_full`, `store.receipts_exhausted`.
 * - `store.failed`: anything else the engine said.
 */
export type StoreErrorCode = `store.${string}`;

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  /** What the reader can do about it; '' when nothing is known. */
  readonly hint: string;

  constructor(code: StoreErrorCode, message: string, more: { hint?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.name = 'StoreError';
    this.code = code;
    this.hint = more.hint ?? '';
  }

  /** The same call may succeed later without anybody changing anything in it. */
  get transient(): boolean {
    return this.code === 'store.unavailable' || this.code === 'store.disk_full';
  }
}

/** Message and hint of any error, in one line for a terminal or a log. */
export const explainError = (error: unknown): string => {
  if (error instanceof StoreError) return error.hint === '' ? error.message : `${error.message} ${error.hint}`;
  return error instanceof Error ? error.message : String(error);
};

/** The `code` of a system or driver error ('ENOENT', '57P03'), '' when it has none. */
export const codeOf = (error: unknown): string => {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : '';
};
