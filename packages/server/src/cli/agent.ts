/** tollgate agent: the agent of @tollgate/agent, for machines that have the whole package anyway. */
import { runAgent } from '@tollgate/agent';
import type { Command } from 'commander';

export const agentCommand = (program: Command, end: (code: number) => void): void => {
  program
    .command('agent [args...]')
    .description('publish the interfaces of this machine to a server; tollgate agent --help')
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args: string[]) => end(await runAgent(args)));
};
