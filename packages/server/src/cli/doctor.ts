/** tollgate doctor: what is wrong, and what to do. */
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { Exit, type Io, json } from './io.ts';
import { plain } from './table.ts';

const signs = { ok: 'ok     ', warning: 'WARNING', problem: 'PROBLEM' } as const;

export const doctorCommand = (program: Command, io: Io, end: (code: number) => void): void => {
  program
    .command('doctor')
    .description('what is wrong, and what to do; ends with 1 when there is a problem')
    .option('--account <id>', "also: why is this account's usage zero")
    .action(async (o: { account?: string }) => {
      const answer = await connect(io).call('GET /api/v1/doctor', { query: { account: o.account } });
      if (!answer.healthy) end(Exit.failure);
      if (io.flags.json) return json(io, answer);
      for (const f of answer.findings) {
        io.out(`${signs[f.verdict]}  ${plain(f.check).padEnd(16)} ${plain(f.detail)}\n`);
        if (f.hint !== '') io.out(`${' '.repeat(26)}${plain(f.hint)}\n`);
      }
    });
};
