/** The command line of `tollgate-agent`: which verb, with which flags. */
import { parseArgs } from 'node:util';
import { check } from './command-check.ts';
import { run } from './command-run.ts';
import { showConfig, status } from './command-show.ts';
import { type AgentConfig, ConfigError, type Flags, loadAgentConfig, type Surroundings } from './config.ts';
import { settingNames, settingOf } from './settings.ts';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
}

export interface Command {
  config: AgentConfig;
  once: boolean;
  json: boolean;
  terminal: Terminal;
}

/** Each resolves to the exit code. */
const verbs: Readonly<Record<string, (command: Command) => Promise<number> | number>> = {
  run,
  status,
  config: showConfig,
  check,
};

const flagged = settingNames.filter((name) => settingOf(name).flag !== '');

const options = {
  ...Object.fromEntries(flagged.map((name) => [settingOf(name).flag, { type: 'string' as const }])),
  config: { type: 'string' },
  once: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const usageText = `tollgate-agent: counts what this host's interfaces, rules and guests send and receive, and publishes it

  tollgate-agent [run]     until told to stop; --once: one pass, 0 when all of it was acknowledged
  tollgate-agent check     reads settings and mapping, and shows what each object that is here would belong to
  tollgate-agent config    every setting as it holds, and where it came from
  tollgate-agent status    what the running agent does: passes, errors, what waits, whose clock is off

${flagged.map((name) => `  ${`--${settingOf(name).flag} X`.padEnd(16)} ${settingOf(name).about.replaceAll('`', '')}`).join('\n')}
  --config FILE    settings file, default /etc/tollgate/tollgate-agent.yaml when it exists
  --once  --json  --help

A key on the command line shows in the process list: use TOLLGATE_KEY or a key file. All settings: docs/reference/agent.md
`;

/** Older than the units: seconds. */
const withUnit = (name: string, text: string): string =>
  name === 'poll.interval' && /^\d+$/.test(text) ? `${text}s` : text;

interface Parsed {
  verb: string;
  flags: Flags;
  file: string | undefined;
  once: boolean;
  json: boolean;
  help: boolean;
}

/** Throws an Error whose message says what is wrong. */
const parse = (args: readonly string[]): Parsed => {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const given: Readonly<Record<string, string | boolean | undefined>> = values;
  const [verb = 'run', ...more] = positionals;
  if (verbs[verb] === undefined || more.length > 0)
    throw new Error(`"${positionals.join(' ')}" is no command; there are ${Object.keys(verbs).join(', ')}`);
  const flags: Record<string, string> = {};
  for (const name of flagged) {
    const text = given[settingOf(name).flag];
    if (typeof text === 'string') flags[name] = withUnit(name, text);
  }
  return {
    verb,
    flags,
    file: values.config,
    once: values.once === true,
    json: values.json === true,
    help: values.help === true,
  };
};

/** Resolves to the exit code: 0 done, 1 something is wrong that was asked about, 2 command line or settings are wrong. */
export const runCommand = async (
  args: readonly string[],
  terminal: Terminal,
  around?: Surroundings,
): Promise<number> => {
  const complain = (line: string): void => terminal.err(`tollgate-agent: ${line}\n`);
  let parsed: Parsed;
  try {
    parsed = parse(args);
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    terminal.err(`\n${usageText}`);
    return 2;
  }
  const { verb, flags, file, once, json, help } = parsed;
  if (help) {
    terminal.out(usageText);
    return 0;
  }
  try {
    const config = loadAgentConfig({ flags, ...(file === undefined ? {} : { file }) }, around);
    return (await verbs[verb]?.({ config, once, json, terminal })) ?? 2;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) complain(problem);
    return 2;
  }
};
