/**
 * What is known of event identities (law 2): exact tables of the latest ones, before them sorted files with a filter in
 * memory. The index is derived from the event table: it is brought up to date from the store before ingest opens, and
 * thrown away and made anew when a file is missing or torn.
 *
 * How a question is answered: the tables first; then every segment's filter (one cache line each); then one read of 5 KB
 * for each filter that said "perhaps". Nothing is written out or merged on this thread.
 */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Receipt } from '../../domain/fact.ts';
import type { Instant } from '../../domain/window.ts';
import type { IdentityRow, UsageStore } from '../../store/usage-store.ts';
import { type Background, inPlace, WorkerBackground } from './background.ts';
import type { TenantKeys } from './event-hash.ts';
import { deriveKey, type HashKey, keyOf } from './hash.ts';
import type { Job, JobResult } from './jobs.ts';
import { type Manifest, readManifest, tidy, writeManifest } from './manifest.ts';
import { nextMerge } from './merge-plan.ts';
import { repair } from './repair.ts';
import { cutoffFor, QUARTER_MS, quarterOf } from './retention.ts';
import { loadSegment, Segment, type SegmentInfo } from './segment.ts';
import { askSegments, type SegmentAnswers } from './segment-lookup.ts';
import { IdentityTable, type RowBuffer, SLOT } from './table.ts';

export interface IdentitySettings {
  /** Folder of the index's files; nothing else lies in it. */
  dir: string;
  /** Random bytes of the installation, at least eight. */
  secret: Uint8Array;
  /** Declared window in ms. */
  windowMs: number;
  /** Ids kept at most; when they are reached, the window shrinks. */
  maxIds: number;
  /** A table has 2^tableBits slots and is written out when it is half full. */
  tableBits: number;
  background: 'worker' | 'in-place';
}

export const identityDefaults = { windowMs: 35 * 86_400_000, maxIds: 120_000_000, tableBits: 20 } as const;
/** Memory of one id in a segment: 16 bits of filter and its share of the sparse hashes. */
export const BYTES_PER_ID = 2.02;

export interface IdentityWindow {
  /** Length of the window in days: a repeated id is recognised if the first one came within it. */
  days: number;
  /** Ids of events before this instant are forgotten. */
  since: Instant;
  ids: number;
  /** Memory, tables included, and disk. */
  bytes: number;
  diskBytes: number;
  /** What bounds the window: the declared length, or the memory declared for it. */
  reason: 'declared' | 'memory';
}

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

interface Frozen {
  table: IdentityTable;
  /** Highest receipt of the groups claimed in it. */
  frontier: Receipt;
  /** Last group claimed in it: it can be written out when that one is settled. */
  group: number;
}

/** Tables that wait to be written out: beyond it ingest refuses, because the disk does not take them. */
const FROZEN_MAX = 8;
const RETRY_MS = 5000;

export class IdentityIndex {
  private readonly settings: IdentitySettings;
  private readonly log: Log;
  private readonly master: HashKey;
  private readonly fingerprint: string;
  private readonly background: Background;
  private readonly keys = new Map<string, TenantKeys>();
  private table: IdentityTable;
  private frozen: Frozen[] = [];
  private segments: Segment[] = [];
  private frontier: Receipt = 0;
  private memoryCutoff = 0;
  private now: Instant;
  private files = 0;
  private committed = 0;
  private busy: Promise<void> | null = null;
  private closed = false;
  private blockedUntil = 0;
  /** Grows when the set of segments or frozen tables changes: an answer from before may then be out of date. */
  generation = 0;

  private constructor(settings: IdentitySettings, log: Log, now: Instant) {
    this.settings = settings;
    this.log = log;
    this.now = now;
    this.master = keyOf(settings.secret);
    const mark = deriveKey(this.master, 'fingerprint');
    this.fingerprint = `${(mark.k0 >>> 0).toString(16)}-${(mark.k1 >>> 0).toString(16)}`;
    this.background = settings.background === 'worker' ? new WorkerBackground() : inPlace();
    this.table = new IdentityTable(settings.tableBits);
  }

