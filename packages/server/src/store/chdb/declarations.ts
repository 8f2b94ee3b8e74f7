/** What sources said about themselves. */
import type { Declaration, Receipt } from '../../domain/fact.ts';
import type { AcceptedNumbers } from '../usage-store.ts';
import type { Lane } from './lane.ts';
import type { RowReader } from './row-reader.ts';
import { num } from './sql.ts';

const RUN = 'tenant, source, run';
/** Of a declaration without items the last number lies before the first: for 0 that is stored as 2^64 - 1. */
const NUMBERED = 'last_sequence + 1 != first_sequence';
/**
 * Whether a run has no hole, told without sorting: where its batches begin and end is folded modulo 2, and if only the two
 * ends of all are left, every number between them came an odd number of times. A batch that came twice looks like a hole,
 * too: its run is then sorted for nothing.
 */
const WHOLE = `groupBitXor(bitXor(cityHash64(first_sequence), cityHash64(last_sequence + 1)))
  = bitXor(cityHash64(min(first_sequence)), cityHash64(max(last_sequence) + 1))`;

/** Bounds of one sort, so that a restart needs no more memory when every run has a repetition: 200 bytes a declaration. */
const SORTED_ROWS = 1_000_000;
const SORTED_RUNS = 1_000;

/** 5 million declarations, two threads: 0.3 s when no run has a hole or a repetition (0.2 for the last number alone), 5 s when all have. */
export async function acceptedNumbers(lane: Lane): Promise<AcceptedNumbers[]> {
  const out: AcceptedNumbers[] = [];
  let doubtful: AcceptedNumbers[] = [];
  let size = 0;
  const settle = async (): Promise<void> => {
    out.push(...(await rangesOf(lane, doubtful)));
    doubtful = [];
    size = 0;
  };
  const rows = await lane.rows(
    `SELECT ${RUN}, min(first_sequence), max(last_sequence), toUInt8(${WHOLE}), count()
     FROM declaration WHERE ${NUMBERED} GROUP BY ${RUN}`,
  );
  while (rows.more) {
    const range = rangeOf(rows);
    const whole = rows.u8() === 1;
    const count = rows.u64();
    if (whole) out.push(range);
    else {
      if (size + count > SORTED_ROWS || doubtful.length === SORTED_RUNS) await settle();
      doubtful.push(range);
      size += count;
    }
  }
  await settle();
  return out;
}

async function rangesOf(lane: Lane, runs: readonly AcceptedNumbers[]): Promise<AcceptedNumbers[]> {
  if (runs.length === 0) return [];
  const asked = {
    tenants: runs.map((r) => r.tenant),
    sources: runs.map((r) => r.source),
    runs: runs.map((r) => r.run),
  };
  const inOrder = `PARTITION BY ${RUN} ORDER BY first_sequence, last_sequence`;
  const rows = await lane.rows(
    `SELECT ${RUN}, min(first_sequence), max(last_sequence) FROM (
       SELECT ${RUN}, first_sequence, last_sequence,
         countIf(begins) OVER (${inOrder} ROWS UNBOUNDED PRECEDING) AS range
       FROM (
         SELECT ${RUN}, first_sequence, last_sequence,
           first_sequence > 1 + max(last_sequence) OVER (${inOrder} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS begins
         FROM declaration WHERE ${NUMBERED} AND (${RUN}) IN (
           SELECT arrayJoin(arrayZip({tenants:Array(String)}, {sources:Array(String)}, {runs:Array(String)})))
       )
     ) GROUP BY ${RUN}, range`,
    asked,
  );
  const out: AcceptedNumbers[] = [];
  while (rows.more) out.push(rangeOf(rows));
  return out;
}

const rangeOf = (rows: RowReader): AcceptedNumbers => ({
  tenant: rows.text(),
  source: rows.text(),
  run: rows.text(),
  first: rows.u64(),
  last: rows.u64(),
});

/**
 * The state of each (tenant, source) as of a frontier. Kept between calls: all facts up to a frontier are on disk when it
 * is one, so a later one only needs the receipts since; the job asks every few minutes, and the table only grows.
 */
export class DeclarationsAt {
  private readonly lane: Lane;
  private frontier: Receipt = 0;
  private known = new Map<string, Declaration>();
  private turn: Promise<unknown> = Promise.resolve();

  constructor(lane: Lane) {
    this.lane = lane;
  }

  read(frontier: Receipt): Promise<Declaration[]> {
    const result = this.turn.then(() => this.advance(frontier));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async advance(frontier: Receipt): Promise<Declaration[]> {
    const back = frontier < this.frontier;
    const state = back ? new Map<string, Declaration>() : new Map(this.known);
    const since = back ? 0 : this.frontier;
    for (const d of await this.since(since, frontier)) {
      const key = JSON.stringify([d.tenant, d.source]);
      const last = state.get(key);
      state.set(key, last === undefined ? d : later(last, d));
    }
    if (!back) {
      this.known = state;
      this.frontier = frontier;
    }
    return [...state.keys()].sort().map((key) => state.get(key) as Declaration);
  }

  private async since(after: Receipt, frontier: Receipt): Promise<Declaration[]> {
    if (after >= frontier) return [];
    const rows = await this.lane.rows(
      `SELECT tenant, source, argMax((run, first_sequence, last_sequence), receipt), max(complete_through), max(sent_at),
         max(received_at), max(receipt) AS newest
       FROM declaration WHERE receipt > ${num(after)} AND receipt <= ${num(frontier)} GROUP BY tenant, source`,
    );
    const out: Declaration[] = [];
    while (rows.more) {
      out.push({
        tenant: rows.text(),
        source: rows.text(),
        run: rows.text(),
        firstSequence: rows.u64(),
        lastSequence: rows.u64(),
        completeThrough: rows.u64(),
        sentAt: rows.u64(),
        receivedAt: rows.u64(),
        receipt: rows.u64(),
      });
    }
    return out;
  }
}

/** Two stretches of one source's declarations as one row: the newest one's run and sequences, the highest instants. */
export const later = (a: Declaration, b: Declaration): Declaration => {
  const newest = a.receipt > b.receipt ? a : b;
  return {
    ...newest,
    completeThrough: Math.max(a.completeThrough, b.completeThrough),
    sentAt: Math.max(a.sentAt, b.sentAt),
    receivedAt: Math.max(a.receivedAt, b.receivedAt),
  };
};
