/** Reading events back, in (t, receipt) order, page by page. */
import type { Receipt, StoredEvent } from '../../domain/fact.ts';
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import type { EventQuery, IdentityRow, SubjectWindow } from '../usage-store.ts';
import { type Lane, openSession, type Parameters } from './lane.ts';
import { refusal } from './refusal.ts';
import { RowReader } from './row-reader.ts';
import { arrayOf, dateTime, num, setOf, within } from './sql.ts';

const COLUMNS = 'tenant, source, id, type, subject, t, skew, lag, data, receipt, stamps, batch';
/** Rows fetched at once: some 10 MB of ordinary events. */
const PAGE = 20_000;

/** Reads the columns COLUMNS, in that order. */
export function eventOf(rows: RowReader): StoredEvent {
  const tenant = rows.text();
  const source = rows.text();
  const id = rows.text();
  const type = rows.text();
  const subject = rows.text();
  const t = rows.u64();
  const sourceTime = t - rows.i64();
  const receivedAt = t + rows.i64();
  const data = rows.text();
  const receipt = rows.u64();
  const stamps = rows.u8();
  return { tenant, source, id, type, subject, t, sourceTime, receivedAt, data, receipt, stamps, set: rows.text() };
}

/** Facts that count no more. They are taken out after equal identities have collapsed: a duplicate does not step in. */
export function countingOnly(voided: readonly Receipt[], undoneSets: readonly string[]): string {
  const parts = [];
  if (voided.length > 0) parts.push(`receipt NOT IN ${setOf(voided, 'UInt64')}`);
  if (undoneSets.length > 0) parts.push('batch NOT IN {undone:Array(String)}');
  return parts.map((p) => ` AND ${p}`).join('');
}

export async function* events(lane: Lane, query: EventQuery): AsyncIterable<StoredEvent> {
  if (query.types.length === 0 || query.from >= query.to) return;
  const parameters: Record<string, string | readonly string[]> = { types: query.types };
  let which = `type IN {types:Array(String)} AND receipt <= ${num(query.frontier)}`;
  for (const field of ['tenant', 'source', 'subject'] as const) {
    const value = query[field];
    if (value === undefined) continue;
    parameters[field] = value;
    which += ` AND ${field} = {${field}:String}`;
  }
  if (query.inSet !== undefined) {
    parameters.inSet = query.inSet;
    which += ' AND batch = {inSet:String}';
  }
  if (query.subjects?.length === 0 || query.within?.length === 0) return;
  if (query.subjects !== undefined) {
    parameters.subjects = query.subjects;
    which += ' AND subject IN {subjects:Array(String)}';
  }
  if (query.within !== undefined) {
    parameters.subjectsWithin = query.within.map(({ subject }) => subject);
    which += ` AND ${inWindows(query.within)}`;
  }
  if (query.undoneSets.length > 0) parameters.undone = query.undoneSets;
  const counting = countingOnly(query.voided, query.undoneSets);
  let left = query.limit ?? Number.MAX_SAFE_INTEGER;
  for (const [from, to] of await stretches(lane, query, which, parameters)) {
    for await (const event of stretch(lane, query, from, to, which + counting, parameters)) {
      if (left-- <= 0) return;
      yield event;
    }
    if (left <= 0) return;
  }
}

/** The primary key answers which buckets. */
function inWindows(within: readonly SubjectWindow[]): string {
  const buckets = arrayOf(
    within.map(({ window }) => window / 1000),
    'UInt32',
  );
  return `(bucket, subject) IN (
    SELECT toDateTime(p.1, 'UTC'), p.2 FROM (SELECT arrayJoin(arrayZip(${buckets}, {subjectsWithin:Array(String)})) AS p)
  )`;
}

/** Consecutive pieces of the asked time with at most about a page of events each, in the order they are read. */
async function stretches(
  lane: Lane,
  query: EventQuery,
  which: string,
  parameters: Parameters,
): Promise<[Instant, Instant][]> {
  const rows = await lane.rows(
    `SELECT toUnixTimestamp(bucket), count() FROM event WHERE ${within(query.from, query.to)} AND ${which}
     GROUP BY bucket ORDER BY bucket ${query.descending === true ? 'DESC' : 'ASC'}`,
    parameters,
  );
  const out: [Instant, Instant][] = [];
  let room = 0;
  while (rows.more) {
    const bucket = rows.u32() * 1000;
    const count = rows.u64();
    const last = out.at(-1);
    if (last !== undefined && count <= room) {
      last[0] = Math.min(last[0], bucket);
      last[1] = Math.max(last[1], bucket + WINDOW_MS);
    } else {
      out.push([bucket, bucket + WINDOW_MS]);
      room = PAGE;
    }
    room -= count;
  }
  return out.map(([from, to]) => [Math.max(from, query.from), Math.min(to, query.to)]);
}

async function* stretch(
  lane: Lane,
  query: EventQuery,
  from: Instant,
  to: Instant,
  which: string,
  parameters: Parameters,
): AsyncIterable<StoredEvent> {
  const [order, beyond] = query.descending === true ? ['DESC', '<'] : ['ASC', '>'];
  const size = Math.min(PAGE, query.limit ?? PAGE);
  let resume = '';
  for (;;) {
    const rows = await lane.rows(
      `SELECT ${COLUMNS} FROM event FINAL WHERE ${within(from, to)} AND ${which}${resume}
       ORDER BY t ${order}, receipt ${order} LIMIT ${num(size)}`,
      parameters,
    );
    let count = 0;
    let last: StoredEvent | null = null;
    while (rows.more) {
      last = eventOf(rows);
      count++;
      yield last;
    }
    if (last === null || count < size) return;
    resume = ` AND (t, receipt) ${beyond} (${num(last.t)}, ${num(last.receipt)})`;
  }
}