  /** Brings the index up to date with the store. `now` only decides what is too old to be kept. */
  static async open(
    settings: IdentitySettings,
    store: Pick<UsageStore, 'identities'>,
    now: Instant,
    log: Log,
  ): Promise<IdentityIndex> {
    const index = new IdentityIndex(settings, log, now);
    const manifest = await readManifest(settings.dir, index.fingerprint);
    await tidy(settings.dir, manifest);
    if (manifest !== null) await index.load(manifest);
    await index.repair(store);
    return index;
  }

  private async load(manifest: Manifest): Promise<void> {
    try {
      for (const info of manifest.segments) {
        const path = join(this.settings.dir, info.file);
        this.segments.push(new Segment(path, info, loadSegment(path, info)));
        this.files = Math.max(this.files, fileNumber(info.file) + 1);
      }
      this.frontier = manifest.frontier;
      this.memoryCutoff = manifest.memoryCutoff;
    } catch (error) {
      this.log.warn({ error: String(error) }, 'identity index is torn: it is made anew from the event table');
      for (const segment of this.segments) segment.retire();
      this.segments = [];
      await tidy(this.settings.dir, null);
    }
  }

  private async repair(store: Pick<UsageStore, 'identities'>): Promise<void> {
    const after = this.frontier;
    const found = await repair(store, {
      after,
      oldest: this.cutoff(),
      now: this.now,
      most: 2 ** (this.settings.tableBits - 1),
      table: this.table,
      spill: (rows, frontier) => this.spill(rows, frontier),
      progress: (ids) => this.log.info({ ids }, 'reading identities from the event table'),
    });
    if (found > 0) this.log.info({ ids: found, after }, 'identity index repaired from the event table');
  }

  /** Writes rows out as a segment, and merges what is worth it by now. */
  private async spill(rows: RowBuffer, frontier: Receipt): Promise<void> {
    const { dir } = this.settings;
    this.frontier = Math.max(this.frontier, frontier);
    if (rows.count === 0) return this.save();
    const job: Job = { kind: 'sort', dir, file: this.nextFile(), rows: rows.memory, count: rows.count };
    await this.install(await this.background.run(job), []);
    await this.quiet();
    if (this.blockedUntil > this.now) throw new Error('the identity index cannot be written; the log has the reason');
  }

  // Hashing

  keysOf(tenant: string): TenantKeys {
    let keys = this.keys.get(tenant);
    if (keys === undefined) {
      keys = { id: deriveKey(this.master, `id\n${tenant}`), content: deriveKey(this.master, `content\n${tenant}`) };
      if (this.keys.size > 100_000) this.keys.clear();
      this.keys.set(tenant, keys);
    }
    return keys;
  }

  // Asking

  /** Verdicts of the segments for `count` identities (four words each), where `take` is 1. Reads few at once, many later. */
  askSegments(identity: Uint32Array, take: Uint8Array, count: number): SegmentAnswers | Promise<SegmentAnswers> {
    return askSegments(this.segments, this.generation, { identity, take, count });
  }

  /**
   * What the tables know of an identity; same content wins over other content (two events may meet in one hash).
   * `group` is set for claims that are not committed yet.
   */
  askTables(hi: number, lo: number, contentHi: number, contentLo: number): number {
    const found = this.askTable(this.table, hi, lo, contentHi, contentLo);
    if (found === Known.same || this.frozen.length === 0) return found;
    let best = found;
    for (const { table } of this.frozen) {
      const there = this.askTable(table, hi, lo, contentHi, contentLo);
      if (there === Known.same) return there;
      if (there !== Known.unknown) best = there;
    }
    return best;
  }

  private askTable(table: IdentityTable, hi: number, lo: number, contentHi: number, contentLo: number): number {
    let verdict: number = Known.unknown;
    for (let slot = table.find(hi, lo); slot >= 0; slot = table.find(hi, lo, slot)) {
      const at = slot * SLOT;
      const pending = (table.words[at + 4] as number) > this.committed;
      if (table.words[at + 2] === contentHi && table.words[at + 3] === contentLo)
        return pending ? Known.pendingSame : Known.same;
      verdict = pending ? Known.pendingOther : Known.other;
    }
    return verdict;
  }

