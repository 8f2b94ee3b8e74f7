/** Programs the pollers run. Never a shell: a file and its arguments, bounded in time and in bytes. */
import { execFile } from 'node:child_process';

export interface CommandBounds {
  timeoutMs: number;
  /** Of standard output. */
  maxBytes: number;
  signal?: AbortSignal;
}

export interface Commands {
  /** Standard output. Rejects when the program is missing, fails, prints too much or takes too long. */
  run(file: string, args: readonly string[], bounds: CommandBounds): Promise<string>;
}

/** Figures must read the same on every host, so nothing of our environment is handed on, least of all its language. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** How long after its deadline a killed program may hold up its caller: one in uninterruptible sleep cannot be killed. */
const GRACE_MS = 250;

export const realCommands: Commands = {
  run: (file, args, { timeoutMs, maxBytes, signal }) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(tooLate(file, timeoutMs)), timeoutMs + GRACE_MS);
      const options = {
        encoding: 'utf8',
        env: ENVIRONMENT,
        killSignal: 'SIGKILL',
        maxBuffer: maxBytes,
        timeout: timeoutMs,
        windowsHide: true,
        ...(signal ? { signal } : {}),
      } as const;
      const child = execFile(file, [...args], options, (error, stdout, stderr) => {
        clearTimeout(late);
        if (error === null) resolve(stdout);
        else if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
          reject(new Error(`${file} printed more than ${maxBytes} bytes`));
        else if (error.killed === true && signal?.aborted !== true) reject(tooLate(file, timeoutMs));
        else {
          const said = stderr.trim().split('\n')[0];
          reject(new Error(said ? `${file}: ${said.slice(0, 300)}` : error.message.slice(0, 300)));
        }
      });
      // A program that reads its input must meet its end, not wait for us.
      child.stdin?.end();
    }),
};

const tooLate = (file: string, ms: number): Error => new Error(`${file} did not end within ${ms} ms`);
