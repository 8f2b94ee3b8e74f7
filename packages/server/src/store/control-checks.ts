/**
 * What every control store refuses, whatever its engine, so that the model and PostgreSQL cannot differ in it. All of
 * these are faults of the caller: `store.text_invalid`, `store.text_too_long`, `store.number_range`, `store.misuse`.
 */
import type { ControlFact } from '../domain/control-fact.ts';
import { GROUPS_MAX } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import type { Lease, NewSeries, Notice, Progress, Run, SetAside } from './control-store.ts';
import { StoreError } from './errors.ts';

/** A name that is looked up by an ordered index: a row of one holds 2,704 bytes. */
export const NAME_BYTES = 1024;
export const GROUPS_DEFAULT = 4;
/**
 * No lease is asked for longer. One that lies further ahead was granted by a clock that has been set back since, and is
 * free: otherwise an hour's step would keep everybody out for an hour.
 */
export const LEASE_MS_MAX = 10 * 60_000;

/**
 * PostgreSQL's text holds no NUL, and half of a surrogate pair is no character in UTF-8: the driver would silently put
 * another one in its place, and the same fact would read differently afterwards.
 */
const unstorable = /\0|\p{Surrogate}/u;

export function checkText(field: string, value: string, bytes = Number.MAX_SAFE_INTEGER): void {
  if (typeof value !== 'string') throw new StoreError('store.misuse', `${field} is not text.`);
  const at = value.search(unstorable);
  if (at >= 0) {
    const what = value.charCodeAt(at) === 0 ? 'a NUL character' : 'half of a surrogate pair';
    throw new StoreError('store.text_invalid', `${field} holds ${what} at position ${at}: it cannot be stored.`);
  }
  if (value.length * 3 > bytes && Buffer.byteLength(value) > bytes)
    throw new StoreError('store.text_too_long', `${field} is longer than ${bytes} bytes.`);
}

/** Every name and every text in a JSON value. */
export function checkJson(field: string, value: unknown): void {
  if (typeof value === 'string') checkText(field, value);
  else if (typeof value === 'number' && !Number.isFinite(value))
    throw new StoreError('store.number_range', `${field} is no finite number.`);
  else if (Array.isArray(value)) value.forEach((item, i) => void checkJson(`${field}[${i}]`, item));
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value)) {
      checkText(`a name in ${field}`, name);
      checkJson(`${field}.${name}`, item);
    }
}

export function checkWhole(field: string, value: number, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new StoreError('store.number_range', `${field} is ${value}, not a whole number between ${min} and ${max}.`);
}

export function checkNotice(notice: Omit<Notice, 'id'>): void {
  for (const field of ['tenant', 'limit', 'account', 'subject'] as const) checkText(field, notice[field]);
  for (const field of ['version', 'from', 'to', 'percent', 'used', 'amount', 'at'] as const)
    checkWhole(field, notice[field]);
}

/** What a notice is unique by. */
export const noticeIdentity = ({ limit, version, account, subject, from, percent }: Omit<Notice, 'id'>): string =>
  JSON.stringify([limit, version, account, subject, from, percent]);

export function checkFact(fact: ControlFact): void {
  checkWhole('receipt', fact.receipt, 1);
  checkWhole('recordedAt', fact.recordedAt);
  checkText('tenant', fact.tenant, NAME_BYTES);
  checkText('author', fact.author);
  checkText('reason', fact.reason);
  checkJson('body', fact.body);
}

export function checkSeries(key: NewSeries): void {
  checkText('tenant', key.tenant, NAME_BYTES);
  for (const field of ['source', 'resource', 'meter', 'layer'] as const) checkText(field, key[field]);
  checkJson('dimensions', key.dimensions);
  for (const field of ['lineBits', 'period', 'witnessOf', 'firstReceipt'] as const) checkWhole(field, key[field], 0);
  if (key.width !== 32 && key.width !== 64) throw new StoreError('store.misuse', `width is ${key.width as number}.`);
}

export const checkGroup = (group: number): void => checkWhole('group', group, 0, GROUPS_MAX - 1);