  // Claiming

  /** Claims an identity for a group that is not committed yet. Returns the place, for `unclaim`. */
  claim(hi: number, lo: number, contentHi: number, contentLo: number, group: number): number {
    return this.table.insert(hi, lo, contentHi, contentLo, group, quarterOf(this.now));
  }
  /** Gives back claims of the group in progress. They all lie in the table that was in use since it began. */
  unclaim(table: IdentityTable, slots: Iterable<number>): void {
    for (const slot of slots) table.kill(slot);
  }
  /**
   * Takes in identities that are durable although their group failed. They belong in the group's own table: the frontier
   * it is written out with may lie above their receipts already.
   */
  adopt(table: IdentityTable, rows: readonly IdentityRow[]): void {
    for (const row of rows)
      table.insert(row.idHi, row.idLo, row.contentHi, row.contentLo, 0, quarterOf(row.receivedAt ?? this.now));
  }
  get current(): IdentityTable {
    return this.table;
  }
  private get full(): boolean {
    return this.table.size * 2 >= 2 ** this.settings.tableBits;
  }
  /** False: the disk does not take what has to be written out, so nothing more can be claimed. */
  get hasRoom(): boolean {
    return this.frozen.length < FROZEN_MAX || !this.full;
  }
  /** Claims the table can take for the group that is open. */
  get room(): number {
    return Math.floor(2 ** this.settings.tableBits * 0.85) - this.table.size;
  }

  /** A new group begins: what was claimed before it has receipts up to `frontier`. */
  beginGroup(group: number, frontier: Receipt): void {
    if (this.full && this.frozen.length < FROZEN_MAX) this.freeze(frontier, group - 1);
  }

  /** Everything up to this group is committed or given back. */
  settled(group: number, now: Instant): void {
    this.committed = group;
    if (now > this.now) this.now = now;
    this.work();
  }

  private freeze(frontier: Receipt, group: number): void {
    this.frozen.push({ table: this.table, frontier, group });
    this.table = new IdentityTable(this.settings.tableBits);
    this.generation++;
  }

  // Background work

  /** Starts the next job when none runs: the oldest table that can be written, otherwise a merge. Null: nothing to do. */
  private work(): Promise<void> | null {
    if (this.busy !== null || this.closed || this.now < this.blockedUntil) return this.busy;
    const frozen = this.frozen[0];
    const ready = frozen !== undefined && frozen.group <= this.committed;
    const merge = ready ? null : nextMerge(this.segments, this.cutoff(), this.settings.tableBits);
    if (!ready && merge === null) return null;
    const job = ready ? this.flush(frozen) : this.merge(merge as Segment[]);
    this.busy = job
      .catch((error: unknown) => {
        if (this.closed) return;
        this.blockedUntil = this.now + RETRY_MS;
        this.log.error({ error: String(error) }, 'identity index could not be written; it is tried again');
      })
      .finally(() => {
        this.busy = null;
        if (!this.closed && this.now >= this.blockedUntil) this.work();
      });
    return this.busy;
  }

  private nextFile(): string {
    return `segment-${String(this.files++).padStart(8, '0')}.ids`;
  }

  private async flush(frozen: Frozen): Promise<void> {
    const { table } = frozen;
    const { dir } = this.settings;
    const job: Job = { kind: 'flush', dir, file: this.nextFile(), table: table.memory, size: table.size };
    const result = await this.background.run(job);
    this.frozen = this.frozen.filter((f) => f !== frozen);
    this.frontier = Math.max(this.frontier, frozen.frontier);
    await this.install(result, []);
  }

  private async merge(from: Segment[]): Promise<void> {
    const { dir } = this.settings;
    const infos = from.map((s) => s.info);
    const job: Job = { kind: 'merge', dir, file: this.nextFile(), from: infos, cutoff: this.cutoff() };
    await this.install(await this.background.run(job), from);
  }

