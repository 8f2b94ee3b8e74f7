/** Events of the model: what goes in, and what a question is about. */
import type { StoredEvent } from '../../domain/fact.ts';
import { type Instant, windowStart } from '../../domain/window.ts';
import { StoreError } from '../errors.ts';
import { type EventQuery, type IdentityHash, Range, type RawEvents } from '../usage-store.ts';

export type IdentifiedEvent = StoredEvent & { identity: IdentityHash };

export const outOfRange = (what: string): StoreError =>
  new StoreError('store.number_range', `The usage store has no column for ${what}.`);

/** The engines' columns hold seconds in 32 bits. */
export function held<T extends { t: Instant }>(fact: T): T {
  if (!(fact.t >= 0 && fact.t < 2 ** 32 * 1000)) throw outOfRange(`an instant of ${fact.t} ms`);
  return fact;
}

export function* eventsFrom(raw: RawEvents): Generator<IdentifiedEvent> {
  const { tenant, set, receivedAt, identity } = raw;
  for (let p = 0; p < raw.count; p++) {
    if (raw.take[p] !== 1) continue;
    const text = (field: number): string => {
      const at = p * Range.width + field;
      return raw.bytes.toString('utf8', raw.ranges[at], raw.ranges[at + 1]);
    };
    const [idHi = 0, idLo = 0, contentHi = 0, contentLo = 0] = identity.subarray(p * 4, p * 4 + 4);
    yield held({
      tenant,
      source: text(Range.source),
      id: text(Range.id),
      type: text(Range.type),
      subject: text(Range.subject),
      t: raw.t[p] ?? 0,
      sourceTime: raw.sourceTime[p] ?? 0,
      receivedAt,
      data: text(Range.data),
      receipt: raw.firstReceipt + p,
      stamps: raw.stamps[p] ?? 0,
      set,
      identity: { idHi, idLo, contentHi, contentLo },
    });
  }
}

export const plain = ({ identity: _identity, ...event }: IdentifiedEvent): StoredEvent => ({
  ...event,
});

export const matches = (e: StoredEvent, q: EventQuery): boolean =>
  q.types.includes(e.type) &&
  e.t >= q.from &&
  e.t < q.to &&
  e.receipt <= q.frontier &&
  !q.voided.includes(e.receipt) &&
  !q.undoneSets.includes(e.set) &&
  (q.inSet === undefined || q.inSet === e.set) &&
  (q.tenant === undefined || e.tenant === q.tenant) &&
  (q.source === undefined || e.source === q.source) &&
  (q.subject === undefined || e.subject === q.subject) &&
  (q.subjects?.includes(e.subject) ?? true) &&
  (q.within?.some((w) => w.subject === e.subject && w.window === windowStart(e.t)) ?? true);
