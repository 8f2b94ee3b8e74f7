/** Columns to what the stores take: rows, stored events, items set aside. */
import type { StoredEvent } from '../domain/fact.ts';
import type { Instant } from '../domain/window.ts';
import type { SetAside } from '../store/control-store.ts';
import { type FactWriter, Range } from '../store/usage-store.ts';
import type { EventColumns } from './columns.ts';

export const eventAt = (cols: EventColumns, p: number): StoredEvent => ({
  tenant: cols.tenant,
  source: cols.text(p, Range.source),
  id: cols.text(p, Range.id),
  type: cols.text(p, Range.type),
  subject: cols.text(p, Range.subject),
  t: cols.t[p] as number,
  sourceTime: cols.sourceTime[p] as number,
  receivedAt: cols.receivedAt,
  data: cols.text(p, Range.data),
  receipt: cols.firstReceipt + p,
  stamps: cols.stamps[p] as number,
  set: cols.set,
});

/** Stores without a byte path get the events as objects: the model store of the tests. */
export function writeColumns(writer: FactWriter, cols: EventColumns): void {
  if (writer.rawEvents !== undefined) {
    writer.rawEvents(cols);
    return;
  }
  for (let p = 0; p < cols.count; p++) {
    if (cols.take[p] === 0) continue;
    const [idHi = 0, idLo = 0, contentHi = 0, contentLo = 0] = cols.identity.subarray(p * 4, p * 4 + 4);
    writer.event(eventAt(cols, p), { idHi, idLo, contentHi, contentLo });
  }
}

/** The event as it came, so that it can be released later; its identity names the content, so a repetition adds nothing. */
export function conflictItem(event: StoredEvent, first: StoredEvent, now: Instant): Omit<SetAside, 'id'> {
  const { tenant, source, id, type, subject, t, data } = event;
  return {
    identity: JSON.stringify(['event.conflict', tenant, source, id, type, subject, data]),
    tenant,
    kind: 'event',
    code: 'event.conflict',
    reason: `An event with this id and other content was accepted before, with receipt ${first.receipt}.`,
    series: null,
    receipt: null,
    at: t,
    content: JSON.stringify({ source, id, type, subject, t, data }),
    state: 'open',
    recordedAt: now,
  };
}
