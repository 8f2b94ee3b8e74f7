/** The real server as a process of its own, with stores in the bench's folder. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const bin = join(import.meta.dirname, '..', '..', 'packages', 'server', 'bin', 'tollgate.js');

export interface ServerProcess {
  url: string;
  /** `host:port` that answers Envoy. */
  rls: string;
  key: string;
  stop(): Promise<void>;
}

/** Rejects with what it wrote when it ends before it is ready. */
export async function startServer(folder: string): Promise<ServerProcess> {
  // The service user must be able to walk in, also when this process is root.
  chmodSync(folder, 0o711);
  const dataDir = join(folder, 'data');
  const settings = ['--data-dir', dataDir, '--http-port', '0', '--rls-port', '0', '--collector', 'false'];
  const child = spawn(process.execPath, [bin, 'serve', ...settings], { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const gone = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await gone;
  };
  for (;;) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
    const rls = /Envoy.*?(127\.0\.0\.1:\d+)/.exec(output)?.[1];
    if (url !== undefined && rls !== undefined)
      return { url, rls, key: readFileSync(join(dataDir, 'admin.key'), 'utf8').trim(), stop };
    const more = await Promise.race([once(child.stderr, 'data'), gone.then(() => null)]);
    if (more === null) throw new Error(`the server ended:\n${output}`);
  }
}
