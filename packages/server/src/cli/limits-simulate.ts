/** tollgate limits simulate: whom a limit would have refused, before it refuses anybody. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { type Io, json } from './io.ts';
import { readText } from './plans.ts';
import { withProgress } from './progress.ts';
import { grouped } from './quantity.ts';
import { plain, table } from './table.ts';

interface Refusal {
  account: string;
  subject: string;
  from: string;
  to: string;
  amount: number;
  used: string;
  over: string;
  refusals: number | null;
  firstFrom: string;
}
type Step =
  | { kind: 'progress'; done: number; of: number }
  | { kind: 'refusal'; refusal: Refusal }
  | { kind: 'bounded'; detail: string };

/** Rows shown; all of them with --json. */
const SHOWN = 200;

const show = (io: Io, found: readonly Refusal[], said: readonly string[]): void => {
  if (found.length === 0) io.out('Nobody would have been refused.\n');
  else
    io.out(
      table(found.slice(0, SHOWN), [
        { title: 'account', cell: (r) => plain(r.account) },
        { title: 'of', cell: (r) => plain(r.subject) },
        { title: 'period', cell: (r) => r.from },
        { title: 'used', cell: (r) => grouped(r.used), right: true },
        { title: 'limit', cell: (r) => grouped(String(r.amount)), right: true },
        { title: 'over', cell: (r) => grouped(r.over), right: true },
        { title: 'refusals', cell: (r) => (r.refusals === null ? '' : grouped(String(r.refusals))), right: true },
        { title: 'first', cell: (r) => r.firstFrom },
      ]),
    );
  if (found.length > SHOWN) io.out(`and ${found.length - SHOWN} more: --json shows all\n`);
  for (const line of said) io.err(`${plain(line)}\n`);
};

export const simulateCommand = (limits: Command, io: Io): void => {
  limits
    .command('simulate <file>')
    .description('whom a limit would have refused, from what was metered; changes nothing')
    .requiredOption('--from <time>', 'first instant')
    .option('--to <time>', 'one past the last (default: now)')
    .action(async (file: string, o: { from: string; to?: string }) => {
      const query = new URLSearchParams({ from: o.from, ...(o.to === undefined ? {} : { to: o.to }) });
      const sent = { body: readText(file), contentType: 'application/yaml' };
      const found: Refusal[] = [];
      const said: string[] = [];
      let part: number | null = null;
      const read = async (): Promise<void> => {
        const answer = await connect(io).send('POST', `/api/v1/limits/simulate?${query}`, sent);
        const lines = createInterface({ input: Readable.fromWeb(answer.body as ReadableStream) });
        for await (const line of lines) {
          const step = JSON.parse(line) as Step;
          if (step.kind === 'refusal') found.push(step.refusal);
          else if (step.kind === 'bounded') said.push(step.detail);
          else part = step.of === 0 ? null : step.done / step.of;
        }
      };
      await withProgress(io, read(), async () => ({ part, text: `${found.length} found` }));
      if (io.flags.json) return json(io, found);
      show(io, found, said);
    });
};
