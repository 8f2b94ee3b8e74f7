/** A rate limit service over one account with limits, one configuration and a clock that stands still. */
import assert from 'node:assert/strict';
import { Book } from '../../../domain/book.ts';
import type { ControlBody } from '../../../domain/control-fact.ts';
import type { FailMode } from '../../../domain/limit/limit.ts';
import { Engine } from '../../engine/engine.ts';
import { DurableGrants, type GrantStore } from '../../grants.ts';
import type { Grants } from '../../ports.ts';
import { gate, quotaOf } from '../../testing/gates.ts';
import { Throttle, type ThrottleParts } from '../../throttle.ts';
import { RateLimits } from '../answer.ts';
import { importEnvoy } from '../envoy-config.ts';

const MONTH = 1_795_000_000_000 - (1_795_000_000_000 % 3_600_000);

const CONFIG = `
domain: shop
descriptors:
  - key: user
    rate_limit: { unit: minute, requests_per_unit: 3, name: per-user }
  - key: tenant
    rate_limit: { unit: hour, requests_per_unit: 5 }
  - key: free
    rate_limit: { unlimited: true, name: free, replaces: [{ name: per-user }] }
  - key: trial
    shadow_mode: true
    rate_limit: { unit: minute, requests_per_unit: 1 }
  - key: qa
    quota_mode: true
    rate_limit: { unit: day, requests_per_unit: 2 }
  - key: qb
    quota_mode: true
    rate_limit: { unit: day, requests_per_unit: 4 }
`;

const facts: ControlBody[] = [
  { kind: 'account', id: 'acme', parent: null, name: 'acme', zone: 'UTC', currency: 'EUR', state: 'active' },
  { kind: 'account', id: 'bolt', parent: null, name: 'bolt', zone: 'UTC', currency: 'EUR', state: 'active' },
  {
    kind: 'limit',
    limit: { ...gate(quotaOf(4), { key: 'calls', upgrade: 'https://example.test/up' }).limit, actions: ['call'] },
    accounts: [],
    from: 0,
    to: null,
  },
  {
    kind: 'limit',
    limit: { ...gate(quotaOf(2), { key: 'rehearsed', shadow: true }).limit, actions: ['try'] },
    accounts: [],
    from: 0,
    to: null,
  },
  { kind: 'block', account: 'acme', action: 'login', reason: 'Please call us.', from: 0, to: null },
];

const noStore: GrantStore = {
  takeGrants: () => new Promise(() => undefined),
  returnGrants: async () => undefined,
  forgetGrants: async () => 0,
};

/** At a receipt after them. */
export const openBook = (bodies: readonly ControlBody[]): Book =>
  Book.at(
    bodies.map((body, i) => ({ receipt: i + 1, tenant: '', author: 'test', reason: '', recordedAt: 0, body })),
    99,
  );

/** `away`: the store of grants never answers. `told`: what the aftermath heard, a line a descriptor. */
export function world({ away = false, fail = { mode: 'closed' } as FailMode } = {}) {
  const waits: number[] = [];
  const clock = {
    at: MONTH,
    now: (): number => clock.at,
    elapsed: (): number => clock.at,
    sleep: async (ms: number): Promise<void> => {
      waits.push(ms);
    },
  };
  const book = openBook(
    facts.map((body) => (body.kind === 'limit' ? { ...body, limit: { ...body.limit, fail } } : body)),
  );
  const engine = new Engine();
  const grants: Grants = away
    ? new DurableGrants({ engine, store: noStore, clock, report: () => undefined })
    : {
        // Everything is granted: what grants do is theirs to prove.
        ensure: ({ gates }, _cost, now) => {
          for (const g of gates) engine.setCeiling(g, Number.MAX_SAFE_INTEGER, now);
          return null;
        },
      };
  const feed = { ensure: () => null };
  const told: string[] = [];
  const decided: ThrottleParts['decided'] = ({ account, action }, question, cost, answer) => {
    const { allowed, reason, detail, gate: by, decision, shadowed } = answer;
    assert.ok(by === null || question.prepared.gates.includes(by));
    const used = decision === null ? '' : ` ${decision.used}/${decision.limit}`;
    const why = by === null ? ` ${detail}` : ` ${by.limit.key}${used}`;
    const dark = shadowed.map(({ key }) => ` shadowed ${key}`).join('');
    told.push(`${account} ${action} ${cost}: ${allowed ? 'admitted' : reason}${why}${dark}`);
  };
  const throttle = new Throttle({ book: () => book, clock, engine, feed, grants, decided });
  const { domain } = importEnvoy(CONFIG, 1);
  const limits = new RateLimits({
    throttle,
    engine,
    clock,
    decided,
    domain: (name) => (name === domain?.name ? domain : undefined),
    at: () => book.catalogue.at,
    legacyHeaders: false,
  });
  return { clock, limits, waits, told };
}

/** `key=value` */
export const entry = (text: string): { key: string; value: string } => {
  const [key = '', value = ''] = text.split('=');
  return { key, value };
};
