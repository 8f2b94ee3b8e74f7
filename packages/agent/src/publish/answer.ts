/** What an answer to a batch means for the batch. */
import type { BatchOutcome, ItemOutcome } from '@tollgate/event';
import type { HttpAnswer } from '../environment.ts';
import { isOfContent, isOutcome, outcomeIn } from '../publisher-answer.ts';

export type Verdict =
  /** Every item was judged, and its number is settled; `bad` are those the server does not count. */
  | { kind: 'settled'; bad: readonly ItemOutcome[]; receipts: { first: number; last: number } | null }
  /** The same may succeed later. `foreign`: a 2xx, and not from a server of ours, as a proxy's page is. */
  | { kind: 'again'; foreign: boolean }
  /** As a whole it will never be taken. `position`: of the culprit, -1 not named. `large`: a smaller one may be. */
  | { kind: 'refused'; position: number; large: boolean; reason: string };

interface Problem {
  outcome?: unknown;
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

const settled = ({ items, receipts }: BatchOutcome): Verdict => ({
  kind: 'settled',
  bad: items.filter((item) => item?.outcome !== 'duplicate'),
  receipts: receipts ?? null,
});

const positionIn = ({ position, pointer }: Problem): number => {
  if (Number.isSafeInteger(position)) return position as number;
  const named = /^\/(\d+)(\/|$)/.exec(typeof pointer === 'string' ? pointer : '');
  return named === null ? -1 : Number(named[1]);
};

export function judge(answer: HttpAnswer): Verdict {
  const { status, body } = answer;
  if (status >= 200 && status < 300) {
    const outcome = outcomeIn(body);
    return outcome === null ? { kind: 'again', foreign: true } : settled(outcome);
  }
  if (!isOfContent(status)) return { kind: 'again', foreign: false };
  const problem = parsed(body);
  // Nothing of it was taken, but all of it was read: the numbers are settled.
  if (isOutcome(problem.outcome)) return settled(problem.outcome);
  const reason = `${status} ${[problem.code, problem.detail].filter((t) => typeof t === 'string').join(': ')}`.trim();
  return { kind: 'refused', position: positionIn(problem), large: status === 413, reason };
}
