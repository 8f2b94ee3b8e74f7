/** What of a balance goes into the next period when a grant is reset. */

export interface RolloverTerms {
  /** At least this much goes on, also of an empty balance. */
  least: bigint;
  /** At most this much does. */
  most: bigint;
  /** What was used beyond all grants is taken off what goes on; else it is forgotten. */
  keepOverage: boolean;
}

export interface RolledOver {
  balance: bigint;
  overage: bigint;
}

/** min(most, max(least, balance)), less the overage where it is kept; what that cannot cover stays overage. */
export function rollover(balance: bigint, overage: bigint, { least, most, keepOverage }: RolloverTerms): RolledOver {
  if (least > most || least < 0n) throw new RangeError(`no rollover: at least ${least}, at most ${most}`);
  const raised = balance < least ? least : balance;
  const kept = raised > most ? most : raised;
  if (!keepOverage) return { balance: kept, overage: 0n };
  return kept >= overage ? { balance: kept - overage, overage: 0n } : { balance: 0n, overage: overage - kept };
}
