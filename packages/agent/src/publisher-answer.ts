/** What the answer to a batch of readings, or its absence, means. */

/** A later try may succeed: no answer, overload, a server that starts or stops, a key about to be granted. */
export const mayChange = (status: number): boolean => status >= 500 || [401, 403, 408, 425, 429].includes(status);

/** Why there was no answer. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
};

/** What an answer says was not accepted, duplicates aside; '' for nothing. */
export const refusals = (body: string): string => {
  try {
    const outcome = JSON.parse(body) as { conflicts?: number; rejected?: number; items?: { message?: string }[] };
    const bad = (outcome.conflicts ?? 0) + (outcome.rejected ?? 0);
    return bad > 0 ? `${bad} items, the first: ${outcome.items?.[0]?.message ?? 'no reason given'}` : '';
  } catch {
    return '';
  }
};
