/** What a committed fact adds to a meter, before it is in any answer of the usage query. Exact, and cut as the job would cut it. */
import type { CommittedBatch, CommittedReading, EventWorth } from '../domain/committed.ts';
import { HELD_MS } from '../domain/delta.ts';
import { type Receipt, Stamp } from '../domain/fact.ts';
import { type Quantity, SCALE } from '../domain/quantity.ts';
import type { Series } from '../domain/series.ts';
import { type Instant, type Interval, WINDOW_MS, windowStart } from '../domain/window.ts';
import { EVENTS, type Reach, type Stream, streamOfSeries } from './usage-reach.ts';

/** Used evenly over [from, to]; an event at one instant: from = to. */
export interface UsageFact extends Interval {
  meter: string;
  resource: string;
  dimensions: Readonly<Record<string, string>>;
  /** Whose the resource was while it was `held`; null: nobody's. */
  account: string | null;
  held: Interval;
  receipt: Receipt;
  stream: Stream;
  /** In whole units of `scale`; null: it does not simply add up, and the meter has to be asked. */
  amount: bigint | null;
  scale: Quantity;
  /** It came after the end of a window it falls in: records of that window may not have it. */
  isLate: boolean;
}

/** What is asked of the book: whose a resource was, when. */
export interface Owners {
  ownerAt(tenant: string, resource: string, t: Instant): string | null;
  ownerIntervals(
    tenant: string,
    resource: string,
    from: Instant,
    to: Instant,
  ): (Interval & { account: string | null })[];
}

const ONE = 1n;
const EVER: Interval = { from: 0, to: Number.MAX_SAFE_INTEGER };

export function* factsOf(
  batch: CommittedBatch,
  seriesOf: (id: number) => Series | undefined,
  owners: Owners,
  now: Instant,
): Iterable<UsageFact> {
  const ownerAt = rememberOwners(owners);
  for (const worth of batch.worths) yield eventFact(worth, ownerAt(worth), now);
  for (const committed of batch.readings) {
    const series = seriesOf(committed.reading.series);
    // One that only witnesses another's counter never counts (case 18).
    if (series !== undefined && series.witnessOf === 0) yield* readingFacts(committed, series, owners, now);
  }
}

/** Of one batch: many of its events are of few resources. */
function rememberOwners(owners: Owners): (worth: EventWorth) => string | null {
  const known = new Map<string, readonly (Interval & { account: string | null })[]>();
  let of = '';
  return ({ tenant, subject, t }) => {
    if (tenant !== of) known.clear();
    of = tenant;
    let whose = known.get(subject);
    if (whose === undefined) {
      whose = owners.ownerIntervals(tenant, subject, EVER.from, EVER.to);
      known.set(subject, whose);
    }
    const owned = whose.length === 1 ? whose[0] : whose.find(({ from, to }) => t >= from && t < to);
    return owned === undefined ? owners.ownerAt(tenant, subject, t) : owned.account;
  };
}

function eventFact(worth: EventWorth, account: string | null, now: Instant): UsageFact {
  const { meter, subject: resource, dimensions, t, receipt, value: amount } = worth;
  const [from, to, stream, scale, held] = [t, t, EVENTS, ONE, EVER] as const;
  const isLate = isPast(t, now);
  // Spelled out: spreading one object into another costs ten times as much, and this is done for every event.
  return { meter, resource, dimensions, account, held, receipt, stream, from, to, amount, scale, isLate };
}

function* readingFacts(
  committed: CommittedReading,
  { id, meter, tenant, resource, dimensions }: Series,
  owners: Owners,
  now: Instant,
): Iterable<UsageFact> {
  const { t: to, receipt } = committed.reading;
  const amount = movedBy(committed);
  if (amount === 0n) return;
  const from = amount === null ? to : (committed.previous?.t ?? to);
  const [stream, scale, isLate] = [streamOfSeries(id), SCALE, isPast(from, now)] as const;
  const whose = owners.ownerIntervals(tenant, resource, from, Math.max(to, from + 1));
  for (const owned of whose) {
    const { account } = owned;
    const held = whose.length === 1 ? EVER : owned;
    yield { meter, resource, dimensions, account, held, receipt, stream, from, to, amount, scale, isLate };
  }
}

const isPast = (t: Instant, now: Instant): boolean => windowStart(t) + WINDOW_MS <= now;

/** From the newest reading to one after it in the same epoch. Everything else is the job's to judge: null. */
function movedBy({ reading, previous }: CommittedReading): bigint | null {
  const { t, value, epoch, start, stamps } = reading;
  if (previous === undefined) return start > 0 ? null : 0n;
  if ((stamps & Stamp.end) !== 0 || (t === previous.t && value === previous.value)) return 0n;
  const isNext = t > previous.t && t - previous.t <= HELD_MS && epoch === previous.epoch && start <= previous.t;
  const isPlain = isNext && value >= previous.value && (stamps & (Stamp.late | Stamp.fast)) === 0;
  return isPlain ? value - previous.value : null;
}

/** What of a fact lies in [from, to): pieces of one fact add up to it exactly (law 4). */
export function amountIn({ from, to, held, amount, scale }: UsageFact, cut: Interval): Quantity {
  if (amount === null) return 0n;
  if (from === to) return from >= cut.from && from < cut.to ? amount * scale : 0n;
  const [first, last] = [Math.max(from, cut.from, held.from), Math.min(to, cut.to, held.to)];
  if (first >= last) return 0n;
  const upTo = (t: Instant): bigint => (amount * BigInt(t - from)) / BigInt(to - from);
  return (upTo(last) - upTo(first)) * scale;
}

/** What of a fact an answer of this reach does not hold yet, within [from, to). */
export function missingIn(fact: UsageFact, cut: Interval, reach: Reach): Quantity {
  if (fact.receipt > reach.frontier) return amountIn(fact, cut);
  let missing: Quantity = 0n;
  for (const { from, to } of reach.lacking(fact.stream, fact.receipt))
    missing += amountIn(fact, { from: Math.max(cut.from, from), to: Math.min(cut.to, to) });
  return missing;
}
