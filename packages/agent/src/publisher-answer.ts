/** What the answer to a batch of readings, or its absence, means. */
import type { BatchOutcome } from '@tollgate/event';

/** A later try may succeed: no answer, overload, a server that starts or stops, a key about to be granted. */
export const mayChange = (status: number): boolean => status >= 500 || [401, 403, 408, 425, 429].includes(status);

/** Why there was no answer. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
};

/** What a server that took a batch says of it; null for anything else, such as the page of a proxy. */
export const outcomeIn = (body: string): BatchOutcome | null => {
  try {
    const value: unknown = JSON.parse(body);
    return isOutcome(value) ? value : null;
  } catch {
    return null;
  }
};

export const isOutcome = (value: unknown): value is BatchOutcome => {
  if (typeof value !== 'object' || value === null) return false;
  const { accepted, duplicates, conflicts, rejected, items } = value as Partial<BatchOutcome>;
  return [accepted, duplicates, conflicts, rejected].every(Number.isSafeInteger) && Array.isArray(items);
};

/** What an answer says was not accepted, duplicates aside; '' for nothing. */
export const refusals = ({ conflicts, rejected, items }: BatchOutcome): string => {
  const bad = conflicts + rejected;
  return bad > 0 ? `${bad} items, the first: ${items[0]?.message ?? 'no reason given'}` : '';
};
