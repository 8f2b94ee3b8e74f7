/** What the cases of the usage store's contract share: the fixture, facts to write, and texts that end statements. */
import type { Declaration, SeriesReading, StoredEvent } from '../../domain/fact.ts';
import type { CounterRecord, TallyRecord } from '../../domain/record.ts';
import { type Instant, WINDOW_MS } from '../../domain/window.ts';
import type { IdentityHash, UsageStore } from '../usage-store.ts';
import { hostile } from './control-cases.ts';

export interface UsageFixture {
  store: UsageStore;
  /** Closes the store and opens it again on the same data. */
  again(): Promise<UsageStore>;
  /** A folder for files, gone with the fixture. */
  folder: string;
  drop(): Promise<void>;
}

export type UsageCase = (fixture: UsageFixture) => Promise<void>;
export type UsageCases = Readonly<Record<string, UsageCase>>;

/** 21 November 2026, midnight UTC. */
export const DAY: Instant = 1_795_219_200_000;
export const MINUTE = 60_000;
export const W = WINDOW_MS;
export const ALL = Number.MAX_SAFE_INTEGER;
export const U64_MAX = (1n << 64n) - 1n;

/** Texts that have ended somebody's statement, row or field. A store of bytes takes NUL too. */
export const texts: readonly string[] = [
  ...hostile,
  'a\0b',
  '\n\nDROP TABLE event;\n\n',
  '\n\n',
  '\r\n\r\n',
  "'\n\nSELECT 1; --",
  "';\n\nINSERT INTO record SELECT 1;",
  '*/ /* -- # $$',
  '\\N',
  '\\',
  '\t',
  '\\t\\\\n\\0',
  `'${'"'.repeat(3)}\``,
  ';',
  '{x:String}',
  '\u0001\u0002\u0003\u000b\u001f\u007f',
];

export const eventAt = (receipt: number, more: Partial<StoredEvent> = {}): StoredEvent => ({
  tenant: 'acme',
  source: 'app',
  id: `e-${receipt}`,
  type: 'api.call',
  subject: 'shop',
  t: DAY,
  sourceTime: DAY,
  receivedAt: DAY + 1000,
  data: '{"bytes":1}',
  receipt,
  stamps: 0,
  set: '',
  ...more,
});

export const readingAt = (series: number, receipt: number, more: Partial<SeriesReading> = {}): SeriesReading => ({
  series,
  t: DAY,
  value: 0n,
  epoch: 7,
  start: 0,
  receipt,
  stamps: 0,
  sourceTime: more.t ?? DAY,
  ...more,
});

export const declarationAt = (receipt: number, more: Partial<Declaration> = {}): Declaration => ({
  tenant: 'acme',
  source: 'app',
  run: 'run-1',
  firstSequence: receipt,
  lastSequence: receipt,
  completeThrough: DAY,
  sentAt: DAY,
  receivedAt: DAY,
  receipt,
  ...more,
});

export const recordAt = (series: number, window: Instant, more: Partial<CounterRecord> = {}): CounterRecord => ({
  series,
  window,
  part: 0,
  seen: W,
  used: 0n,
  n: 3,
  flags: 0,
  state: 0,
  facts: 2 ** 32 - series,
  isVoid: false,
  ...more,
});

export const tallyAt = (series: number, window: Instant, more: Partial<TallyRecord> = {}): TallyRecord => ({
  series,
  window,
  part: 0,
  sum: 0n,
  count: 1n,
  min: null,
  max: null,
  latest: null,
  latestAt: 0,
  flags: 0,
  state: 0,
  isVoid: false,
  ...more,
});

/** A hash of the identity and one of the content, the way a caller makes them, only simpler. */
export function hashOf(event: Pick<StoredEvent, 'tenant' | 'source' | 'id' | 'data'>): IdentityHash {
  const id = JSON.stringify([event.tenant, event.source, event.id]);
  return { idHi: fold(id, 31), idLo: fold(id, 37), contentHi: fold(event.data, 31), contentLo: fold(event.data, 37) };
}

const fold = (text: string, by: number): number =>
  [...text].reduce((hash, letter) => (Math.imul(hash, by) + (letter.codePointAt(0) ?? 0)) >>> 0, 4_000_000_000);

export interface Facts {
  events?: readonly StoredEvent[];
  readings?: readonly SeriesReading[];
  declarations?: readonly Declaration[];
}

export async function write(store: UsageStore, facts: Facts): Promise<void> {
  const writer = store.writer();
  for (const event of facts.events ?? []) writer.event(event, hashOf(event));
  for (const reading of facts.readings ?? []) writer.reading(reading);
  for (const declaration of facts.declarations ?? []) writer.declaration(declaration);
  await writer.commit();
}

export async function eventsOf(
  store: UsageStore,
  more: Partial<Parameters<UsageStore['events']>[0]> = {},
): Promise<StoredEvent[]> {
  const query = { types: ['api.call'], from: 0, to: ALL_TIME, frontier: ALL, voided: [], undoneSets: [], ...more };
  const out: StoredEvent[] = [];
  for await (const event of store.events(query)) out.push(event);
  return out;
}

/** After every instant a store holds. */
export const ALL_TIME: Instant = 2 ** 32 * 1000;

/** Readings of one series every `step` ms from `from` to `to`, counting `per` more each time; receipts from `receipt` on. */
export function ramp(
  series: number,
  from: Instant,
  to: Instant,
  step: number,
  per: bigint,
  receipt: number,
): SeriesReading[] {
  const out: SeriesReading[] = [];
  for (let t = from, value = 0n; t <= to; t += step, value += per) {
    out.push(readingAt(series, receipt + out.length, { t, value }));
  }
  return out;
}
