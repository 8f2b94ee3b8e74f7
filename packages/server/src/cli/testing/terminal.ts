/** A terminal that remembers what was written, and a command line that speaks to a server over the model stores. */
import type { TestContext } from 'node:test';
import { openApi, type TestApi } from '../../api/testing/api.ts';
import type { Io } from '../io.ts';
import { runProgram } from '../program.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export const terminal = (stdin = ''): Io & { written: { out: string; err: string } } => {
  const written = { out: '', err: '' };
  return {
    written,
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    interactive: false,
    stdin: async function* () {
      yield stdin;
    },
    now: () => 0,
    sleep: () => new Promise((resolve) => setTimeout(resolve, 1)),
    flags: {},
  };
};

export const run = async (args: readonly string[], stdin = ''): Promise<Ran> => {
  const io = terminal(stdin);
  const code = await runProgram(args, io, '9.9.9');
  return { code, ...io.written };
};

/** A server over the model stores, and a command line that speaks to it. */
export const openCli = async (t: TestContext) => {
  const api: TestApi = await openApi(t);
  const url = await api.app.listen({ host: '127.0.0.1', port: 0 });
  const tollgate = (line: string[], stdin = '') => run([...line, '--url', url, '--key', api.admin], stdin);
  return { api, url, tollgate };
};
