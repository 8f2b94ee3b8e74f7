/** Questions an operator asks when something looks wrong, answered from what is there. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import type { Series } from '../domain/series.ts';
import { codeOf } from '../store/errors.ts';
import type { UsageQuery, UsageRow } from '../usage/index.ts';
import { need } from './auth.ts';
import { booksText } from './books.ts';
import { type Context, reach, viewerOf } from './context.ts';
import { jobStatus } from './job.ts';
import { type App, Words } from './provider.ts';
import { sourceRows } from './sources.ts';
import { isoText, parseInstant } from './time.ts';

const Finding = Type.Object({
  check: Type.String(),
  verdict: Words(['ok', 'warning', 'problem'] as const),
  detail: Type.String(),
  hint: Type.String({ description: 'What to do next; empty when there is nothing to do' }),
});
type Finding = Static<typeof Finding>;

const finding = (check: string, verdict: Finding['verdict'], detail: string, hint = ''): Finding => ({
  check,
  verdict,
  detail,
  hint,
});
const HOUR_MS = 3_600_000;
/** A source is silent when it missed three polls, and never sooner than this. */
const SILENT_MS = 60_000;
const SILENT_POLLS = 3;
/** Names shown before "and N more". */
const SHOWN = 5;

const some = (names: readonly string[]): string =>
  names.length > SHOWN ? `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more` : names.join(', ');
