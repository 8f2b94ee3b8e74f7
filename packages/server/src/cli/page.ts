/** The command line as a page of the reference. */
import type { Command, Option } from 'commander';
import { settings } from '../config.ts';
import type { Io } from './io.ts';
import { buildProgram } from './program.ts';
import { common } from './serve.ts';

const silent: Io = {
  out: () => undefined,
  err: () => undefined,
  interactive: false,
  stdin: async function* () {},
  now: () => 0,
  sleep: async () => undefined,
  flags: {},
};

const shared = new Set([...common].map((name) => settings[name].flag as string).concat('--json', '--version'));
const cell = (text: string): string => text.replaceAll('|', '\\|');
const row = (o: Option): string => `| \`${cell(o.flags)}\` | ${cell(o.description)} |`;
const optionTable = (options: readonly Option[]): string[] =>
  options.length === 0 ? [] : ['| flag | meaning |', '|---|---|', ...options.map(row), ''];

const section = (command: Command, path: string): string[] => {
  const name = `${path} ${command.name()}`;
  if (command.commands.length > 0) return command.commands.flatMap((child) => section(child, name));
  const args = command.registeredArguments.map((a) => (a.required ? ` <${a.name()}>` : ` [${a.name()}]`)).join('');
  const own = command.options.filter((o) => !shared.has(o.long ?? ''));
  return [
    `## ${name}${args}`,
    '',
    `${command.description()}.`,
    '',
    ...(command.name() === 'serve' ? ['Its flags are the [settings](settings.md).', ''] : optionTable(own)),
  ];
};

export const cliPage = (): string => {
  const program = buildProgram(silent, '0', () => undefined);
  return [
    '# The command line',
    '',
    'Made from `packages/server/src/cli`; do not edit. Every command but `serve`, `agent` and `replay` speaks HTTP to a server:',
    'the one of `--url` and `--key`, or the local one, found by its data directory.',
    '',
    'Exit codes: 0 done; 1 failed, refused for what was asked, or done with something wrong (an account that cannot be billed, a',
    'figure that differs, a problem the doctor found); 2 the command line is wrong; 3 no server answers; 4 no key, or one that',
    'may not do this.',
    '',
    '## All commands',
    '',
    ...optionTable(program.options),
    ...program.commands.flatMap((command) => section(command, 'tollgate')),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
};
