/** Which windows of a counter new readings may have changed: the model's answer, reading by reading. */
import { type Receipt, type SeriesReading, Stamp } from '../../domain/fact.ts';
import { type Instant, WINDOW_MS, windowStart } from '../../domain/window.ts';
import type { Span, Touched } from '../usage-store.ts';

/** `all`: readings of the series, up to the frontier. */
export function touchedOf(series: number, all: readonly SeriesReading[], span: Span, after: Receipt): Touched[] {
  const out: Touched[] = [];
  for (const r of all) {
    if (r.receipt > after && r.t >= span.from && r.t < span.to)
      out.push({ series, from: windowStart(r.t), to: windowStart(r.t) + WINDOW_MS });
  }
  const tail = silentTail(all, span, after);
  if (tail !== null) out.push({ series, ...tail });
  const head = freshHead(all, span, after);
  if (head !== null) out.push({ series, ...head });
  return out;
}

/**
 * A series that was silent when the span was closed: its next reading, in whatever window, says what was used until then.
 * By epoch, because two of them may live at once while an object moves.
 */
function silentTail(all: readonly SeriesReading[], span: Span, after: Receipt): { from: Instant; to: Instant } | null {
  const beyond = all.filter((r) => r.t >= span.to).sort((a, b) => a.t - b.t || a.receipt - b.receipt);
  const endsSilence = (r: SeriesReading): boolean => {
    if (r.receipt <= after) return false;
    // One stamped late or fast may be set aside, and one after an end may take it back: those did not end the silence.
    const old = beyond.find((x) => x.epoch === r.epoch && x.receipt <= after && (x.stamps & DOUBTFUL) === 0);
    return old === undefined || r.t <= old.t;
  };
  if (!beyond.some(endsSilence)) return null;
  const last = all.reduce((t, r) => (r.t < span.to && r.t > t ? r.t : t), -1);
  return last < 0 ? { from: span.to - WINDOW_MS, to: span.to } : { from: windowStart(last), to: span.to };
}

const DOUBTFUL = Stamp.late | Stamp.end | Stamp.fast;

/** The other way round: a new last reading of an epoch before the span begins the segment that reaches into it. */
function freshHead(all: readonly SeriesReading[], span: Span, after: Receipt): { from: Instant; to: Instant } | null {
  const before = all.filter((r) => r.t < span.from);
  const sure = before.filter((r) => r.receipt <= after && (r.stamps & DOUBTFUL) === 0);
  const isHead = (r: SeriesReading): boolean =>
    r.receipt > after && !sure.some((x) => x.epoch === r.epoch && x.t > r.t);
  return before.some(isHead) ? { from: span.from, to: span.from + WINDOW_MS } : null;
}
