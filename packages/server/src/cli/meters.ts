/** tollgate meters: how events become quantities. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { table } from './table.ts';

type Definition = Record<string, unknown>;

const definition = (file: string): Definition => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Definition;
  } catch (error) {
    throw new CliError(
      Exit.usage,
      `${file}: ${error instanceof Error ? error.message : String(error)}`,
      'The file holds one meter as JSON; see docs/reference/meters.md.',
    );
  }
};

export const metersCommand = (program: Command, io: Io): void => {
  const meters = program.command('meters').description('how events become quantities');
  meters
    .command('list', { isDefault: true })
    .description('all meters')
    .action(async () => {
      const items = await connect(io).call('GET /api/v1/meters');
      if (io.flags.json) return json(io, items);
      io.out(
        table(items, [
          { title: 'meter', cell: (m) => m.key },
          { title: 'kind', cell: (m) => m.kind },
          { title: 'aggregation', cell: (m) => m.aggregation.toLowerCase() },
          { title: 'event type', cell: (m) => m.eventType },
          { title: 'value', cell: (m) => m.valueProperty ?? '' },
          { title: 'by', cell: (m) => Object.keys(m.groupBy).join(' ') },
          { title: 'unit', cell: (m) => m.unit },
          { title: 'version', cell: (m) => (m.builtIn ? 'built in' : String(m.version)), right: true },
        ]),
      );
    });
  meters
    .command('create <file>')
    .description('define a meter, or a list of them, from a JSON file; it covers the past too')
    .action(async (file: string) => {
      const read: Definition | readonly Definition[] = definition(file);
      const list: readonly Definition[] = Array.isArray(read) ? read : [read];
      const made = [];
      for (const one of list) made.push(await connect(io).call('POST /api/v1/meters', { body: one }));
      if (io.flags.json) return json(io, Array.isArray(read) ? made : made[0]);
      const names = made.map((meter) => meter.key).join(', ');
      io.out(
        `Defined ${made.length === 1 ? 'meter' : 'meters'} ${names}. The next run of the job computes the past: \`tollgate job run\`.\n`,
      );
    });
  meters
    .command('set <key> <file>')
    .description('make the next version of a meter')
    .action(async (key: string, file: string) => {
      const meter = await connect(io).call('PUT /api/v1/meters/{key}', { params: { key }, body: definition(file) });
      if (io.flags.json) return json(io, meter);
      io.out(`Meter ${meter.key} is at version ${meter.version}.\n`);
    });
  meters
    .command('delete <key>')
    .description('take a meter out of use; its versions stay on record')
    .action(async (key: string) => {
      await connect(io).call('DELETE /api/v1/meters/{key}', { params: { key } });
      io.out(`Meter ${key} is out of use.\n`);
    });
};
