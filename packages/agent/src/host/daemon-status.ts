/** What a running daemon shows of itself: the status file, and its page for people. */
import type { BeatState } from './daemon-beat.ts';
import type { ServerState } from './daemon-network.ts';
import type { Reconciliation } from './encapsulation.ts';
import { reportTable } from './encapsulation-report.ts';

export interface PollerStatus extends BeatState {
  name: string;
  kind: string;
  intervalMs: number;
  objects: number;
  /** Objects no rule of the mapping matches now, and the first of them. */
  unmatched: number;
  unmatchedObjects: readonly string[];
  troubles: number;
  lastTrouble: string;
}

export interface Status {
  /** When this was written; all instants are ms since 1970. */
  at: number;
  startedAt: number;
  source: string;
  /** Everything this source has to say up to here was handed to the publisher; 0 not yet. */
  completeThrough: number;
  pollers: readonly PollerStatus[];
  /** Each since its counters began, or since it was first seen. */
  tunnels: readonly Reconciliation<string>[];
  /** Readings not yet acknowledged, and those the server will never have. */
  queue: { waiting: number; lost: number };
  /** Where they wait, if not in memory: bytes, readings given up between others, why the disk takes nothing. */
  disk?: { bytes: number; thinned: number; trouble: string };
  server: ServerState;
  mapping: { path: string; rules: number; version: number; problems: readonly string[] };
}

/** A daemon that has not written for this long does not run. */
export const STALE_MS = 90_000;

/** null: this is no status. */
export const parseStatus = (text: string): Status | null => {
  try {
    const status = JSON.parse(text) as Partial<Status>;
    const sound = typeof status.at === 'number' && Array.isArray(status.pollers) && status.queue && status.server;
    return sound ? ({ tunnels: [], ...status } as unknown as Status) : null;
  } catch {
    return null;
  }
};

/** One line each; control characters of names from outside are taken out. */
export const statusPage = (status: Status, now: number): string => {
  const { server, queue, mapping } = status;
  const lines = [
    now - status.at > STALE_MS
      ? `NOT RUNNING: last written ${ago(now, status.at)}`
      : `running since ${iso(status.startedAt)}`,
    `source            ${status.source}`,
    `complete through  ${iso(status.completeThrough)}`,
    `acknowledged      ${ago(now, server.lastAcknowledgedAt)}${server.failures > 0 ? `, ${server.failures} tries failed since` : ''}`,
    `waiting           ${queue.waiting} readings, ${diskText(status)}${queue.lost > 0 ? `; ${queue.lost} lost or refused for good` : ''}`,
    `clock             ${clockText(server)}`,
    `mapping           ${mapping.path === '' ? 'none' : `${mapping.path}, ${mapping.rules} rules`}`,
    ...mapping.problems.map((problem) => `  ${problem}`),
    '',
    ...table(
      ['poller', 'last pass', 'took', 'passes', 'failed', 'objects', 'unmatched', 'state'],
      status.pollers.map((p) => [
        p.name,
        ago(now, p.lastPassAt),
        `${p.lastTookMs} ms`,
        String(p.passes),
        String(p.failures),
        String(p.objects),
        String(p.unmatched),
        stateText(p, now),
      ]),
    ),
    ...(status.tunnels.length === 0 ? [] : ['', ...reportTable(status.source, status.tunnels).trimEnd().split('\n')]),
  ];
  return lines.map((line) => `${plain(line)}\n`).join('');
};

const stateText = (p: PollerStatus, now: number): string => {
  if (p.overdueSince > 0) return `hangs since ${ago(now, p.overdueSince)}`;
  if (p.inARow > 0) return `fails: ${p.lastError}`;
  return p.lastTrouble === '' ? 'ok' : `ok; ${p.troubles} troubles, the last: ${p.lastTrouble}`;
};

const diskText = ({ disk }: Status): string => {
  if (disk === undefined) return 'in memory';
  if (disk.trouble !== '') return `the disk takes none: ${disk.trouble}`;
  return `${disk.bytes} bytes on disk${disk.thinned > 0 ? `; ${disk.thinned} between others given up` : ''}`;
};

const clockText = ({ clock }: ServerState): string => {
  if (clock === null) return 'not compared yet';
  const { offsetMs, uncertaintyMs } = clock;
  if (Math.abs(offsetMs) <= uncertaintyMs) return `as the server's, within ${uncertaintyMs} ms`;
  return `${Math.abs(offsetMs)} ms ${offsetMs > 0 ? 'ahead of' : 'behind'} the server's, within ${uncertaintyMs} ms`;
};

const iso = (at: number): string => (at > 0 ? new Date(at).toISOString() : 'not yet');

const ago = (now: number, at: number): string => {
  if (at === 0) return 'never';
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const plain = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');

/** Columns as wide as they need to be. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, i) => plain(cell).padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
};
