/** tollgate plans: what is included, and which limits come with it. */
import { readFileSync } from 'node:fs';
import { ApiError } from '@tollgate/client';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import { CliError, Exit, type Io, json } from './io.ts';
import { amountText, kindText, ruleText, scopeText } from './limit-text.ts';
import { billingText } from './price-text.ts';
import { plain, table } from './table.ts';

interface Changes {
  at: number;
  from: string;
  applied: boolean;
  changes: readonly {
    plan: string;
    change: string;
    fields: readonly { path: string; before: string | null; after: string | null }[];
  }[];
}
interface ApplyOptions {
  dryRun?: boolean;
  yes?: boolean;
  prune?: boolean;
  from?: string;
  reason?: string;
}

/** The text of a file of plans or of a limit. */
export const readText = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(Exit.usage, `${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** Sends the text; what is wrong with it is told as compilers do, `FILE:LINE:COLUMN`. */
export const sendText = async <A>(
  io: Io,
  method: 'POST' | 'PUT',
  path: string,
  query: Record<string, string | undefined>,
  file: string,
  text: string,
): Promise<A> => {
  const pairs = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const full = pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs)}`;
  try {
    const answer = await connect(io).send(method, full, { body: text, contentType: 'application/yaml' });
    return (await answer.json()) as A;
  } catch (error) {
    if (!(error instanceof ApiError) || !/\.invalid$/.test(error.code)) throw error;
    for (const line of error.message.split('\n')) io.err(`${plain(`${file}:${line}`)}\n`);
    throw new CliError(Exit.failure, `${file} was not applied [${error.code}]`, error.hint);
  }
};

const sign: Readonly<Record<string, string>> = { added: '+', removed: '-', changed: '~' };

/** One line a field: what it was and what it is to be. */
const showChanges = (io: Io, { changes }: Changes): void => {
  for (const { plan, change, fields } of changes) {
    io.out(plain(`${sign[change] ?? '~'} plan ${plan} is ${change}`).concat('\n'));
    for (const { path, before, after } of fields) {
      // Of a whole plan, what is empty says nothing.
      if (change !== 'changed' && ['""', '[]', 'false'].includes(after ?? before ?? '')) continue;
      const told = before === null ? (after ?? '') : after === null ? `${before} goes` : `${before} -> ${after}`;
      io.out(`    ${plain(`${path}: ${told}`)}\n`);
    }
  }
};

/** The first line of the standard input, on a question. */
const agreed = async (io: Io): Promise<boolean> => {
  io.err('Apply these changes? [y/N] ');
  let text = '';
  for await (const chunk of io.stdin()) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  return /^y(es)?\s*$/i.test(text.split('\n')[0] ?? '');
};

const apply = async (io: Io, file: string, o: ApplyOptions): Promise<void> => {
  const text = readText(file);
  const query = { from: o.from, reason: o.reason, ...(o.prune === true ? { prune: 'true' } : {}) };
  const send = (more: Record<string, string>): Promise<Changes> =>
    sendText(io, 'POST', '/api/v1/plans/apply', { ...query, ...more }, file, text);
  const planned = await send({ dryRun: 'true' });
  const silent = io.flags.json === true;
  if (!silent) showChanges(io, planned);
  if (planned.changes.length === 0 || o.dryRun === true) {
    if (silent) return json(io, planned);
    io.out(planned.changes.length === 0 ? 'Nothing changes.\n' : 'Nothing was written: a dry run.\n');
    return;
  }
  if (o.yes !== true && !(await agreed(io)))
    throw new CliError(Exit.failure, 'Nothing was written', 'Answer y, or give --yes.');
  // Refused when anything moved since the changes were shown.
  const done = await send({ at: String(planned.at) });
  if (silent) return json(io, done);
  io.out(`Applied, in force from ${done.from}.\n`);
};

/** The command, so that others can add to it. */
export const plansCommand = (program: Command, io: Io): Command => {
  const plans = program.command('plans').description('what is included, and which limits come with it');
  plans
    .command('list', { isDefault: true })
    .description('all plans')
    .action(async () => {
      const { items } = await connect(io).call('GET /api/v1/plans');
      if (io.flags.json) return json(io, items);
      if (items.length === 0) return io.out('There are no plans. Make some: `tollgate plans apply FILE`.\n');
      io.out(
        table(items, [
          { title: 'plan', cell: (p) => p.key },
          { title: 'name', cell: (p) => (p.name === p.key ? '' : p.name) },
          { title: 'version', cell: (p) => String(p.version), right: true },
          { title: 'from', cell: (p) => p.from },
          {
            title: 'includes',
            cell: (p) => p.entitlements.map((e) => `${e.key} ${amountText(e.amount, e.unit)} per ${e.per}`).join('; '),
          },
          { title: 'limits', cell: (p) => p.limits.map((l) => l.key).join(' ') },
        ]),
      );
    });
  plans
    .command('show <key>')
    .description('one plan: entitlements and limits')
    .action(async (key: string) => {
      const plan = await connect(io).call('GET /api/v1/plans/{key}', { params: { key } });
      if (io.flags.json) return json(io, plan);
      const removed = plan.removed ? ', out of use' : '';
      io.out(`${plain(plan.name)}: plan ${plan.key}, version ${plan.version} from ${plan.from}${removed}\n\n`);
      io.out(
        table(plan.entitlements, [
          { title: 'included', cell: (e) => e.key },
          { title: 'meter', cell: (e) => e.meter },
          { title: 'amount', cell: (e) => amountText(e.amount, e.unit), right: true },
          { title: 'per', cell: (e) => e.per },
          { title: 'beyond', cell: (e) => (e.overage === 'block' ? 'refused' : 'admitted and counted') },
        ]),
      );
      if (plan.entitlements.length > 0 && plan.limits.length > 0) io.out('\n');
      io.out(
        table(plan.limits, [
          { title: 'limit', cell: (l) => l.key },
          { title: 'meter', cell: (l) => l.meter },
          { title: 'rule', cell: (l) => ruleText(l) },
          { title: 'kind', cell: (l) => kindText(l) },
          { title: 'for each', cell: (l) => scopeText(l) },
          { title: 'notices', cell: (l) => l.thresholds.map((p) => `${p}%`).join(' ') },
          { title: 'actions', cell: (l) => l.actions.join(' ') },
        ]),
      );
      if (plan.billing !== undefined) io.out(`\n${billingText(plan.billing)}`);
    });
  plans
    .command('apply <file>')
    .description('make plans what a YAML file says; shows every change, then asks')
    .option('--dry-run', 'only show what would change')
    .option('--yes', 'do not ask')
    .option('--prune', 'take plans that are not in the file out of use')
    .option('--from <time>', 'when they come into force (default: now)')
    .option('--reason <text>', 'why, for the audit log')
    .action((file: string, o: ApplyOptions) => apply(io, file, o));
  return plans;
};
