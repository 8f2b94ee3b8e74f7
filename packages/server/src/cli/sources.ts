/** tollgate sources: who reports. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { wholeOf } from './options.ts';
import { table } from './table.ts';

interface Change {
  completeness?: 'declared' | 'assumed';
  grace?: string;
  settleAfter?: string;
  tenant?: string;
  reason?: string;
}

export const sourcesCommand = (program: Command, io: Io): void => {
  const sources = program.command('sources').description('who reports, when last, and how far its clock is off');
  sources
    .command('list', { isDefault: true })
    .description('all sources')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/sources');
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'source', cell: (s) => s.id },
          { title: 'account', cell: (s) => s.tenant },
          { title: 'last seen', cell: (s) => s.lastSeen ?? 'never' },
          { title: 'complete through', cell: (s) => s.completeThrough ?? '' },
          { title: 'clock', cell: (s) => (s.clockOffsetMs === null ? '' : `${s.clockOffsetMs} ms`), right: true },
          { title: 'waiting', cell: (s) => (s.spoolDepth === null ? '' : String(s.spoolDepth)), right: true },
          { title: 'lost', cell: (s) => (s.lostMs === 0 ? '' : `${s.lostMs / 1000} s`), right: true },
          { title: 'completeness', cell: (s) => s.completeness },
          { title: 'grace', cell: (s) => (s.completeness === 'assumed' ? `${s.graceSeconds} s` : ''), right: true },
        ]),
      );
    });
  sources
    .command('set <id>')
    .description('say how complete a source is, and how long to wait for it')
    .option('--completeness <kind>', 'declared (it says itself) or assumed (after the grace)')
    .option('--grace <seconds>', 'wait after the end of a window')
    .option('--settle-after <seconds>', 'pending becomes unobserved after this')
    .option('--tenant <account>', 'namespace, for a key of the installation')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (id: string, o: Change) => {
      const body = {
        ...(o.completeness === undefined ? {} : { completeness: o.completeness }),
        ...(o.grace === undefined ? {} : { graceSeconds: wholeOf(o.grace, '--grace') }),
        ...(o.settleAfter === undefined ? {} : { settleAfterSeconds: wholeOf(o.settleAfter, '--settle-after') }),
        ...(o.tenant === undefined ? {} : { tenant: o.tenant }),
        ...(o.reason === undefined ? {} : { reason: o.reason }),
      };
      const source = await connect(io).call('PUT /api/v1/sources/{id}', { params: { id }, body });
      if (io.flags.json) return json(io, source);
      io.out(`Changed source ${source.id}.\n`);
    });
};
