/** Which credits pay for an amount at an instant. */
import type { Instant } from '../../domain/window.ts';
import type { GrantRest } from '../../store/billing-store.ts';
import { burnDown } from './burn.ts';

export interface CreditUse {
  grant: string;
  amount: bigint;
}

/** In the order in which grants pay; together at most `amount`. Of one currency: credits are never converted. */
export function chooseCredits(
  grants: readonly GrantRest[],
  currency: string,
  amount: bigint,
  at: Instant,
): CreditUse[] {
  const usable = grants.filter((grant) => grant.currency === currency && grant.rest > 0n);
  const { uses } = burnDown(
    usable.map((grant) => ({
      id: grant.key,
      amount: grant.amount,
      priority: grant.priority,
      effectiveAt: grant.effective,
      expiresAt: grant.expires,
      endedAt: null,
      recurs: null,
    })),
    [{ at, quantity: amount }],
    { from: at, until: at + 1, starting: new Map(usable.map((grant) => [grant.key, grant.rest])) },
  );
  return uses.map((use) => ({ grant: use.grant, amount: use.amount }));
}

/** Can pay at `at`. */
export const isInForce = ({ effective, expires }: GrantRest, at: Instant): boolean =>
  effective <= at && (expires === null || at < expires);
