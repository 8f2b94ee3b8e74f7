/** A request that usage refuses: a stable code of the registry in errors.ts of the server, and what was wrong with it. */
export class UsageError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'UsageError';
    this.code = code;
  }
}
