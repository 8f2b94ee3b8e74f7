/** Commands about files of facts: replay, export, events send. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { replay, UsageError } from '../usage/index.ts';
import { connect } from './connect.ts';
import { download } from './download.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { grouped, unitText } from './quantity.ts';
import { table } from './table.ts';

/** Events in one request; the server's own bound is the same. */
const BATCH = 10_000;

const input = (io: Io, file: string): Readable => {
  if (file === '-') return Readable.from(io.stdin());
  return createReadStream(file);
};

const replayCommand = (program: Command, io: Io): void => {
  program
    .command('replay <file>')
    .description('usage records from a file of facts: no server, no state (- for standard input)')
    .action(async (file: string) => {
      try {
        const records = await replay(createInterface({ input: input(io, file), crlfDelay: Number.POSITIVE_INFINITY }));
        const rows = records.map((r) => ({ ...r, window: new Date(r.window).toISOString() }));
        if (io.flags.json) return json(io, rows);
        io.out(
          table(rows, [
            { title: 'account', cell: (r) => r.account ?? 'nobody' },
            { title: 'resource', cell: (r) => r.resource },
            { title: 'meter', cell: (r) => r.meter },
            { title: 'window', cell: (r) => r.window },
            { title: 'quantity', cell: (r) => grouped(r.quantity), right: true },
            { title: 'unit', cell: (r) => unitText(r.unit) },
            { title: 'state', cell: (r) => r.state },
            { title: 'flags', cell: (r) => r.flags.join(' ') },
          ]),
        );
      } catch (error) {
        if (error instanceof UsageError)
          throw new CliError(Exit.failure, `${file}: ${error.message}`, 'Files are made with `tollgate export`.');
        throw error;
      }
    });
};

const exportCommand = (program: Command, io: Io): void => {
  program
    .command('export')
    .description('the facts that usage of a span is computed from, for `tollgate replay`')
    .requiredOption('--from <time>', 'first instant')
    .requiredOption('--to <time>', 'one past the last')
    .option('--out <file>', 'write to a file instead of standard output')
    .option('--account <ids...>', 'only these accounts')
    .option('--meter <keys...>', 'only these meters')
    .action(async (o: { from: string; to: string; out?: string; account?: string[]; meter?: string[] }) => {
      const pairs = new URLSearchParams({ from: o.from, to: o.to });
      for (const one of o.account ?? []) pairs.append('account', one);
      for (const one of o.meter ?? []) pairs.append('meter', one);
      await download(io, `/api/v1/export?${pairs}`, o.out ?? '-');
    });
};

const eventsCommand = (program: Command, io: Io): void => {
  const events = program.command('events').description('send events');
  events
    .command('send <file>')
    .description('send CloudEvents: one JSON object a line, or a JSON array (- for standard input)')
    .option('--set <name>', 'backfill set they belong to')
    .action(async (file: string, o: { set?: string }) => {
      const client = connect(io);
      const total = { accepted: 0, duplicates: 0, conflicts: 0, rejected: 0 };
      const bad: { position: number; message: string }[] = [];
      let sent = 0;
      for await (const batch of batches(input(io, file))) {
        const answer = await client.send('POST', '/api/v1/events', {
          body: batch.body,
          contentType: 'application/cloudevents-batch+json',
          ...(o.set === undefined ? {} : { headers: { 'tollgate-set': o.set } }),
        });
        const outcome = (await answer.json()) as typeof total & {
          items: { position: number; outcome: string; message: string }[];
        };
        for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += outcome[name];
        bad.push(
          ...outcome.items.filter((i) => i.outcome !== 'duplicate').map((i) => ({ ...i, position: sent + i.position })),
        );
        sent += batch.count;
      }
      if (io.flags.json) json(io, { ...total, items: bad });
      else {
        io.out(
          `${total.accepted} accepted, ${total.duplicates} known before, ${total.conflicts} conflicts, ${total.rejected} rejected\n`,
        );
        for (const item of bad.slice(0, 20)) io.err(`event ${item.position + 1}: ${item.message}\n`);
      }
      if (bad.length > 0)
        throw new CliError(
          Exit.failure,
          `${bad.length} events were not taken`,
          'Conflicts are set aside: `tollgate quarantine list`.',
        );
    });
};

/** Lines are sent as they are, so that no number in them is rounded; a whole array goes as one body. */
async function* batches(stream: Readable): AsyncGenerator<{ body: string; count: number }> {
  let lines: string[] = [];
  let array: string[] | null = null;
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (array === null && lines.length === 0 && line.trimStart().startsWith('[')) array = [];
    if (array !== null) array.push(line);
    else if (line.trim() !== '') lines.push(line);
    if (lines.length >= BATCH) {
      yield { body: `[${lines.join(',')}]`, count: lines.length };
      lines = [];
    }
  }
  if (array !== null) yield { body: array.join('\n'), count: 0 };
  else if (lines.length > 0) yield { body: `[${lines.join(',')}]`, count: lines.length };
}

export const fileCommands = (program: Command, io: Io): void => {
  replayCommand(program, io);
  exportCommand(program, io);
  eventsCommand(program, io);
};
