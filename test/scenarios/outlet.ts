/** A way out of a namespace that no interface under test carries: TCP on its loopback, a Unix socket, the server. */
import type { ChildProcess } from 'node:child_process';
import { connect, createServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Wire } from './namespace.ts';

const PORT = 8080;
const traffic = fileURLToPath(new URL('./traffic.js', import.meta.url));

export class Outlet {
  /** Inside the namespace. */
  readonly url = `http://127.0.0.1:${PORT}`;
  readonly #server: NetServer;
  readonly #relay: ChildProcess;

  /** `dir`: a folder for the socket. */
  constructor(wire: Wire, dir: string, serverUrl: string) {
    const socket = join(dir, 'outlet');
    const port = Number(new URL(serverUrl).port);
    this.#server = createServer((inner) => {
      const outer = connect(port, '127.0.0.1');
      inner.pipe(outer).pipe(inner);
      for (const end of [inner, outer]) {
        end.on('error', () => {
          inner.destroy();
          outer.destroy();
        });
      }
    });
    this.#server.listen(socket);
    this.#relay = wire.spawn(wire.left, [process.execPath, traffic, 'relay', String(PORT), socket]);
  }

  close(): void {
    this.#relay.kill('SIGKILL');
    this.#server.close();
  }
}
