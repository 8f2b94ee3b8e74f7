/** tollgate corrections: facts about facts. Nothing is edited or deleted; the next run of the job counts it so. */
import { readFileSync } from 'node:fs';
import type { Client, Operations } from '@tollgate/client';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { table } from './table.ts';

type Done = Operations['POST /api/v1/corrections/void']['answer'];

interface Common {
  reason: string;
  tenant?: string;
}

const withReason = (command: Command): Command => command.requiredOption('--reason <text>', 'why, for the audit log');
const withTenant = (command: Command): Command =>
  withReason(command).option('--tenant <account>', 'namespace, for a key of the installation');

const given = <T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as never;

const receiptOf = (text: string): number => {
  if (!/^[1-9]\d{0,15}$/.test(text))
    throw new CliError(Exit.usage, `${text} is no receipt number`, 'See the readings of `tollgate explain`.');
  return Number(text);
};

/** `@FILE` reads the text from a file; anything else is the text itself. */
const textOf = (data: string): string => {
  if (!data.startsWith('@')) return data;
  try {
    return readFileSync(data.slice(1), 'utf8').trim();
  } catch (error) {
    throw new CliError(Exit.usage, `--data: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** What was done as a sentence, or the whole fact for programs. */
const tell = (io: Io, done: Done, sentence: string): void => {
  if (io.flags.json) json(io, done);
  else io.out(`${sentence} (receipt ${done.receipt}). The next run of the job counts it so.\n`);
};

const voidCommand = (parent: Command, io: Io): void => {
  withTenant(parent.command('void').description('an event (--source, --id) or a reading (--receipt) counts no more'))
    .option('--source <name>', 'source of the event')
    .option('--id <id>', 'id of the event')
    .option('--receipt <number>', 'receipt of the reading')
    .action(async (o: Common & { source?: string; id?: string; receipt?: string }) => {
      const byName = o.source !== undefined && o.id !== undefined;
      if (byName === (o.receipt !== undefined))
        throw new CliError(
          Exit.usage,
          'Name one fact',
          'Give --source and --id of an event, or --receipt of a reading.',
        );
      const receipt = o.receipt === undefined ? undefined : receiptOf(o.receipt);
      const body = given({ source: o.source, id: o.id, receipt, tenant: o.tenant, reason: o.reason });
      const done = await connect(io).call('POST /api/v1/corrections/void', { body });
      tell(io, done, receipt === undefined ? `Event ${o.id} counts no more` : `Reading ${receipt} counts no more`);
    });
};

const amendCommand = (parent: Command, io: Io): void => {
  withTenant(parent.command('amend').description('new content for an event; what is not given stays as it is'))
    .requiredOption('--source <name>', 'source of the event')
    .requiredOption('--id <id>', 'id of the event')
    .option('--time <time>', 'the right time')
    .option('--subject <name>', 'the right subject')
    .option('--data <json>', 'the right data as JSON text, or @FILE; no number in it is rounded')
    .action(async (o: Common & { source: string; id: string; time?: string; subject?: string; data?: string }) => {
      if (o.time === undefined && o.subject === undefined && o.data === undefined)
        throw new CliError(Exit.usage, 'Nothing to amend', 'Give --time, --subject or --data.');
      const { source, id, time, subject, tenant, reason } = o;
      const data = o.data === undefined ? undefined : textOf(o.data);
      const body = { ...given({ time, subject, data, tenant }), source, id, reason };
      tell(io, await connect(io).call('POST /api/v1/corrections/amend', { body }), `Amended event ${id}`);
    });
};

const attributeCommand = (parent: Command, io: Io): void => {
  withTenant(
    parent
      .command('attribute <resource> <account>')
      .description('give the usage of a resource to an account, also for the past'),
  )
    .requiredOption('--from <time>', 'from when on')
    .action(async (resource: string, account: string, o: Common & { from: string }) => {
      const done = await connect(io).call('POST /api/v1/corrections/attribute', { body: { resource, account, ...o } });
      tell(io, done, `${resource} belongs to ${account} from ${o.from} on`);
    });
};

const unobservedCommand = (parent: Command, io: Io): void => {
  withReason(parent.command('unobserved <series>').description('what is pending of a series in a span never comes'))
    .requiredOption('--from <time>', 'first instant')
    .requiredOption('--to <time>', 'one past the last')
    .action(async (series: string, o: { from: string; to: string; reason: string }) => {
      if (!/^[1-9]\d{0,9}$/.test(series))
        throw new CliError(Exit.usage, `${series} is no number of a series`, 'See `tollgate usage --by series`.');
      const body = { series: Number(series), ...o };
      const done = await connect(io).call('POST /api/v1/corrections/unobserved', { body });
      tell(io, done, `What was pending of series ${series} is unobserved`);
    });
};

const setsCommands = (parent: Command, io: Io): void => {
  const sets = parent.command('sets').description('named sets of events sent in later: `tollgate events send --set`');
  sets
    .command('list', { isDefault: true })
    .description('all sets')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/corrections/sets');
      if (io.flags.json) return json(io, items);
      if (items.length === 0) io.out('There are no sets.\n');
      io.out(
        table(items, [
          { title: 'set', cell: (s) => s.name },
          { title: 'state', cell: (s) => s.state },
        ]),
      );
    });
  withReason(sets.command('open <name>').description('open a set')).action(async (name: string, o: Common) => {
    const done = await connect(io).call('POST /api/v1/corrections/sets', { body: { name, reason: o.reason } });
    if (io.flags.json) json(io, done);
    else io.out(`Opened ${name}. Send to it with \`tollgate events send FILE --set ${name}\`.\n`);
  });
  withReason(sets.command('undo <name>').description('all events of a set count no more')).action(
    async (name: string, o: Common) => {
      const call = { params: { name }, body: { reason: o.reason } };
      tell(io, await connect(io).call('POST /api/v1/corrections/sets/{name}/undo', call), `Undid ${name}`);
    },
  );
};

