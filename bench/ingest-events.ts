/**
 * Events of the ingest bench: everything about event number n is a function of n, so that a duplicate can be drawn from
 * any that was sent before, and what must be stored can be counted without remembering it. Bodies are built once; a
 * request only writes the digits of its events into one.
 */

/** Sources, subjects: fixed widths, so that numbers are written over numbers. */
export const SOURCES = 1000;
const SUBJECTS = 5000;
const TYPE = 'bench.request';

interface Places {
  id: number;
  source: number;
  subject: number;
  bytes: number;
  hour: number;
}

const PLACE = {
  id: 'I'.repeat(12),
  source: 'S'.repeat(4),
  subject: 'U'.repeat(4),
  bytes: 'B'.repeat(6),
  time: 'hh:mm:ss.mmm',
};

const eventText = (day: string): string =>
  JSON.stringify({
    specversion: '1.0',
    id: `7f4c1b9a-${PLACE.id}`,
    source: `urn:service:eu-west:${PLACE.source}`,
    type: TYPE,
    subject: `customer-${PLACE.subject}`,
    time: `${day}T${PLACE.time}Z`,
    data: {
      method: 'GET',
      route: '/v1/projects/:project/items',
      status: 200,
      region: 'eu-west-1',
      bytes: PLACE.bytes,
      durationMs: 17,
      cached: false,
    },
  }).replace(`"${PLACE.bytes}"`, `1${PLACE.bytes}`);

/** A body of `events` events whose digits can be written over. */
export class Body {
  readonly bytes: Buffer;
  readonly eventBytes: number;
  private readonly places: Places[] = [];

  constructor(events: number, day: string) {
    const one = eventText(day);
    this.eventBytes = one.length;
    this.bytes = Buffer.from(`[${Array.from({ length: events }, () => one).join(',')}]`);
    for (let i = 0; i < events; i++) {
      const at = 1 + i * (one.length + 1);
      const find = (what: string): number => at + one.indexOf(what);
      this.places.push({
        id: find(PLACE.id),
        source: find(PLACE.source),
        subject: find(PLACE.subject),
        bytes: find(PLACE.bytes),
        hour: find(PLACE.time),
      });
    }
  }

  /** Makes event `i` of the body event number n; with `shift` ms its time is another than that of number n. */
  set(i: number, n: number, dayMs: number, shift = 0): void {
    const place = this.places[i] as Places;
    const b = this.bytes;
    digits(b, place.id, 12, n);
    digits(b, place.source, 4, n % SOURCES);
    digits(b, place.subject, 4, (n * 7) % SUBJECTS);
    digits(b, place.bytes, 6, (n * 31) % 1_000_000);
    const t = (dayMs + (n % 3_600_000) + shift) % 86_400_000;
    const seconds = Math.floor(t / 1000);
    digits(b, place.hour, 2, Math.floor(seconds / 3600));
    digits(b, place.hour + 3, 2, Math.floor(seconds / 60) % 60);
    digits(b, place.hour + 6, 2, seconds % 60);
    digits(b, place.hour + 9, 3, t % 1000);
  }
}

function digits(b: Buffer, at: number, width: number, value: number): void {
  let rest = value;
  for (let i = at + width - 1; i >= at; i--) {
    const next = Math.floor(rest / 10);
    b[i] = 0x30 + (rest - next * 10);
    rest = next;
  }
}

/** The hour that the times of the events lie in: it ends a few minutes ago, and does not cross midnight. */
export function hourBefore(now: number): { day: string; dayMs: number } {
  let from = now - 3_900_000;
  const midnight = Math.ceil(from / 86_400_000) * 86_400_000;
  if (from + 3_720_000 > midnight) from = midnight - 3_720_000;
  return { day: new Date(from).toISOString().slice(0, 10), dayMs: from % 86_400_000 };
}

/** Rows of the same events as the store's table takes them, for the floor. `format` as ClickHouse names it. */
export function floorRows(format: 'TSV' | 'JSONCompactEachRow', from: number, count: number, now: number): Buffer {
  const { day, dayMs } = hourBefore(now);
  const base = Date.parse(`${day}T00:00:00Z`);
  const body = new Body(1, day);
  const rows: string[] = [];
  for (let n = from; n < from + count; n++) {
    body.set(0, n, dayMs);
    const { id, source, type, subject, data } = JSON.parse(body.bytes.toString())[0] as Record<string, string>;
    const t = base + dayMs + (n % 3_600_000);
    const hash = (k: number): number => (Math.imul(n ^ k, 0x9e3779b1) ^ Math.imul(n + k, 0x85ebca6b)) >>> 0;
    const fields = ['', source, type, id, subject, JSON.stringify(data), '', t, 0, now - t, n + 1, 0];
    const row = [...fields, hash(1), hash(2), hash(3), hash(4)];
    rows.push(format === 'TSV' ? row.join('\t') : JSON.stringify(row));
  }
  return Buffer.from(`${rows.join('\n')}\n`);
}
