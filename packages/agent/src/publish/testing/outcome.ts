/** What a server says that took a batch of so many. */
export const outcomeOf = (
  accepted: number,
  receipts: { first: number; last: number } | null = null,
  items: readonly object[] = [],
): string => JSON.stringify({ accepted, duplicates: 0, conflicts: 0, rejected: 0, items, receipts });
