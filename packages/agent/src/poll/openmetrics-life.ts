/**
 * Since when a counter of a page counts: epoch and start, from the evidence the page shows. Pure.
 *
 * A new epoch makes the server count the whole value again, and a page may lack its evidence for one scrape. So inside
 * one life the kind of evidence never changes: what was told by `_created` is not told by its process next time. Another
 * kind is believed only when it proves that a new life began; otherwise the old epoch goes on, or the sample is left out.
 */
import { decimal } from './exact.ts';
import type { MetricRule } from './openmetrics-rules.ts';
import type { Seen } from './tracker.ts';

/** Seconds since 1970, as the page has them; undefined: it does not tell. */
export interface Evidence {
  created: string | undefined;
  process: string | undefined;
}

/** The counter as the pass before left it. */
export interface Past {
  epoch: string;
  /** ms since 1970, of the pass before. */
  at: number;
}

type Life = Pick<Seen, 'epoch' | 'start' | 'fromZero'>;
type Told = Life & { start: number };

/** Null: there is no telling now, so the sample is left out. `at`: ms since 1970, of this pass. */
export const lifeOf = (rule: MetricRule, evidence: Evidence, past: Past | null, at: number): Life | null => {
  const { ownProcess = false } = rule;
  const created = told('created', evidence.created);
  const process = ownProcess ? told('process', evidence.process) : null;
  if (evidence.created !== undefined && created === null) return null;
  if (past === null) return created ?? process ?? (ownProcess ? null : { epoch: '', fromZero: rule.fromZero ?? false });
  const [kind, seconds] = past.epoch.split('/');
  const began = kind === 'created' || kind === 'process' ? msOf(seconds) : null;
  if (began === null) return unproven(past, created ?? process, ownProcess, at);
  if (kind === 'created') {
    if (created !== null) return created.start === began ? { ...created, epoch: past.epoch } : created;
    // A process that began after its counter was made is another process.
    return process !== null && process.start > began ? process : null;
  }
  if (!ownProcess) return { epoch: past.epoch, fromZero: false };
  if (process === null) return null;
  return process.start === began ? { ...process, epoch: past.epoch } : (created ?? process);
};

/** So far nothing told when it began. What tells it now is either younger than the pass before, or of the same life. */
const unproven = (past: Past, now: Told | null, ownProcess: boolean, at: number): Life | null => {
  if (now === null && ownProcess) return null;
  if (now !== null && now.start > past.at && now.start <= at) return now;
  return { epoch: past.epoch, fromZero: false };
};

const told = (kind: 'created' | 'process', seconds: string | undefined): Told | null => {
  const start = msOf(seconds);
  return start === null ? null : { epoch: `${kind}/${seconds}`, start };
};

const msOf = (seconds: string | undefined): number | null => {
  const ms = seconds === undefined ? null : decimal(seconds, 3);
  return ms !== null && ms.whole > 0n && ms.whole <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(ms.whole) : null;
};
