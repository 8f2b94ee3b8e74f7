/** The list of segments that belong together, replaced as a whole: a crash leaves the old one or the new one. */
import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Receipt } from '../../domain/fact.ts';
import type { SegmentInfo } from './segment.ts';

export interface Manifest {
  version: 1;
  /** Hash of the key the identities were made with: under another key they mean nothing. */
  fingerprint: string;
  /** Identities of all events with receipt <= frontier are in the segments, as far as they are not too old. */
  frontier: Receipt;
  /** Quarter of an hour of receipt before which ids were given up for want of memory; 0: none were. */
  memoryCutoff: number;
  /** Oldest first. */
  segments: SegmentInfo[];
}

const NAME = 'manifest.json';

const isInfo = (x: unknown): x is SegmentInfo => {
  const info = x as Partial<SegmentInfo> | null;
  return (
    typeof info === 'object' &&
    info !== null &&
    typeof info.file === 'string' &&
    /^[a-z0-9-]+\.ids$/.test(info.file) &&
    Number.isSafeInteger(info.ids) &&
    Number.isSafeInteger(info.blocks) &&
    Array.isArray(info.quarters)
  );
};

/** Null when there is none, or none that can be used. */
export async function readManifest(dir: string, fingerprint: string): Promise<Manifest | null> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(join(dir, NAME), 'utf8'));
  } catch {
    return null;
  }
  const m = parsed as Partial<Manifest> | null;
  if (typeof m !== 'object' || m === null || m.version !== 1 || m.fingerprint !== fingerprint) return null;
  if (!Number.isSafeInteger(m.frontier) || !Number.isSafeInteger(m.memoryCutoff)) return null;
  return Array.isArray(m.segments) && m.segments.every(isInfo) ? (m as Manifest) : null;
}

export async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function writeManifest(dir: string, manifest: Manifest): Promise<void> {
  const next = join(dir, `${NAME}.next`);
  const handle = await open(next, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(manifest));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, join(dir, NAME));
  await syncDir(dir);
}

/** Makes the folder, and removes every file the manifest does not name (all of them when it is null). */
export async function tidy(dir: string, manifest: Manifest | null): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const keep = new Set(manifest === null ? [] : [NAME, ...manifest.segments.map((s) => s.file)]);
  for (const name of await readdir(dir)) if (!keep.has(name)) await unlink(join(dir, name));
}