const span = (ms: number): string => {
  const s = Math.round(Math.abs(ms) / 1000);
  return s < 120 ? `${s} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
};

const stores = async (context: Context): Promise<Finding[]> => {
  const check = async (name: string, health: Promise<{ writable: boolean; detail: string }>): Promise<Finding> => {
    try {
      const { writable, detail } = await health;
      return finding(
        name,
        writable ? 'ok' : 'problem',
        detail,
        writable ? '' : 'Check free space and the owner of the data directory.',
      );
    } catch (error) {
      return finding(
        name,
        'problem',
        error instanceof Error ? error.message : String(error),
        'See the log of the server.',
      );
    }
  };
  return Promise.all([check('control store', context.control.health()), check('usage store', context.store.health())]);
};

const pollPeriods = (context: Context): Map<string, number> => {
  const periods = new Map<string, number>();
  for (const s of context.registry.all()) {
    const name = JSON.stringify([s.tenant, s.source]);
    periods.set(name, Math.max(periods.get(name) ?? 0, s.period));
  }
  return periods;
};

const agents = async (context: Context): Promise<Finding[]> => {
  const now = context.clock.now();
  const periods = pollPeriods(context);
  const silent: string[] = [];
  const skewed: string[] = [];
  const rows = await sourceRows(context);
  const speaking = rows.filter((r) => r.lastSeen !== null);
  for (const r of speaking) {
    const seen = parseInstant(r.lastSeen ?? '') ?? 0;
    const patience = Math.max(SILENT_MS, SILENT_POLLS * (periods.get(JSON.stringify([r.tenant, r.id])) ?? 0));
    if (now - seen > patience) silent.push(`${r.id} (for ${span(now - seen)})`);
    const offset = r.clockOffsetMs ?? 0;
    if (Math.abs(offset) > context.config.skewSeconds * 1000)
      skewed.push(`${r.id} (${span(offset)} ${offset > 0 ? 'ahead' : 'behind'})`);
  }
  return [
    silent.length === 0
      ? finding('agents', 'ok', `${speaking.length} of ${speaking.length} sources that declare themselves spoke lately`)
      : finding(
          'agents',
          'problem',
          `silent: ${some(silent)}`,
          'Look at the agent on that machine; what it counted meanwhile comes when it is back.',
        ),
    skewed.length === 0
      ? finding('clocks', 'ok', `every source is within ${context.config.skewSeconds} s of this clock`)
      : finding(
          'clocks',
          'warning',
          `off: ${some(skewed)}`,
          'Times are corrected and flagged; set the clock (NTP) on that machine.',
        ),
  ];
};

const job = async (context: Context): Promise<Finding[]> => {
  const s = await jobStatus(context);
  const behind = (s.lagSeconds ?? 0) * 1000;
  // A window closes at the latest one window and one deadline after its beginning; a run later it is in the records.
  const patience = HOUR_MS + context.config.jobSeconds * 2000;
  const detail =
    s.closedTo === null ? 'no window is closed yet' : `windows are closed up to ${s.closedTo}, ${s.windowsLeft} to do`;
  const found = [
    behind > patience
      ? finding(
          'usage job',
          'warning',
          `${detail}: ${span(behind)} behind`,
          'Watch it with `tollgate job status`; `tollgate job run` starts it at once.',
        )
      : finding('usage job', 'ok', detail),
  ];
  if (s.lastError !== '')
    found.push(
      finding('usage job', 'problem', `the last run failed: ${s.lastError}`, 'See `tollgate job runs` and the log.'),
    );
  return found;
};

/** A copy that is only read ages: nobody speaks to it and no window closes, and that is as it should be. */
const copied = async (context: Context): Promise<Finding> => {
  const { closedTo } = await jobStatus(context);
  const detail = closedTo === null ? 'no window is closed' : `windows are closed up to ${closedTo}`;
  return finding('read only', 'ok', `${detail}; nothing is taken in, no job runs`);
};

const quarantine = async (context: Context): Promise<Finding> => {
  const items = await context.control.setAside({ state: 'open', limit: 1001 });
  if (items.length === 0) return finding('quarantine', 'ok', 'nothing is set aside');
  const codes = [...new Set(items.map((i) => i.code))];
  const count = items.length > 1000 ? 'more than 1000' : String(items.length);
  return finding(
    'quarantine',
    'warning',
    `${count} set aside: ${some(codes)}`,
    'Look with `tollgate quarantine list`, then release or drop.',
  );
};

/** Files that let somebody in: nobody else may read them. */
const credentials = (context: Context): Finding => {
  const loose: string[] = [];
  for (const name of ['admin.key', 'server.json', 'collector.key', 'tollgate.yaml']) {
    const path = join(context.config.dataDir, name);
    try {
      const mode = statSync(path).mode & 0o777;
      if ((mode & 0o077) !== 0) loose.push(`${path} (${mode.toString(8)})`);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') loose.push(`${path} (${codeOf(error)})`);
    }
  }
  return loose.length === 0
    ? finding('credentials', 'ok', 'files with keys are readable by their owner only')
    : finding(
        'credentials',
        'problem',
        `others may read ${some(loose)}`,
        'chmod 600 those files, and revoke the keys if somebody did read them.',
      );
};

const books = async (context: Context): Promise<Finding> => {
  const { agree, text } = await booksText(context);
  return finding(
    'books',
    agree ? 'ok' : 'problem',
    text,
    agree ? '' : 'See `tollgate invoices reconcile`, then `tollgate invoices verify` on what it names.',
  );
};

const lastHours = (
  context: Context,
  hours: number,
  meters: readonly string[] | undefined,
  groupBy: readonly string[],
): UsageQuery => {
  const to = context.clock.now();
  return { filter: { meters }, from: to - hours * HOUR_MS, to, windowSize: 'total', zone: 'UTC', groupBy };
};

const unattributed = async (context: Context): Promise<Finding> => {
  const now = context.clock.now();
  const rows = await context.usage.unattributed(now - 24 * HOUR_MS, now);
  if (rows.length === 0) return finding('unattributed', 'ok', 'all usage of the last 24 hours belongs to somebody');
  const names = [...new Set(rows.map((r) => r.group.resource ?? ''))];
  return finding(
    'unattributed',
    'warning',
    `usage of nobody: ${some(names)}`,
    'Give each an owner: `tollgate resources owner RESOURCE ACCOUNT --from TIME`.',
  );
};

/** Case 17: bytes stand still while packets move, or the other way round. */
const stuck = async (context: Context): Promise<Finding> => {
  const moved = new Map<string, Map<string, boolean>>();
  const meters = [...context.log.book.meters()].map((m) => m.key).filter((k) => /^network\.(bytes|packets)\./.test(k));
  const { rows } = await context.usage.query(lastHours(context, 1, meters, ['resource', 'source']), null);
  for (const row of rows) {
    if (row.quantity === null) continue;
    const [, what = '', direction = ''] = row.meter.split('.');
    const name = `${row.group.resource} ${direction}`;
    const of = moved.get(name) ?? new Map<string, boolean>();
    of.set(what, row.quantity !== '0');
    moved.set(name, of);
  }
  const flat = [...moved]
    .filter(([, of]) => of.get('packets') === true && of.get('bytes') === false)
    .map(([name]) => name);
  return flat.length === 0
    ? finding('stuck counters', 'ok', 'no byte counter stands still while its packets move')
    : finding(
        'stuck counters',
        'problem',
        `bytes stand still while packets move: ${some(flat)}`,
        'The driver or the exporter is at fault; compare with `ip -s link` on the machine.',
      );
};

const lastReadings = async (context: Context, series: readonly Series[]): Promise<string> => {
  const now = context.clock.now();
  const last = await context.store.readingBefore(
    series.map((s) => s.id),
    now + 1,
    context.receipts.frontier(),
  );
  const times = [...last.values()];
  return times.length === 0 ? 'no reading at all' : `the last reading is of ${isoText(Math.max(...times))}`;
};

/** Why is this account's usage zero, or not what was expected: the walk a person would do, in order. */
const account = async (context: Context, id: string): Promise<Finding[]> => {
  const { book } = context.log;
  const name = `account ${id}`;
  const own = [id, ...book.descendants(id)];
  const now = context.clock.now();
  const series = [...context.registry.all()].filter((s) => own.includes(book.ownerAt(s.tenant, s.resource, now) ?? ''));
  const resources = [...new Set(series.map((s) => s.resource))];
  const described = [...book.allResources()].filter((r) => own.includes(book.ownerAt(r.tenant, r.id, now) ?? ''));
  if (resources.length === 0 && described.length === 0)
    return [
      finding(
        name,
        'problem',
        'it owns no resource now',
        'Give it one: `tollgate resources owner RESOURCE ACCOUNT`. See `tollgate resources list --account unattributed`.',
      ),
    ];
  if (resources.length === 0)
    return [
      finding(
        name,
        'problem',
        `nobody reports on ${some(described.map((r) => r.id))}`,
        'Does a source send these resource names, in the same namespace? See `tollgate sources list`.',
      ),
    ];
  const { rows } = await context.usage.query(
    { ...lastHours(context, 24, undefined, ['account']), filter: { accounts: [id] } },
    null,
  );
  const used = rows.filter((r: UsageRow) => r.quantity !== null && r.quantity !== '0');
  const unknown = rows.filter((r) => r.state !== 'known');
  const found = [
    used.length > 0
      ? finding(name, 'ok', `${used.length} meters show usage in the last 24 hours, of ${resources.length} resources`)
      : finding(
          name,
          'warning',
          `no usage in the last 24 hours though it owns ${some(resources)}: ${await lastReadings(context, series)}`,
          'A first reading is a baseline and counts nothing; usage begins with the second.',
        ),
  ];
  if (unknown.length > 0)
    found.push(
      finding(
        name,
        'warning',
        `not all is known: ${some(unknown.map((r) => `${r.meter} is ${r.state}`))}`,
        'Pending comes with the next readings; for quarantined see `tollgate quarantine list`.',
      ),
    );
  return found;
};

export const doctorRoutes = (app: App, context: Context): void => {
  const Query = Type.Object({
    account: Type.Optional(Type.String({ description: "Also: why is this account's usage what it is" })),
  });
  const Answer = Type.Object({ healthy: Type.Boolean(), findings: Type.Array(Finding) });
  const schema = {
    tags: ['operations'],
    summary: 'What is wrong, and what to do',
    querystring: Query,
    response: { 200: Answer },
  };
  app.get('/api/v1/doctor', { schema }, async (request) => {
    const who = need(request, 'read');
    const findings: Finding[] = [finding('server', 'ok', `version ${context.version}`)];
    // What concerns the whole installation is for its operators; an account's key learns about its account.
    if (viewerOf(context, who) === null)
      findings.push(
        ...(await stores(context)),
        ...(context.config.readOnly ? [await copied(context)] : [...(await agents(context)), ...(await job(context))]),
        await quarantine(context),
        credentials(context),
        await unattributed(context),
        await stuck(context),
        await books(context),
      );
    const asked = request.query.account ?? who.account;
    if (asked !== null && asked !== undefined) {
      reach(context, who, asked);
      findings.push(...(await account(context, asked)));
    }
    return { healthy: findings.every((f) => f.verdict !== 'problem'), findings };
  });
};
