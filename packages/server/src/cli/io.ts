/** Where a command reads and writes, so that tests can stand in for a terminal. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** The error stream is a terminal: progress may be drawn and drawn over. */
  interactive: boolean;
  stdin(): AsyncIterable<string | Uint8Array>;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Values of flags that hold for all commands, as commander read them. */
  flags: Record<string, unknown>;
}

/** Exit codes: documented in docs/reference/cli.md, and stable. */
export const Exit = {
  ok: 0,
  /** The server refused the content of the request, or something failed. */
  failure: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** No server answers. */
  unreachable: 3,
  /** No key, a key that is not known, or one that may not do this. */
  refused: 4,
} as const;
export type ExitCode = (typeof Exit)[keyof typeof Exit];

/** Ends a command with a code, a message and what to do next. */
export class CliError extends Error {
  override name = 'CliError';
  readonly exit: ExitCode;
  readonly hint: string;
  constructor(exit: ExitCode, message: string, hint = '') {
    super(message);
    this.exit = exit;
    this.hint = hint;
  }
}

export const json = (io: Io, value: unknown): void => io.out(`${JSON.stringify(value, null, 2)}\n`);
