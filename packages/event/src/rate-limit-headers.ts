/**
 * The HTTP fields that tell a client where it stands: `RateLimit` and `RateLimit-Policy` of the IETF draft
 * (draft-ietf-httpapi-ratelimit-headers, a draft still), `Retry-After` of RFC 9110, and by switch the older X- names.
 * Structured fields (RFC 9651) are written here, not read.
 */

export interface PolicyState {
  /** Name of the limit. */
  name: string;
  /** Units that fit in the window; whole, 0 or more. */
  quota: number;
  /** Length of the window; 0 when it has none (something held, a calendar period). */
  windowSeconds: number;
  /** What is counted; other meters than requests and bytes have no word in the draft. */
  unit: 'requests' | 'content-bytes' | 'concurrent-requests' | '';
  remaining: number;
  /** Until there is more, rounded up. */
  resetSeconds: number;
}

export interface HeaderSettings {
  /** Also X-RateLimit-Limit, -Remaining, -Reset, of the policy closest to its limit. */
  legacy: boolean;
}

/** Field names in lower case. No policy, no field: of what has no limit no numbers are told. */
export function rateLimitHeaders(
  policies: readonly PolicyState[],
  retryAfterMs: number | null,
  settings: HeaderSettings = { legacy: false },
): Record<string, string> {
  const out: Record<string, string> = {};
  if (policies.length > 0) {
    out['ratelimit-policy'] = policies.map(policyItem).join(', ');
    out.ratelimit = policies.map(stateItem).join(', ');
  }
  const tightest = closest(policies);
  if (settings.legacy && tightest !== undefined) {
    out['x-ratelimit-limit'] = whole(tightest.quota);
    out['x-ratelimit-remaining'] = whole(tightest.remaining);
    out['x-ratelimit-reset'] = whole(tightest.resetSeconds);
  }
  if (retryAfterMs !== null && retryAfterMs > 0) {
    // Never an earlier moment than what the RateLimit field of a policy that is used up names.
    const used = policies.filter((p) => p.remaining === 0).map((p) => p.resetSeconds);
    out['retry-after'] = whole(Math.max(Math.ceil(retryAfterMs / 1000), ...used));
  }
  return out;
}

const policyItem = ({ name, quota, windowSeconds, unit }: PolicyState): string =>
  [
    text(name),
    `q=${whole(quota)}`,
    ...(unit === '' || unit === 'requests' ? [] : [`qu=${text(unit)}`]),
    ...(windowSeconds > 0 ? [`w=${whole(windowSeconds)}`] : []),
  ].join(';');

const stateItem = ({ name, remaining, resetSeconds }: PolicyState): string =>
  `${text(name)};r=${whole(remaining)};t=${whole(resetSeconds)}`;

/** The policy with the smallest share left. */
function closest(policies: readonly PolicyState[]): PolicyState | undefined {
  let found: PolicyState | undefined;
  for (const policy of policies)
    if (found === undefined || policy.remaining * found.quota < found.remaining * policy.quota) found = policy;
  return found;
}

/** An Integer has at most 15 digits there. */
const INTEGER_MAX = 999_999_999_999_999;
const whole = (n: number): string => String(Math.min(Math.max(0, Math.trunc(n)), INTEGER_MAX));

/** A String holds printable ASCII only: other characters stand as `_`. */
const text = (value: string): string => `"${value.replace(/[^\x20-\x7e]/g, '_').replace(/["\\]/g, (c) => `\\${c}`)}"`;
