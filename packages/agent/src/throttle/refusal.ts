/** A refusal as HTTP: status, fields, problem+json (RFC 9457). */
import { type HeaderSettings, rateLimitHeaders } from '@tollgate/event';
import type { Policy, Refusal } from './lease-client.ts';
import { isState } from './pool.ts';

export interface RefusalBody {
  readonly type: string;
  readonly title: string;
  readonly status: 403 | 429 | 503;
  readonly detail: string;
  /** `limit.reached`, `action.blocked`, `account.suspended`, ... */
  readonly code: string;
  readonly limit?: string;
  readonly version?: number;
  readonly used?: number;
  readonly amount?: number;
  readonly resetAt?: string;
  readonly 'violated-policies'?: readonly string[];
  readonly upgrade?: string;
}

const TYPES = 'https://iana.org/assignments/http-problem-types';

export function problemOf(refusal: Refusal): RefusalBody {
  const { code, detail, limit, version, used, amount, resetAt, upgrade } = refusal;
  return {
    ...kindOf(refusal),
    detail,
    code,
    ...(limit === null ? {} : { limit }),
    ...(version === null ? {} : { version }),
    ...(used === null ? {} : { used }),
    ...(amount === null ? {} : { amount }),
    ...(resetAt === null ? {} : { resetAt }),
    ...(limit === null ? {} : { 'violated-policies': [limit] }),
    ...(upgrade === '' ? {} : { upgrade }),
  };
}

function kindOf(refusal: Refusal): Pick<RefusalBody, 'type' | 'title' | 'status'> {
  if (isState(refusal)) return { type: 'about:blank', title: 'Forbidden', status: 403 };
  if (refusal.code === 'limit.unknown')
    return { type: `${TYPES}#temporary-reduced-capacity`, title: 'Not known at the moment', status: 503 };
  return { type: `${TYPES}#quota-exceeded`, title: 'Limit reached', status: 429 };
}

/** Of an admitted answer too. */
export const fieldsOf = (
  policies: readonly Policy[],
  refusal: Refusal | null,
  settings: HeaderSettings,
): Record<string, string> => rateLimitHeaders(policies, refusal?.retryAfterMs ?? null, settings);
