/** The agent as a process: settings from a command line, one pass or passes until told to stop. */
import { Collector } from './collector.ts';
import { type AgentConfig, agentConfig, usageText } from './config.ts';
import { httpNetwork, realClock, realDisk, realRandomness } from './real.ts';

/** How long --once tries to reach the server. */
const ONCE_MS = 30_000;

const complain = (line: string): void => {
  process.stderr.write(`tollgate-agent: ${line}\n`);
};

const publish = async (config: AgentConfig): Promise<number> => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const collector = new Collector(
    { clock: realClock, disk: realDisk, random: realRandomness, network: httpNetwork(config.url, config.key) },
    config,
    { report: ({ level, message }) => (level === 'debug' ? undefined : complain(message)) },
  );
  if (!config.once) {
    await collector.run(stop.signal);
    return 0;
  }
  const sent = await collector.once(AbortSignal.any([stop.signal, AbortSignal.timeout(ONCE_MS)]));
  return sent && collector.publisher.lost === 0 ? 0 : 1;
};

/** Resolves to the exit code: 0 done, 1 not everything was acknowledged, 2 the command line is wrong. */
export const runAgent = async (args: readonly string[]): Promise<number> => {
  let config: AgentConfig | null;
  try {
    config = agentConfig(args);
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    process.stderr.write(`\n${usageText}`);
    return 2;
  }
  if (config === null) {
    process.stdout.write(usageText);
    return 0;
  }
  return publish(config);
};
