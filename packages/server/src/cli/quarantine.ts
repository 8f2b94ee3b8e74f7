/** tollgate quarantine: what was set aside, and deciding about it. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { table } from './table.ts';

export const quarantineCommand = (program: Command, io: Io): void => {
  const quarantine = program.command('quarantine').description('what was set aside, and deciding about it');
  quarantine
    .command('list', { isDefault: true })
    .description('what is set aside')
    .option('--state <state>', 'open, released or dropped', 'open')
    .action(async (o: { state: 'open' | 'released' | 'dropped' }) => {
      const { items, nextCursor } = await connect(io).call('GET /api/v1/quarantine', { query: { state: o.state } });
      if (io.flags.json) return json(io, items);
      if (items.length === 0) io.out('Nothing is set aside.\n');
      io.out(
        table(items, [
          { title: 'id', cell: (i) => String(i.id), right: true },
          { title: 'code', cell: (i) => i.code },
          { title: 'at', cell: (i) => i.at },
          { title: 'resource', cell: (i) => i.resource ?? '' },
          { title: 'meter', cell: (i) => i.meter ?? '' },
          { title: 'reason', cell: (i) => i.reason },
        ]),
      );
      if (nextCursor !== undefined)
        io.out('There is more; decide about these first, or page through GET /api/v1/quarantine.\n');
    });
  const decide = (action: 'release' | 'drop', description: string): void => {
    quarantine
      .command(`${action} <ids...>`)
      .description(description)
      .option('--reason <text>', 'why, for the audit log')
      .action(async (ids: string[], o: { reason?: string }) => {
        const bad = ids.find((id) => !/^[1-9]\d{0,15}$/.test(id));
        if (bad !== undefined)
          throw new CliError(Exit.usage, `${bad} is no number of the list`, 'See `tollgate quarantine list`.');
        const client = connect(io);
        for (const id of ids) {
          const item = await client.call('POST /api/v1/quarantine/{id}/{action}', {
            params: { id: Number(id), action },
            body: o.reason === undefined ? {} : { reason: o.reason },
          });
          if (io.flags.json) json(io, item);
          else io.out(`${item.id} is ${item.state}. The next run of the job counts it so.\n`);
        }
      });
  };
  decide('release', 'let items count after all');
  decide('drop', 'decide that items never count');
};
