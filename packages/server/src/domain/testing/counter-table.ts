/** Counter tables for tests: readings and what becomes of them as rows of text. */
import assert from 'node:assert/strict';
import { type CounterSpec, counterRecords, type Decisions, followCounter } from '../delta.ts';
import { type Reading, Stamp } from '../fact.ts';
import { flagNames, stateName } from '../record.ts';
import { type Instant, WINDOW_MS } from '../window.ts';

/** 21 November 2026, midnight UTC. */
export const DAY = 1_795_219_200_000;
const DAY_MS = 86_400_000;

export const undecided: Decisions = {
  released: new Set(),
  dropped: new Set(),
  quarantinedFrom: null,
  unobserved: [],
  settledBefore: 0,
};

/** `10:05`, `10:05:30`, `10:05:30.001`; `+40d10:05` is 40 days later, `-1d` a day earlier. */
export function at(text: string): Instant {
  const [, days = '0', h = '0', m = '0', s = '0'] =
    /^(?:([+-]\d+)d)?(?:(\d+):(\d+)(?::(\d+(?:\.\d+)?))?)?$/.exec(text) ?? assert.fail(`not a time: ${text}`);
  return DAY + Number(days) * DAY_MS + (Number(h) * 60 + Number(m)) * 60_000 + Math.round(Number(s) * 1000);
}

export function clock(t: Instant): string {
  const day = Math.floor((t - DAY) / DAY_MS);
  const ms = t - DAY - day * DAY_MS;
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  const seconds = (ms % 60_000) / 1000;
  const prefix = day === 0 ? '' : `${day > 0 ? '+' : ''}${day}d`;
  return `${prefix}${two(ms / 3_600_000)}:${two((ms % 3_600_000) / 60_000)}${seconds > 0 ? `:${seconds}` : ''}`;
}

/**
 * Rows `time epoch value`, then any of `start TIME`, a stamp's name, `#receipt`. Without a receipt: the row's number.
 * The value of an end marker is `-`.
 */
export function readingsOf(text: string): Reading[] {
  return rowsOf(text).map((row, i) => {
    const [time = '', epoch = '', value = '', ...rest] = row.split(/\s+/);
    let reading: Reading = {
      t: at(time),
      epoch: epoch.charCodeAt(0),
      value: value === '-' ? 0n : BigInt(value),
      start: 0,
      receipt: i + 1,
      stamps: value === '-' ? Stamp.end : 0,
    };
    while (rest.length > 0) {
      const word = rest.shift() ?? '';
      if (word === 'start') reading = { ...reading, start: at(rest.shift() ?? '') };
      else if (word.startsWith('#')) reading = { ...reading, receipt: Number(word.slice(1)) };
      else {
        assert.ok(Object.hasOwn(Stamp, word), `not a stamp: ${word}`);
        reading = { ...reading, stamps: reading.stamps | Stamp[word as keyof typeof Stamp] };
      }
    }
    return reading;
  });
}

export const rowsOf = (text: string): string[] =>
  text
    .split('\n')
    .map((row) => row.trim())
    .filter((row) => row !== '');

export interface Given {
  width?: 32 | 64;
  lineBits?: number;
  period?: number;
  decisions?: Partial<Decisions>;
  breakpoints?: readonly string[];
  from?: string;
  to?: string;
}

/**
 * What came out: a row `time used n/seen-seconds state flags` per record, `unobserved FROM TO`, `ended TIME`, and
 * `#receipt case code` for every reading that is not simply counted (case 2) or the first.
 */
export function outcome(readings: readonly Reading[], given: Given = {}): string[] {
  const spec: CounterSpec = {
    width: given.width ?? 64,
    lineBits: given.lineBits ?? 0,
    period: given.period ?? 300_000,
  };
  const decisions = { ...undecided, ...given.decisions };
  const course = followCounter(readings, spec, decisions);
  const times = readings.map((r) => r.t);
  const from = given.from ? at(given.from) : floor(Math.min(...times, course.first ?? Number.POSITIVE_INFINITY));
  const to = given.to ? at(given.to) : floor(Math.max(...times)) + WINDOW_MS;
  const records = counterRecords(1, course, from, to, (given.breakpoints ?? []).map(at), decisions);
  const rows = records.map((r) => {
    const flags = flagNames(r.flags).join(' ');
    return `${clock(r.window + r.part)} ${r.used} ${r.n}/${r.seen / 1000} ${stateName(r.state)} ${flags}`.trim();
  });
  rows.push(...course.unobserved.map((i) => `unobserved ${clock(i.from)} ${clock(i.to)}`));
  if (course.ended !== null) rows.push(`ended ${clock(course.ended)}`);
  for (const [receipt, v] of [...course.verdicts].sort(([a], [b]) => a - b)) {
    if (v.case !== 1 && v.case !== 2) rows.push(`#${receipt} ${v.case} ${v.code}`);
  }
  assert.equal(course.verdicts.size, new Set(readings.map((r) => r.receipt)).size, 'a verdict for every reading');
  return rows;
}

const floor = (t: Instant): Instant => Math.floor(t / WINDOW_MS) * WINDOW_MS;

/** The readings give exactly these rows, in whatever order they are handed over. */
export function check(readings: string, expected: string, given: Given = {}): void {
  const list = readingsOf(readings);
  assert.deepEqual(outcome(list, given), rowsOf(expected));
  assert.deepEqual(outcome([...list].reverse(), given), rowsOf(expected), 'handed over backwards');
}
