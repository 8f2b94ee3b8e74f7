/**
 * A digest of the readings in each record of a counter. Four bytes a record, which compress to no less; eight would be a
 * quarter of what the readings take. Records of before have none until they are written again: `isUndigested` tells them,
 * and what is billed of them is computed from facts.
 */
export const facts: readonly string[] = [
  'ALTER TABLE record ADD COLUMN IF NOT EXISTS facts UInt32 CODEC(NONE) AFTER state',
];
