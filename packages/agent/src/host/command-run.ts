/** `tollgate-agent run`: the daemon until it is told to stop. */
import type { Backlog } from '../backlog/backlog.ts';
import { realCommands } from '../poll/commands.ts';
import { realScrape } from '../poll/scrape.ts';
import type { Report } from '../publisher.ts';
import { httpNetwork, realClock, realDisk, realRandomness } from '../real.ts';
import type { Command } from './command.ts';
import { type AgentConfig, ConfigError } from './config.ts';
import { Daemon, passMemory } from './daemon.ts';
import { MappingFile } from './mapping-watch.ts';
import { seatsOf } from './wiring.ts';
import { openBacklog } from './wiring-backlog.ts';
import { makeFolders, memoryOf, realMappingFiles, watchFile } from './wiring-files.ts';

/** How long --once tries to reach the server. */
const ONCE_MS = 30_000;

const levels = ['debug', 'info', 'warn', 'error'];

export const run = async ({ config, once, terminal }: Command): Promise<number> => {
  const { values } = config;
  wantServer(config);
  const report = ({ level, message }: Report): void => {
    if (levels.indexOf(level) >= levels.indexOf(values['log.level']))
      terminal.err(message.replace(/^/gm, 'tollgate-agent: ').concat('\n'));
  };
  try {
    makeFolders(config);
    const mapping = new MappingFile(values.mapping, realMappingFiles, report);
    const backlog = await openBacklog(config, report, once);
    try {
      const daemon = daemonOf(config, mapping, backlog, report);
      return await (once ? passOnce(daemon) : keepPassing(daemon, mapping));
    } finally {
      await backlog?.close();
    }
  } catch (error) {
    report({ level: 'error', message: error instanceof Error ? error.message : String(error) });
    return 1;
  }
};

const wantServer = ({ values }: AgentConfig): void => {
  const problems: string[] = [];
  if (values['server.url'] === '')
    problems.push('--url (TOLLGATE_URL, server.url) wants the address of the server: http://... or https://...');
  if (values['server.key'] === '')
    problems.push(
      '--key-file (TOLLGATE_KEY, server.keyFile) wants a key; make one with: tollgate keys create --scope ingest --source NAME',
    );
  if (problems.length > 0) throw new ConfigError(problems);
};

const daemonOf = (
  config: AgentConfig,
  mapping: MappingFile,
  backlog: Backlog | undefined,
  report: (report: Report) => void,
): Daemon => {
  const { values } = config;
  const memory = memoryOf(config, report);
  const polling = { clock: realClock, disk: realDisk, commands: realCommands, scrape: realScrape };
  const seats = seatsOf(polling, config.pollers, (poller) => memory.read(passMemory(poller)));
  return new Daemon(
    {
      clock: realClock,
      random: realRandomness,
      network: httpNetwork(values['server.url'], values['server.key'], values['server.timeout']),
      backlog,
      mapping,
      report,
      memory,
      showStatus: (status) => {
        const path = values['status.file'];
        if (path !== '') realDisk.replace(path, `${JSON.stringify(status)}\n`);
      },
    },
    {
      source: values.source,
      bufferMax: values['poll.bufferMax'],
      statusMs: values['status.interval'],
      tunnels: config.tunnels,
    },
    seats,
  );
};

const stopping = (): AbortSignal => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
};

const passOnce = async (daemon: Daemon): Promise<number> => {
  const sent = await daemon.once(AbortSignal.any([stopping(), AbortSignal.timeout(ONCE_MS)]));
  return sent ? 0 : 1;
};

const keepPassing = async (daemon: Daemon, mapping: MappingFile): Promise<number> => {
  const reload = (): void => void mapping.reload();
  process.on('SIGHUP', reload);
  const unwatch = mapping.path === '' ? (): void => undefined : watchFile(mapping.path, () => void mapping.check());
  try {
    await daemon.run(stopping());
  } finally {
    unwatch();
    process.off('SIGHUP', reload);
  }
  return 0;
};
