/** The command line: every command, and what its failures say and end with. Begin reading here. */
import { ApiError, Unreachable } from '@tollgate/client';
import { Command, CommanderError } from 'commander';
import { type SettingName, settings } from '../config.ts';
import { accountsCommand } from './accounts.ts';
import { agentCommand } from './agent.ts';
import { auditCommand } from './audit.ts';
import { billingCommand } from './billing.ts';
import { correctionsCommand } from './corrections.ts';
import { creditsCommand } from './credits.ts';
import { checkCommand } from './decisions.ts';
import { doctorCommand } from './doctor.ts';
import { explainCommand } from './explain.ts';
import { fileCommands } from './files.ts';
import { invoicesCommand } from './invoices.ts';
import { CliError, Exit, type ExitCode, type Io } from './io.ts';
import { jobCommand } from './job.ts';
import { keysCommand } from './keys.ts';
import { limitsCommand } from './limits.ts';
import { metersCommand } from './meters.ts';
import { paymentsCommand } from './payments.ts';
import { plansCommand } from './plans.ts';
import { simulatePlansCommand } from './plans-simulate.ts';
import { quarantineCommand } from './quarantine.ts';
import { rateCommand } from './rate.ts';
import { resourcesCommand } from './resources.ts';
import { common, optionOf, serveCommand } from './serve.ts';
import { sourcesCommand } from './sources.ts';
import { plain } from './table.ts';
import { usageCommand } from './usage.ts';

interface Failure {
  exit: ExitCode;
  message: string;
  hint: string;
}

const failureOf = (error: unknown): Failure => {
  if (error instanceof CliError) return { exit: error.exit, message: error.message, hint: error.hint };
  if (error instanceof Unreachable)
    return {
      exit: Exit.unreachable,
      message: `No server answers at ${error.url}: ${error.message}`,
      hint: error.message.includes('certificate')
        ? 'Set TOLLGATE_URL to the name in the certificate, and NODE_EXTRA_CA_CERTS to the file of its authority.'
        : 'Is it running? Start it with `npm start`, or name another with TOLLGATE_URL.',
    };
  if (error instanceof ApiError) {
    const place = error.pointer === '' ? '' : ` (${error.pointer})`;
    const code = error.code === '' ? '' : ` [${error.code}]`;
    const exit =
      error.status === 401 || error.status === 403
        ? Exit.refused
        : error.status === 502 || error.status === 504
          ? Exit.unreachable
          : Exit.failure;
    return { exit, message: `${error.message}${place}${code}`, hint: error.hint };
  }
  return { exit: Exit.failure, message: error instanceof Error ? error.message : String(error), hint: '' };
};

/** All commands. `end` sets the exit code of a command that did what was asked, and found something wrong. */
export const buildProgram = (io: Io, version: string, end: (code: number) => void): Command => {
  const program = new Command('tollgate')
    .description('Meters what tenants consume, throttles them by it and bills them for it.')
    .version(version)
    .option('--json', 'answers for programs')
    .showHelpAfterError('(see: tollgate --help)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed or something is wrong, 2 command line wrong, 3 no server answers, 4 refused.\n',
    );
  const byOption = new Map<string, SettingName>();
  for (const name of common) {
    const option = optionOf(name);
    byOption.set(option.attributeName(), name);
    program.addOption(option);
  }
  // Flags of the whole program are also understood behind the command, where people write them.
  program.hook('preAction', (_, action) => {
    const given = action.optsWithGlobals() as Record<string, unknown>;
    io.flags.json = given.json === true;
    for (const [attribute, name] of byOption) if (given[attribute] !== undefined) io.flags[name] = given[attribute];
  });
  serveCommand(program, io, end);
  usageCommand(program, io);
  accountsCommand(program, io);
  metersCommand(program, io);
  simulatePlansCommand(plansCommand(program, io), io, end);
  billingCommand(program, io);
  invoicesCommand(program, io, end);
  creditsCommand(program, io);
  paymentsCommand(program, io);
  checkCommand(program, io, end);
  limitsCommand(program, io, end);
  sourcesCommand(program, io);
  resourcesCommand(program, io);
  keysCommand(program, io);
  jobCommand(program, io);
  quarantineCommand(program, io);
  correctionsCommand(program, io);
  auditCommand(program, io);
  explainCommand(program, io);
  doctorCommand(program, io, end);
  fileCommands(program, io);
  rateCommand(program, io, end);
  agentCommand(program, end);
  inherit(program);
  return program;
};

/** Runs one command line and resolves to its exit code. Writes only through `io`. */
export const runProgram = async (args: readonly string[], io: Io, version: string): Promise<number> => {
  let code: number = Exit.ok;
  const program = buildProgram(io, version, (next) => {
    code = next;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.ok : Exit.usage;
    const { exit, message, hint } = failureOf(error);
    io.err(`tollgate: ${plain(message.replaceAll('\n', '; '))}\n`);
    if (hint !== '') io.err(`${plain(hint)}\n`);
    return exit;
  }
  return code;
};

/** Subcommands know the program's flags too, and write and end as it does. */
const inherit = (command: Command): void => {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    if (child.commands.length === 0) {
      if (!child.options.some((o) => o.long === '--json')) child.option('--json', 'answers for programs');
      for (const name of common)
        if (!child.options.some((o) => o.long === settings[name].flag)) child.addOption(optionOf(name).hideHelp());
    }
    inherit(child);
  }
};
