/** tollgate resources: what is measured, and whose it is. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { table } from './table.ts';

type TrafficType = 'public' | 'guest' | 'private-gateway' | 'vpn' | 'management' | 'storage';
interface SetOptions {
  name?: string;
  traffic?: TrafficType | 'none';
  tag?: string;
  billable?: 'yes' | 'no' | 'auto';
  tenant?: string;
  reason?: string;
}

export const resourcesCommand = (program: Command, io: Io): void => {
  const resources = program.command('resources').description('what is measured, its kind of traffic, and whose it is');
  resources
    .command('list', { isDefault: true })
    .description('all resources')
    .option('--account <id>', 'owned now by it; unattributed for those of nobody')
    .action(async (o: { account?: string }) => {
      const client = connect(io);
      const items = [];
      for (let cursor: string | undefined; ; ) {
        const page = await client.call('GET /api/v1/resources', {
          query: { account: o.account, limit: 10_000, cursor },
        });
        items.push(...page.items);
        cursor = page.nextCursor;
        if (cursor === undefined) break;
      }
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'resource', cell: (r) => r.id },
          { title: 'name', cell: (r) => r.name },
          { title: 'owner', cell: (r) => r.account ?? 'nobody' },
          { title: 'traffic', cell: (r) => r.trafficType ?? '' },
          { title: 'tag', cell: (r) => r.tag },
          { title: 'billable', cell: (r) => (r.billable ? 'yes' : 'no') },
        ]),
      );
    });
  resources
    .command('set <id>')
    .description('describe a resource')
    .option('--name <text>', 'shown to people')
    .option('--traffic <type>', 'public, guest, private-gateway, vpn, management, storage, or none')
    .option('--tag <tag>', 'VLAN id or VNI')
    .option('--billable <yes|no|auto>', 'auto: by traffic type, management and storage never')
    .option('--tenant <account>', 'namespace, for a key of the installation')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (id: string, o: SetOptions) => {
      const body = {
        ...(o.name === undefined ? {} : { name: o.name }),
        ...(o.tag === undefined ? {} : { tag: o.tag }),
        ...(o.traffic === undefined ? {} : { trafficType: o.traffic === 'none' ? null : o.traffic }),
        ...(o.billable === undefined ? {} : { billable: o.billable === 'auto' ? null : o.billable === 'yes' }),
        ...(o.tenant === undefined ? {} : { tenant: o.tenant }),
        ...(o.reason === undefined ? {} : { reason: o.reason }),
      };
      const resource = await connect(io).call('PUT /api/v1/resources/{id}', { params: { id }, body });
      if (io.flags.json) return json(io, resource);
      io.out(`Changed resource ${resource.id}.\n`);
    });
  resources
    .command('owner <id> <account>')
    .description('give a resource to an account; `nobody` takes it from all')
    .option('--from <time>', 'from when on, also in the past (default: now)')
    .option('--tenant <account>', 'namespace, for a key of the installation')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (id: string, account: string, o: { from?: string; tenant?: string; reason?: string }) => {
      const body = { account: account === 'nobody' ? null : account, ...o };
      const { items } = await connect(io).call('POST /api/v1/resources/{id}/owner', { params: { id }, body });
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'owner', cell: (s) => s.account ?? 'nobody' },
          { title: 'from', cell: (s) => s.from },
          { title: 'to', cell: (s) => s.to ?? '' },
        ]),
      );
    });
};
