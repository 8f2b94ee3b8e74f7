/**
 * Each closed UTC day's current records as Parquet with a manifest, so that scans of the billing team run elsewhere.
 * A day that late facts rewrote is published again; the manifest is renamed into place last and names every file's digest.
 */
import { createHash } from 'node:crypto';
import type * as Disk from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlFact } from '../domain/control-fact.ts';
import type { Receipt } from '../domain/fact.ts';
import type { Instant } from '../domain/window.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { SeriesRegistry } from '../store/series-registry.ts';
import type { UsageStore } from '../store/usage-store.ts';

export const DAY_MS = 86_400_000;
const PENDING = 'publish.pending';
const PUBLISHED_TO = 'publish.to';

export interface Manifest {
  format: 1;
  day: string;
  from: Instant;
  to: Instant;
  /** Frontier of the run after which the day was published. */
  frontier: Receipt;
  files: { name: string; rows: number; bytes: number; sha256: string }[];
}

export interface PublishDeps {
  usage: UsageStore;
  control: ControlStore;
  registry: SeriesRegistry;
  disk: Pick<typeof Disk, 'mkdir' | 'writeFile' | 'rename' | 'readFile' | 'stat' | 'open'>;
  dir: string;
}

const dayName = (day: Instant): string => {
  // Civil date from a day number, without a Date: proleptic Gregorian, era of 400 years.
  const z = Math.floor(day / DAY_MS) + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  const dayOfMonth = doy - Math.floor((153 * mp + 2) / 5) + 1;
  return `${year}-${String(month).padStart(2, '0')}-${String(dayOfMonth).padStart(2, '0')}`;
};

export class Publisher {
  private readonly deps: PublishDeps;

  constructor(deps: PublishDeps) {
    this.deps = deps;
  }

  /** Remembers durably, before progress advances, that the days of [from, to) must be published (again). */
  async markDirty(from: Instant, to: Instant): Promise<void> {
    const pending = await this.pending();
    const before = pending.size;
    for (let day = Math.floor(from / DAY_MS) * DAY_MS; day < to; day += DAY_MS) pending.add(day);
    if (pending.size > before) await this.deps.control.setMeta(PENDING, JSON.stringify([...pending]));
  }

  /** Publishes what is marked and wholly closed; returns the days' names. */
  async publish(closedTo: Instant, frontier: Receipt): Promise<string[]> {
    const pending = await this.pending();
    const done: string[] = [];
    for (const day of [...pending].sort((a, b) => a - b)) {
      if (day + DAY_MS > closedTo) continue;
      await this.publishDay(day, frontier);
      pending.delete(day);
      done.push(dayName(day));
    }
    if (done.length > 0) await this.deps.control.setMeta(PENDING, JSON.stringify([...pending]));
    if (done.length > 0) await this.deps.control.setMeta(PUBLISHED_TO, String(closedTo));
    return done;
  }

  private async pending(): Promise<Set<Instant>> {
    return new Set(JSON.parse((await this.deps.control.meta(PENDING)) ?? '[]') as Instant[]);
  }

  private async publishDay(day: Instant, frontier: Receipt): Promise<void> {
    const { usage, disk, dir } = this.deps;
    const place = join(dir, dayName(day));
    await disk.mkdir(place, { recursive: true, mode: 0o700 });
    const files: Manifest['files'] = [];
    for (const table of ['counter', 'tally'] as const) {
      const name = `${table}-${frontier}.parquet`;
      const rows = await usage.exportParquet(table, day, day + DAY_MS, join(place, name));
      files.push(await this.describe(place, name, rows));
    }
    files.push(await this.writeLines(place, `series-${frontier}.ndjson`, [...this.deps.registry.all()]));
    files.push(await this.writeLines(place, `control-${frontier}.ndjson`, await this.facts(frontier)));
    const manifest: Manifest = { format: 1, day: dayName(day), from: day, to: day + DAY_MS, frontier, files };
    await this.replace(join(place, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  }

  /** Who owned what, and what the meters were: without them records cannot be read. Ticks are of no use there, keys nobody's business. */
  private async facts(frontier: Receipt): Promise<ControlFact[]> {
    const all = await this.deps.control.facts(0, 10_000_000, { upTo: frontier });
    return all.filter((f) => f.body.kind !== 'tick' && f.body.kind !== 'key');
  }

  private async writeLines(place: string, name: string, rows: readonly unknown[]): Promise<Manifest['files'][number]> {
    await this.replace(join(place, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return this.describe(place, name, rows.length);
  }

  private async describe(place: string, name: string, rows: number): Promise<Manifest['files'][number]> {
    const bytes = await this.deps.disk.readFile(join(place, name));
    return { name, rows, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  }

  private async replace(path: string, text: string): Promise<void> {
    const { disk } = this.deps;
    const file = await disk.open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(`${path}.new`, path);
  }
}
