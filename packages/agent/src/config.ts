/** The agent's settings: flags over environment. The only file of the agent that reads the environment. */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';

export interface AgentConfig {
  url: string;
  key: string;
  source: string;
  intervalMs: number;
  once: boolean;
  statePath: string;
}

export const usageText = `tollgate-agent: publishes the counters of this machine's network interfaces

  --url URL          server, for example http://127.0.0.1:8080   (TOLLGATE_URL)
  --key KEY          a key with scope ingest for the source      (TOLLGATE_KEY, safer: not in the process list)
  --source NAME      who reports, default host/<machine>         (TOLLGATE_SOURCE)
  --interval S       seconds between passes, 1 to 3600, default 10
  --state FILE       remembers the last pass, so that what begins while the agent is away counts from its start
  --once             one pass, then end: 0 acknowledged, 1 not
`;

/** Throws an Error whose message says what is wrong. null: help was asked for. */
export const agentConfig = (
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): AgentConfig | null => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: 'string' },
      key: { type: 'string' },
      source: { type: 'string' },
      interval: { type: 'string' },
      state: { type: 'string' },
      once: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return null;
  const url = values.url ?? env.TOLLGATE_URL ?? '';
  const key = values.key ?? env.TOLLGATE_KEY ?? '';
  if (!/^https?:\/\//.test(url))
    throw new Error('--url (or TOLLGATE_URL) wants the address of the server: http://... or https://...');
  if (key === '')
    throw new Error(
      '--key (or TOLLGATE_KEY) wants a key; make one with: tollgate keys create --scope ingest --source NAME',
    );
  const seconds = Number(values.interval ?? '10');
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 3600)
    throw new Error('--interval wants whole seconds from 1 to 3600');
  return {
    url,
    key,
    source: values.source ?? env.TOLLGATE_SOURCE ?? `host/${hostname()}`,
    intervalMs: seconds * 1000,
    once: values.once ?? false,
    statePath: values.state ?? '',
  };
};
