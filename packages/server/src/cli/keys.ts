/** tollgate keys: who may do what. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { table } from './table.ts';

type Scope = 'ingest' | 'read' | 'admin';

export const keysCommand = (program: Command, io: Io): void => {
  const keys = program.command('keys').description('who may do what');
  keys
    .command('list', { isDefault: true })
    .description('all keys, without their secrets')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/keys');
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'key', cell: (k) => k.id },
          { title: 'name', cell: (k) => k.name },
          { title: 'account', cell: (k) => k.account ?? 'installation' },
          { title: 'scopes', cell: (k) => k.scopes.join(' ') },
          { title: 'sources', cell: (k) => k.sources.join(' ') },
          { title: '', cell: (k) => (k.revoked ? 'revoked' : '') },
        ]),
      );
    });
  keys
    .command('create')
    .description('make a key; its secret is shown this once')
    .requiredOption('--scope <scopes...>', 'ingest, read, admin')
    .option('--name <text>', 'shown to people')
    .option('--account <id>', 'account it is bound to (default: the installation)')
    .option('--source <names...>', 'sources it may speak for; one ending in * is a prefix')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (o: { scope: Scope[]; name?: string; account?: string; source?: string[]; reason?: string }) => {
      const { scope, source, ...rest } = o;
      const key = await connect(io).call('POST /api/v1/keys', {
        body: { ...rest, scopes: scope, ...(source === undefined ? {} : { sources: source }) },
      });
      if (io.flags.json) return json(io, key);
      io.out(`${key.secret}\n`);
      io.err(`Key ${key.id}. The secret above is shown this once: keep it where others cannot read it.\n`);
    });
  keys
    .command('revoke <id>')
    .description('let a key do nothing any more')
    .action(async (id: string) => {
      const key = await connect(io).call('DELETE /api/v1/keys/{id}', { params: { id } });
      if (io.flags.json) return json(io, key);
      io.out(`Revoked ${key.id}.\n`);
    });
};
