/** Usage as a reader gets it, summed by what a test asks for. One place that knows the answer's shape. */
import { setTimeout as wait } from 'node:timers/promises';
import { call, get, JSON_TYPE, scaled } from './http.ts';
import type { Server } from './server.ts';

/** One row of GET /api/v1/usage: exact quantity, unit, completeness and flags stand in every row. */
export interface UsageRow {
  readonly meter: string;
  readonly from: string;
  readonly to: string;
  readonly group: Readonly<Record<string, string>>;
  /** null: unknown, which is not zero. */
  readonly quantity: string | null;
  readonly unit: string;
  readonly state: string;
  readonly flags: readonly string[];
  readonly provisional: boolean;
  readonly explain: string | null;
}

interface Page {
  readonly items: readonly UsageRow[];
  readonly nextCursor?: string;
}

export interface Ask {
  readonly meter: string;
  readonly from: number;
  readonly to: number;
  /** Further parameters; as pairs where one is said more than once. */
  readonly more?: Readonly<Record<string, string>> | readonly (readonly string[])[];
}

export const iso = (t: number): string => new Date(t).toISOString();

/** All pages. */
export const usageRows = async (server: Pick<Server, 'url' | 'key'>, ask: Ask): Promise<UsageRow[]> => {
  const rows: UsageRow[] = [];
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ meter: ask.meter, from: iso(ask.from), to: iso(ask.to) });
    for (const [name = '', value = ''] of Array.isArray(ask.more) ? ask.more : Object.entries(ask.more ?? {}))
      query.append(name, value);
    if (cursor !== undefined) query.set('cursor', cursor);
    const page: Page = await get<Page>(server, `/api/v1/usage?${query}`);
    rows.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return rows;
};

/** Sum of the known quantities, scaled by 10^12. */
export const sumOf = (rows: readonly UsageRow[]): bigint =>
  rows.reduce((sum, row) => sum + (row.quantity === null ? 0n : scaled(row.quantity)), 0n);

/** Sum in whole units; throws when it is not whole. */
export const wholeSum = (rows: readonly UsageRow[]): bigint => {
  const sum = sumOf(rows);
  if (sum % 10n ** 12n !== 0n) throw new Error(`not whole: ${sum}`);
  return sum / 10n ** 12n;
};

interface JobStatus {
  readonly frontier: number;
  readonly newest: number;
}

/** Runs the usage job until it has taken in every fact there is now: a run under way may have begun before them. */
export const runJob = async (server: Pick<Server, 'url' | 'key'>, ms = 60_000): Promise<void> => {
  const { newest } = await get<JobStatus>(server, '/api/v1/job');
  for (const began = performance.now(); performance.now() - began < ms; ) {
    const answer = await call(server, 'POST', '/api/v1/job/run', '{}', { 'content-type': JSON_TYPE });
    if (answer.status === 200 && (answer.json as JobStatus).frontier >= newest) return;
    if (answer.status !== 200 && answer.status !== 409) throw new Error(`job run: ${answer.status} ${answer.text}`);
    if (answer.status === 409) await wait(100);
  }
  throw new Error(`the job did not reach receipt ${newest} in ${ms} ms`);
};
