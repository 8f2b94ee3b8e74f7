/** When a credit runs low: told as it crosses its threshold, and as it is used up. */
import type { Instant } from '../../domain/window.ts';
import type { CreditNotice, GrantRest } from '../../store/billing-store.ts';
import type { CreditUse } from './choose.ts';

/** Notices of what these uses leave. */
export function lowAfter(grants: readonly GrantRest[], uses: readonly CreditUse[], at: Instant): CreditNotice[] {
  return grants.flatMap((grant) => {
    const used = uses.filter((use) => use.grant === grant.key).reduce((sum, { amount }) => sum + amount, 0n);
    const rest = grant.rest - used;
    const crossed = [grant.lowAt, 0].filter(
      (percent) =>
        percent !== null && !isBelow(grant.rest, grant.amount, percent) && isBelow(rest, grant.amount, percent),
    );
    return [...new Set(crossed)].map((percent) => ({
      account: grant.account,
      grant: grant.key,
      percent: percent ?? 0,
      rest,
      at,
    }));
  });
}

const isBelow = (rest: bigint, amount: bigint, percent: number): boolean => rest * 100n <= amount * BigInt(percent);