export function checkLeaseRequest(group: number, holder: string, now: Instant, ttlMs: number): void {
  checkGroup(group);
  checkText('holder', holder);
  checkWhole('now', now);
  checkWhole('ttlMs', ttlMs, 1, LEASE_MS_MAX);
}

export function checkProgress(row: Omit<Progress, 'id'>): void {
  checkGroup(row.group);
  for (const field of ['from', 'closedTo', 'frontier'] as const) checkWhole(field, row[field]);
  if (row.stream !== 'counter' && row.stream !== 'event')
    throw new StoreError('store.misuse', `stream is ${String(row.stream)}.`);
  if (row.to !== null) checkWhole('to', row.to);
  const sane = row.from <= row.closedTo && (row.to === null || (row.closedTo <= row.to && row.from < row.to));
  if (!sane) throw new StoreError('store.misuse', 'A span of progress needs from <= closedTo <= to and from < to.');
}

function checkHeld(row: Progress, lease: Lease): void {
  if (row.group !== lease.group)
    throw new StoreError('store.misuse', `Progress of group ${row.group} under a lease of group ${lease.group}.`);
}

export function checkAdvance(row: Progress, closedTo: Instant, frontier: number, lease: Lease): void {
  checkHeld(row, lease);
  checkProgress({ ...row, closedTo, frontier });
  if (closedTo < row.closedTo || frontier < row.frontier)
    throw new StoreError('store.misuse', 'Progress never goes back: closedTo and frontier may only grow.');
}

export function checkSplit(row: Progress, at: Instant, lease: Lease): void {
  checkHeld(row, lease);
  checkWhole('at', at);
  if (at < row.closedTo || at <= row.from || (row.to !== null && at >= row.to))
    throw new StoreError('store.misuse', 'A span is split inside itself, at or after what is closed.');
}

/** Neighbours are equal when the first is closed to its end and both account for the same receipts. */
export function checkMerge(first: Progress, second: Progress, lease: Lease): void {
  checkHeld(first, lease);
  checkHeld(second, lease);
  const neighbours = first.stream === second.stream && first.to === second.from;
  if (!neighbours || first.closedTo !== first.to || first.frontier !== second.frontier)
    throw new StoreError('store.misuse', 'Only equal neighbours merge: the first closed to its end, one frontier.');
}

export function checkRun(run: Omit<Run, 'id'>): void {
  checkGroup(run.group);
  for (const field of ['from', 'to', 'frontier', 'startedAt'] as const) checkWhole(field, run[field]);
  for (const field of ['windows', 'records', 'rewritten', 'odd', 'setAside'] as const) checkWhole(field, run[field], 0);
  if (run.finishedAt !== null) checkWhole('finishedAt', run.finishedAt);
  checkText('error', run.error);
}

export function checkSetAside(item: Omit<SetAside, 'id'>): void {
  checkText('tenant', item.tenant, NAME_BYTES);
  for (const field of ['identity', 'code', 'reason', 'content'] as const) checkText(field, item[field]);
  for (const field of ['at', 'recordedAt'] as const) checkWhole(field, item[field]);
  for (const field of ['series', 'receipt'] as const) {
    const value = item[field];
    if (value !== null) checkWhole(field, value, 0);
  }
}

/** `groups` is fixed when the store is made and stands in meta: series ids depend on it. */
export const GROUPS_META = 'groups';

export function checkMetaName(name: string, write: boolean): void {
  checkText('name', name, NAME_BYTES);
  if (write && name === GROUPS_META)
    throw new StoreError('store.misuse', 'The number of groups is fixed when the store is made.');
}

export const notFound = (what: string): StoreError => new StoreError('store.not_found', `There is no ${what}.`);

export const receiptTaken = (receipt: number): StoreError =>
  new StoreError('store.receipt_taken', `Receipt ${receipt} already belongs to another fact.`);

export const overlapping = (row: Omit<Progress, 'id'>): StoreError =>
  new StoreError('store.progress_overlap', `A span of group ${row.group} and stream ${row.stream} overlaps this one.`);

export const receiptsExhausted = (): StoreError =>
  new StoreError('store.receipts_exhausted', 'There are no receipt numbers below 2^53 left.');
