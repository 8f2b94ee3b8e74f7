/** What an answer to a batch means for the batch. */
import type { BatchOutcome, ItemOutcome } from '@tollgate/event';
import type { HttpAnswer } from '../environment.ts';

export type Verdict =
  /** Every item was judged, and its number is settled; `bad` are those the server does not count. */
  | { kind: 'settled'; bad: readonly ItemOutcome[]; receipts: { first: number; last: number } | null }
  /** The same may succeed later. */
  | { kind: 'again' }
  /** As a whole it will never be taken. `position`: of the culprit, -1 not named. `large`: a smaller one may be. */
  | { kind: 'refused'; position: number; large: boolean; reason: string };

/** Only these speak of the content. Everything else may be a key not yet granted, a proxy, a wrong address, a restart. */
const OF_CONTENT = new Set([400, 409, 413, 422]);

interface Problem extends Partial<BatchOutcome> {
  outcome?: Partial<BatchOutcome>;
  position?: unknown;
  pointer?: unknown;
  code?: unknown;
  detail?: unknown;
}

const parsed = (body: string): Problem => {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Problem) : {};
  } catch {
    return {};
  }
};

const settled = ({ items, receipts }: Partial<BatchOutcome>): Verdict => ({
  kind: 'settled',
  bad: Array.isArray(items) ? items.filter((item) => item?.outcome !== 'duplicate') : [],
  receipts: receipts ?? null,
});

const positionIn = ({ position, pointer }: Problem): number => {
  if (Number.isSafeInteger(position)) return position as number;
  const named = /^\/(\d+)(\/|$)/.exec(typeof pointer === 'string' ? pointer : '');
  return named === null ? -1 : Number(named[1]);
};

export function judge(answer: HttpAnswer): Verdict {
  const { status, body } = answer;
  if (status >= 200 && status < 300) return settled(parsed(body));
  if (!OF_CONTENT.has(status)) return { kind: 'again' };
  const problem = parsed(body);
  // Nothing of it was taken, but all of it was read: the numbers are settled.
  if (problem.outcome !== undefined) return settled(problem.outcome);
  const reason = `${status} ${[problem.code, problem.detail].filter((t) => typeof t === 'string').join(': ')}`.trim();
  return { kind: 'refused', position: positionIn(problem), large: status === 413, reason };
}
