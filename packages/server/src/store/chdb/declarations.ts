/** What sources said about themselves. */
import type { Declaration, Receipt } from '../../domain/fact.ts';
import type { Lane } from './lane.ts';
import { num } from './sql.ts';

export async function highWater(
  lane: Lane,
): Promise<{ tenant: string; source: string; run: string; lastSequence: number }[]> {
  const rows = await lane.rows(
    'SELECT tenant, source, run, max(last_sequence) FROM declaration GROUP BY tenant, source, run ORDER BY tenant, source, run',
  );
  const out = [];
  while (rows.more) out.push({ tenant: rows.text(), source: rows.text(), run: rows.text(), lastSequence: rows.u64() });
  return out;
}

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