/** Kinds of control facts that correct others. */
const corrective: readonly Kind[] = ['void', 'set', 'decision', 'quarantine', 'unobserved', 'owner'];

const listCommand = (parent: Command, io: Io): void => {
  parent
    .command('list', { isDefault: true })
    .description('corrections made, newest last')
    .option('--since <time>', 'not before')
    .option('--limit <n>', 'the newest so many', '50')
    .action(async (o: { since?: string; limit: string }) => {
      const items = await changes(connect(io), o, corrective);
      if (io.flags.json) return json(io, items);
      if (items.length === 0) io.out('Nothing was corrected.\n');
      io.out(changesTable(items));
    });
};

export type Change = Operations['GET /api/v1/audit']['answer']['items'][number];
type Query = NonNullable<Operations['GET /api/v1/audit']['query']>;
export type Kind = NonNullable<Query['kind']>[number];

/** The newest changes, oldest of them first. */
export const changes = async (
  client: Client,
  o: { since?: string; limit: string; tenant?: string },
  kind: readonly Kind[] | undefined,
): Promise<Change[]> => {
  if (!/^[1-9]\d{0,5}$/.test(o.limit)) throw new CliError(Exit.usage, `--limit: ${o.limit} is no number of rows`);
  const items: Change[] = [];
  for (let cursor: string | undefined; items.length < Number(o.limit); ) {
    const limit = Math.min(10_000, Number(o.limit) - items.length);
    const query = { order: 'newest' as const, since: o.since, kind, tenant: o.tenant, limit, cursor };
    const page = await client.call('GET /api/v1/audit', { query });
    items.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === undefined) break;
  }
  return items.reverse();
};

/** The body of a fact on one line: what it is about, without its kind. */
const about = ({ body }: Change): string =>
  Object.entries(body)
    .filter(([name, v]) => name !== 'kind' && v !== null && v !== '')
    .map(([name, v]) => `${name}=${typeof v === 'object' ? JSON.stringify(v) : String(v)}`)
    .join(' ');
const ABOUT_MAX = 100;
const cut = (text: string): string => (text.length > ABOUT_MAX ? `${text.slice(0, ABOUT_MAX - 1)}…` : text);

export const changesTable = (items: readonly Change[]): string =>
  table(items, [
    { title: 'receipt', cell: (c) => String(c.receipt), right: true },
    { title: 'at', cell: (c) => c.recordedAt },
    { title: 'tenant', cell: (c) => c.tenant },
    { title: 'by', cell: (c) => c.author },
    { title: 'kind', cell: (c) => c.kind },
    { title: 'what', cell: (c) => cut(about(c)) },
    { title: 'reason', cell: (c) => c.reason },
  ]);

export const correctionsCommand = (program: Command, io: Io): void => {
  const corrections = program
    .command('corrections')
    .description('void, amend, backfill with undo, re-attribute: facts about facts, with author and reason');
  listCommand(corrections, io);
  voidCommand(corrections, io);
  amendCommand(corrections, io);
  attributeCommand(corrections, io);
  unobservedCommand(corrections, io);
  setsCommands(corrections, io);
};
