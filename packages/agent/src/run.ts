/** The agent as a process. */
import { runCommand } from './host/command.ts';

/** Resolves to the exit code: 0 done, 1 not everything was acknowledged, 2 command line or settings are wrong. */
export const runAgent = (args: readonly string[]): Promise<number> =>
  runCommand(args, {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  });
