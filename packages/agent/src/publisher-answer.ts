/** What the answer to a batch, or its absence, means. */
import type { BatchOutcome } from '@tollgate/event';
import type { HttpAnswer } from './environment.ts';

/** Only these speak of the content. Everything else may be a key not yet granted, a proxy, a wrong address, a restart. */
const OF_CONTENT = new Set([400, 409, 413, 422]);
export const isOfContent = (status: number): boolean => OF_CONTENT.has(status);

/** A Tollgate server has read it, and no repetition changes what it says. A proxy's page knows nothing of the content. */
export const isForGood = ({ status, body }: HttpAnswer): boolean => isOfContent(status) && codeIn(body) !== null;

/** What a Tollgate server calls the problem; null for what something else has answered. */
export const codeIn = (body: string): string | null => {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string'
      ? value.code
      : null;
  } catch {
    return null;
  }
};

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
