/** tollgate audit: every change, by whom and why. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { changes, changesTable, type Kind } from './corrections.ts';
import { type Io, json } from './io.ts';

interface Options {
  since?: string;
  limit: string;
  kind?: Kind[];
  tenant?: string;
}

export const auditCommand = (program: Command, io: Io): void => {
  program
    .command('audit')
    .description('every change of accounts, owners, meters, keys, corrections and decisions, newest last')
    .option('--since <time>', 'not before')
    .option('--limit <n>', 'the newest so many', '50')
    .option('--kind <kinds...>', 'only these: account, owner, meter, void, set, decision, key ...')
    .option('--tenant <account>', 'only changes in the namespace of this account')
    .action(async (o: Options) => {
      const items = await changes(connect(io), o, o.kind);
      if (io.flags.json) return json(io, items);
      if (items.length === 0) io.out('Nothing was changed.\n');
      io.out(changesTable(items));
    });
};