/**
 * All events of an identity, whatever their times. Without FINAL, so that the engine filters by the id before it reads
 * anything else; equal keys are collapsed here.
 */
export async function findEvent(lane: Lane, tenant: string, source: string, id: string): Promise<StoredEvent[]> {
  const rows = await lane.rows(
    `SELECT ${COLUMNS} FROM event WHERE tenant = {tenant:String} AND source = {source:String} AND id = {id:String}`,
    { tenant, source, id },
  );
  return firstOfEach(rows);
}

export interface WantedEvent {
  tenant: string;
  source: string;
  id: string;
  idHi: number;
  idLo: number;
}

const identityText = (e: { tenant: string; source: string; id: string }): string =>
  JSON.stringify([e.tenant, e.source, e.id]);

/** As findEvent for each, by the hashes they were stored with: one pass over two columns of numbers. */
export async function findEvents(lane: Lane, wanted: readonly WantedEvent[]): Promise<StoredEvent[][]> {
  if (wanted.length === 0) return [];
  const hashes = wanted.map((w) => num(w.idHi * 2 ** 21 + (w.idLo >>> 11)));
  // The 53 bits a number holds; the rest is decided by the identity itself.
  const rows = await lane.rows(
    `SELECT ${COLUMNS} FROM event
     WHERE id_hi IN ${setOf([...new Set(wanted.map((w) => w.idHi))], 'UInt32')}
       AND toUInt64(id_hi) * 2097152 + bitShiftRight(id_lo, 11) IN (SELECT arrayJoin(CAST('[${hashes.join(',')}]', 'Array(UInt64)')))`,
  );
  const found = new Map<string, StoredEvent[]>();
  for (const event of firstOfEach(rows)) {
    const key = identityText(event);
    const list = found.get(key);
    if (list === undefined) found.set(key, [event]);
    else list.push(event);
  }
  return wanted.map((w) => found.get(identityText(w)) ?? []);
}

/** What FINAL would keep, in receipt order. */
function firstOfEach(rows: RowReader): StoredEvent[] {
  const first = new Map<string, StoredEvent>();
  while (rows.more) {
    const event = eventOf(rows);
    const key = JSON.stringify([event.tenant, event.source, event.id, event.type, event.t]);
    const kept = first.get(key);
    if (kept === undefined || event.receipt < kept.receipt) first.set(key, event);
  }
  return [...first.values()].sort((a, b) => a.receipt - b.receipt);
}

export async function eventByReceipt(lane: Lane, receipt: Receipt): Promise<StoredEvent | null> {
  const rows = await lane.rows(`SELECT ${COLUMNS} FROM event WHERE receipt = ${num(receipt)} LIMIT 1`);
  return rows.more ? eventOf(rows) : null;
}

/** Windows before `before` that events with after < receipt <= frontier lie in. */
export async function touchedEvents(
  lane: Lane,
  types: readonly string[],
  before: Instant,
  after: Receipt,
  frontier: Receipt,
): Promise<{ type: string; window: Instant }[]> {
  if (types.length === 0 || after >= frontier) return [];
  const rows = await lane.rows(
    `SELECT DISTINCT type, toUnixTimestamp(bucket) AS b FROM event
     WHERE receipt > ${num(after)} AND receipt <= ${num(frontier)} AND bucket < ${dateTime(before)}
       AND type IN {types:Array(String)} ORDER BY type, b`,
    { types },
  );
  const out: { type: string; window: Instant }[] = [];
  while (rows.more) out.push({ type: rows.text(), window: rows.u32() * 1000 });
  return out;
}

/**
 * Identities of events with receipt > after. Streamed on a session of its own: a session has one stream at a time, and
 * 50 million rows take their time.
 */
export async function* identities(
  directory: string,
  after: Receipt,
  receivedSince: Instant,
): AsyncIterable<IdentityRow[]> {
  const session = openSession(directory);
  try {
    const stream = session.queryStream(
      `SELECT id_hi, id_lo, content_hi, content_lo, t, receipt, lag FROM event
       WHERE receipt > ${num(after)} AND toInt64(t) + lag >= ${num(receivedSince)} SETTINGS max_threads = 1`,
      { format: 'RowBinary' },
    );
    for await (const chunk of stream) {
      const page: IdentityRow[] = [];
      for (const rows = new RowReader(chunk.raw()); rows.more; ) page.push(identityOf(rows));
      yield page;
    }
  } catch (error) {
    throw refusal(error);
  } finally {
    session.close();
  }
}

function identityOf(rows: RowReader): IdentityRow {
  const idHi = rows.u32();
  const idLo = rows.u32();
  const contentHi = rows.u32();
  const contentLo = rows.u32();
  const t = rows.u64();
  const receipt = rows.u64();
  return { idHi, idLo, contentHi, contentLo, t, receipt, receivedAt: t + rows.i64() };
}

/** The earliest instant of a fact: times, and starts that counters declare. Reads two columns of everything. */
export async function extent(lane: Lane, frontier: Receipt): Promise<Instant | null> {
  const rows = await lane.rows(
    `SELECT count(), min(first) FROM (
       SELECT if(start > 0 AND start < t, start, t) AS first FROM reading WHERE receipt <= ${num(frontier)}
       UNION ALL SELECT t AS first FROM event WHERE receipt <= ${num(frontier)}
     )`,
  );
  return rows.u64() === 0 ? null : rows.u64();
}
