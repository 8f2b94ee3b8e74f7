/** From descriptors to counters: what a call bears on, kept until a definition or the configuration changes. */
import { createHash } from 'node:crypto';
import type { Receipt } from '../../domain/fact.ts';
import type { Refusal } from '../../domain/limit/in-force.ts';
import { AMOUNT_MAX, type Limit } from '../../domain/limit/limit.ts';
import type { Instant } from '../../domain/window.ts';
import type { Ask } from '../ask.ts';
import type { DecisionEngine, Gate, Prepared } from '../engine/types.ts';
import { KEPT_TEXT, type Question, type Throttle } from '../throttle.ts';
import { type Domain, match, type Rule } from './domain.ts';
import { windowMs } from './envoy-config.ts';
import type { Descriptor, RateLimitRequest } from './schema.ts';

/** Descriptors of this domain name an account (and an action, a meter, a resource) instead of a rule. */
export const ACCOUNTS_DOMAIN = 'tollgate';

export class RlsError extends Error {}

/** One descriptor. */
export interface Part {
  rule: Rule | null;
  refusal: Refusal | null;
  /** Of the gates of the whole call. */
  gates: readonly number[];
  /** What is asked of an account; null where a rule answers. */
  asked: { ask: Ask; question: Question } | null;
}

export interface Call {
  parts: readonly Part[];
  gates: readonly Gate[];
  prepared: Prepared;
  at: Receipt;
  domain: Domain | undefined;
  until: Instant;
}

export interface CallParts {
  throttle: Throttle;
  engine: DecisionEngine;
  /** Domains of imported configurations. */
  domain(name: string): Domain | undefined;
  /** Receipt that moves when what limits consist of does. */
  at(): Receipt;
}

const KEPT = 200_000;
const DESCRIPTORS_MAX = 100;
/** A counter keeps its name, and strangers choose it: of a longer text it keeps the digest. */
const NAME_MAX = 256;

export class Calls {
  private readonly parts: CallParts;
  private readonly kept = new Map<string, Call>();

  constructor(parts: CallParts) {
    this.parts = parts;
  }

  /** Throws RlsError for what names no account. */
  of(request: RateLimitRequest, now: Instant): Call {
    const domain = this.parts.domain(request.domain);
    const at = this.parts.at();
    const key = keyOf(request);
    const known = this.kept.get(key);
    if (known !== undefined && known.at === at && known.domain === domain && now < known.until) return known;
    const made = this.make(request, domain, at, now);
    if (key.length > KEPT_TEXT) return made;
    this.kept.delete(key);
    this.kept.set(key, made);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value ?? '');
    return made;
  }

  private make(request: RateLimitRequest, domain: Domain | undefined, at: Receipt, now: Instant): Call {
    const gates: Gate[] = [];
    const parts: Part[] = [];
    let until = Number.MAX_SAFE_INTEGER;
    const add = (found: readonly Gate[]): number[] => found.map((gate) => gates.push(gate) - 1);
    const matches = request.descriptors.map((d) => (domain === undefined ? null : match(domain, d.entries)));
    const replaced = new Set(matches.flatMap((m) => m?.rule.replaces ?? []));
    for (const [i, descriptor] of request.descriptors.entries()) {
      const found = matches[i] ?? null;
      if (request.domain === ACCOUNTS_DOMAIN) {
        const ask = askOf(descriptor);
        const question = this.parts.throttle.question(ask, now);
        const { refusal, gates: own, until: end } = question.standing;
        until = Math.min(until, end);
        parts.push({ rule: null, refusal, gates: add(own), asked: { ask, question } });
        continue;
      }
      const rule = found !== null && !replaced.has(found.rule.name) ? found.rule : null;
      const limit = overrideOf(descriptor, request.domain, at) ?? rule?.limit ?? null;
      const subject = found?.subject ?? JSON.stringify(descriptor.entries.flatMap((e) => [e.key, e.value]));
      parts.push({
        rule,
        refusal: null,
        gates: limit === null ? [] : add([gateOf(limit, shortened(subject))]),
        asked: null,
      });
    }
    return { parts, gates, prepared: this.parts.engine.prepare(gates), at, domain, until };
  }
}

/** What each descriptor costs. Throws RlsError for what cannot be answered. */
export function hitsOf({ domain, descriptors, hitsAddend }: RateLimitRequest): number[] {
  if (domain === '') throw new RlsError('domain must not be empty');
  if (descriptors.length === 0) throw new RlsError('descriptors must not be empty');
  if (descriptors.length > DESCRIPTORS_MAX) throw new RlsError(`at most ${DESCRIPTORS_MAX} descriptors a call`);
  return descriptors.map((descriptor, i) => {
    if (descriptor.entries.length === 0) throw new RlsError(`descriptors[${i}].entries must not be empty`);
    // A 0 of its own asks without counting; a 0 of the request is an absent field and counts 1.
    const own = descriptor.hitsAddend;
    const hits = own === null ? hitsAddend || 1 : Number(own);
    if (Number.isSafeInteger(hits) && hits >= 0) return hits;
    throw new RlsError(`descriptors[${i}].hits_addend must be a whole number up to ${AMOUNT_MAX}`);
  });
}

const keyOf = ({ domain, descriptors }: RateLimitRequest): string => {
  let key = `${domain.length}:${domain}`;
  for (const { entries, limit } of descriptors) {
    key += limit === null ? '|' : `|${limit.requestsPerUnit}/${limit.unit}`;
    for (const e of entries) key += `,${e.key.length}:${e.key}=${e.value.length}:${e.value}`;
  }
  return key;
};

const shortened = (text: string): string =>
  text.length <= NAME_MAX ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** Entries with other keys are dimensions. */
function askOf({ entries }: Descriptor): Ask {
  const named: Record<string, string> = { account: '', action: '', meter: 'requests', resource: '' };
  const dimensions: Record<string, string> = {};
  for (const { key, value } of entries)
    (Object.hasOwn(named, key) ? named : dimensions)[shortened(key)] = shortened(value);
  const { account = '', action = '', meter = '', resource = '' } = named;
  if (account === '') throw new RlsError(`a descriptor of the domain ${ACCOUNTS_DOMAIN} needs an entry \`account\``);
  return { account, action, meter, resource, dimensions };
}

const gateOf = (limit: Limit, subject: string): Gate => ({
  limit,
  account: '',
  subject,
  calendar: { zone: 'UTC', anchor: 0 },
});

/** A limit that the caller brings takes the place of the configured one, with counters of its own. */
function overrideOf({ limit }: Descriptor, domain: string, version: Receipt): Limit | null {
  if (limit === null) return null;
  const length = windowMs[limit.unit.toLowerCase()];
  if (length === undefined) throw new RlsError(`limit.unit ${limit.unit} is not known`);
  const amount = limit.requestsPerUnit;
  return {
    key: `${domain}.override.${amount}/${limit.unit.toLowerCase()}`,
    meter: 'requests',
    feed: 'decided',
    scope: { dimension: 'descriptor' },
    rule: { kind: 'rate', amount, windowMs: length, algorithm: 'fixed', burst: amount },
    hard: true,
    shadow: false,
    thresholds: [],
    actions: [],
    fail: { mode: 'open' },
    message: '',
    upgrade: '',
    version,
  };
}
