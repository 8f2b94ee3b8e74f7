/** The background work on identities: writing a full table out, merging segments. Run by the worker, or in place by tests. */
import { closeSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROW_BYTES, type SegmentInfo, type SegmentMemory, SegmentWriter } from './segment.ts';
import { IdentityTable, ROW, sorted, sortedRows, type TableMemory } from './table.ts';

export interface FlushJob {
  kind: 'flush';
  dir: string;
  file: string;
  table: TableMemory;
  size: number;
}
export interface MergeJob {
  kind: 'merge';
  dir: string;
  file: string;
  from: SegmentInfo[];
  /** Rows received before this quarter of an hour are left out. */
  cutoff: number;
}
/** Rows in any order, of ROW words each. */
export interface SortJob {
  kind: 'sort';
  dir: string;
  file: string;
  rows: SharedArrayBuffer;
  count: number;
}
export type Job = FlushJob | MergeJob | SortJob;
export interface JobResult {
  info: SegmentInfo;
  memory: SegmentMemory;
}

const CHUNK_ROWS = 16_384;
/** Rows between two pauses of a merge, some 25 ms of this thread: a flush that waits comes in between. */
const STEP_ROWS = 65_536;

function flush(job: FlushJob): JobResult {
  const table = new IdentityTable(job.table.bits, job.table);
  table.size = job.size;
  return write(job, sortedRows(table));
}

function write(job: Job, rows: Uint32Array): JobResult {
  const writer = new SegmentWriter(join(job.dir, job.file), job.file, rows.length / ROW);
  try {
    for (let at = 0; at < rows.length; at += ROW) writer.add(rows, at);
    return writer.finish();
  } catch (error) {
    discard(job, writer);
    throw error;
  }
}

/** A half-written file is of no use to anyone: the manifest never named it. */
function discard(job: Job, writer: SegmentWriter): void {
  try {
    writer.abandon();
    unlinkSync(join(job.dir, job.file));
  } catch {
    // Both may have happened already.
  }
}

/** Rows of one segment file, a chunk at a time. */
class Source {
  readonly rows = new Uint32Array(CHUNK_ROWS * ROW);
  /** Word of the current row; -1 at the end. */
  at = 0;
  private readonly fd: number;
  private left: number;
  private position = 0;
  private end = 0;

  constructor(path: string, ids: number) {
    this.fd = openSync(path, 'r');
    this.left = ids;
    this.fill();
  }
  next(): void {
    this.at += ROW;
    if (this.at >= this.end) this.fill();
  }
  close(): void {
    closeSync(this.fd);
  }
  private fill(): void {
    const rows = Math.min(this.left, CHUNK_ROWS);
    this.at = rows === 0 ? -1 : 0;
    this.end = rows * ROW;
    this.left -= rows;
    const bytes = Buffer.from(this.rows.buffer, 0, rows * ROW_BYTES);
    for (let done = 0; done < bytes.length; ) {
      const got = readSync(this.fd, bytes, done, bytes.length - done, this.position);
      if (got === 0) throw new Error('an identity segment ends too early');
      done += got;
      this.position += got;
    }
  }
}

/** The source whose row is lowest; undefined when all are at their end. */
function lowest(sources: readonly Source[]): Source | undefined {
  let best: Source | undefined;
  let hi = 0;
  let lo = 0;
  for (const source of sources) {
    if (source.at < 0) continue;
    const h = source.rows[source.at] as number;
    if (best !== undefined && h > hi) continue;
    const l = source.rows[source.at + 1] as number;
    if (best !== undefined && h === hi && l >= lo) continue;
    best = source;
    hi = h;
    lo = l;
  }
  return best;
}

function* merge(job: MergeJob): Generator<undefined, JobResult> {
  const most = job.from.reduce(
    (sum, info) => sum + info.quarters.reduce((ids, [quarter, n]) => ids + (quarter >= job.cutoff ? n : 0), 0),
    0,
  );
  const writer = new SegmentWriter(join(job.dir, job.file), job.file, most);
  const sources: Source[] = [];
  try {
    for (const info of job.from) sources.push(new Source(join(job.dir, info.file), info.ids));
    for (let n = 1; ; n++) {
      const source = lowest(sources);
      if (source === undefined) break;
      if ((source.rows[source.at + 4] as number) >= job.cutoff) writer.add(source.rows, source.at);
      source.next();
      if (n % STEP_ROWS === 0) yield;
    }
    return writer.finish();
  } catch (error) {
    discard(job, writer);
    throw error;
  } finally {
    for (const source of sources) source.close();
  }
}

export const runJob = async (job: Job, pause: () => Promise<void>): Promise<JobResult> => {
  if (job.kind === 'flush') return flush(job);
  if (job.kind === 'sort') return write(job, sorted(new Uint32Array(job.rows, 0, job.count * ROW)));
  const steps = merge(job);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pause();
  }
};
