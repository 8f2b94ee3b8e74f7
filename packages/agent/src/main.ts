/** The agent as a process of its own: node packages/agent/dist/main.js --url ... --key ... */
import { Collector } from './collector.ts';
import { type AgentConfig, agentConfig, usageText } from './config.ts';
import { httpNetwork, realClock, realDisk, realRandomness } from './real.ts';

/** How long --once tries to reach the server. */
const ONCE_MS = 30_000;

const complain = (line: string): void => {
  process.stderr.write(`tollgate-agent: ${line}\n`);
};

const configured = (): AgentConfig | null => {
  try {
    const config = agentConfig(process.argv.slice(2));
    if (config === null) process.stdout.write(usageText);
    return config;
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    process.stderr.write(`\n${usageText}`);
    process.exitCode = 2;
    return null;
  }
};

const run = async (config: AgentConfig): Promise<void> => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const collector = new Collector(
    { clock: realClock, disk: realDisk, random: realRandomness, network: httpNetwork(config.url, config.key) },
    config,
    { report: ({ level, message }) => (level === 'debug' ? undefined : complain(message)) },
  );
  const limit = AbortSignal.any([stop.signal, AbortSignal.timeout(ONCE_MS)]);
  if (config.once) process.exitCode = (await collector.once(limit)) && collector.publisher.lost === 0 ? 0 : 1;
  else await collector.run(stop.signal);
};

const config = configured();
if (config !== null) await run(config);
