/** The `tollgate` command. */
import { runProgram } from './cli/program.ts';
import { systemClock } from './system.ts';
import { version } from './version.ts';

// A reader that ends early (`tollgate usage | head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runProgram(
  process.argv.slice(2),
  {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    stdin: () => process.stdin,
    now: () => systemClock.now(),
    sleep: (ms) => systemClock.sleep(ms),
    flags: {},
  },
  version,
);