  /** Puts a new segment in the place of others, or behind the last one. */
  private async install({ info, memory }: JobResult, instead: readonly Segment[]): Promise<void> {
    if (this.closed) return;
    const next = new Segment(join(this.settings.dir, info.file), info, memory);
    const place = instead[0] === undefined ? this.segments.length : this.segments.indexOf(instead[0]);
    const kept = this.segments.filter((s) => !instead.includes(s));
    kept.splice(place, 0, next);
    this.shrink(kept);
    const cutoff = this.cutoff();
    const gone = kept.filter((s) => (s.info.quarters.at(-1)?.[0] ?? 0) < cutoff);
    this.segments = kept.filter((s) => !gone.includes(s));
    this.generation++;
    try {
      await this.save();
    } finally {
      for (const segment of [...instead, ...gone]) segment.retire();
    }
    for (const segment of [...instead, ...gone]) await unlink(segment.path).catch(() => undefined);
  }

  private save(): Promise<void> {
    const { fingerprint, frontier, memoryCutoff } = this;
    const segments: SegmentInfo[] = this.segments.map((s) => s.info);
    return writeManifest(this.settings.dir, { version: 1, fingerprint, frontier, memoryCutoff, segments });
  }

  // The window

  private cutoff(): number {
    return Math.max(this.memoryCutoff, quarterOf(this.now - this.settings.windowMs));
  }

  /** Moves the cutoff forward until what is kept fits the memory; the quarter of an hour in progress always stays. */
  private shrink(segments: readonly Segment[]): void {
    const before = this.memoryCutoff;
    const infos = segments.map((s) => s.info);
    this.memoryCutoff = Math.max(before, cutoffFor(infos, this.cutoff(), quarterOf(this.now), this.settings.maxIds));
    if (this.memoryCutoff === before) return;
    const days = this.window(this.now).days;
    this.log.warn({ days, maxIds: this.settings.maxIds }, 'the identity window shrank to what its memory holds');
  }

  /** Events with a time before this are refused unless they belong to a backfill set. */
  oldest(now: Instant): Instant {
    const declared = now - this.settings.windowMs;
    return this.memoryCutoff === 0 ? declared : Math.max(declared, this.memoryCutoff * QUARTER_MS);
  }

  window(now: Instant): IdentityWindow {
    const since = this.oldest(now);
    const inFiles = this.segments.reduce((sum, s) => sum + s.info.ids, 0);
    const tables = [this.table, ...this.frozen.map((f) => f.table)];
    const memory = this.segments.reduce((sum, s) => sum + s.memoryBytes, 0);
    return {
      days: Math.max(0, now - since) / 86_400_000,
      since,
      ids: inFiles + tables.reduce((sum, t) => sum + t.size, 0),
      bytes: memory + tables.reduce((sum, t) => sum + t.bytes, 0),
      diskBytes: inFiles * 20 + memory,
      reason: since > now - this.settings.windowMs ? 'memory' : 'declared',
    };
  }

  /** Segments and tables a question goes through: what it costs. */
  shape(): { segments: number; frozen: number; working: boolean } {
    return { segments: this.segments.length, frozen: this.frozen.length, working: this.busy !== null };
  }

  /** Waits for the background work that can be done now; for tests and benches. */
  async quiet(): Promise<void> {
    for (let job = this.busy ?? this.work(); job !== null; job = this.busy ?? this.work()) await job;
  }

  /** Nothing is lost: what is not written out is read from the event table at the next start. */
  async close(): Promise<void> {
    this.closed = true;
    await this.background.close();
    await this.busy?.catch(() => undefined);
    for (const segment of this.segments) segment.retire();
    this.segments = [];
  }
}

/** What is known of an identity; `pending`: of one whose commit is under way. */
export const Known = { unknown: 0, same: 1, other: 2, pendingSame: 3, pendingOther: 4 } as const;

const fileNumber = (file: string): number => Number(/\d+/.exec(file)?.[0] ?? 0);
