/**
 * Control facts: everything besides readings and events that usage depends on, and every other mutation worth an audit
 * line. They are append-only, share the receipt numbers of readings and events, and the state in force at S is the pure
 * fold of all of them with receipt <= S (see book.ts). The table of them is therefore also the audit log.
 */
import type { BillingFact } from './billing/billing-fact.ts';
import type { Receipt } from './fact.ts';
import type { CatalogueFact } from './limit/catalogue-fact.ts';
import type { Meter } from './meter.ts';
import type { TrafficType } from './series.ts';
import type { Instant } from './window.ts';

export type AccountState = 'active' | 'suspended' | 'closed';
export type Scope = 'ingest' | 'read' | 'admin';

export interface AccountFact {
  kind: 'account';
  id: string;
  /** Parent account; null for a root. */
  parent: string | null;
  name: string;
  /** IANA time zone. */
  zone: string;
  /** ISO 4217. */
  currency: string;
  state: AccountState;
}
export interface ResourceFact {
  kind: 'resource';
  id: string;
  trafficType: TrafficType | null;
  /** VLAN id or VNI as text, '' when untagged. */
  tag: string;
  /** null: by traffic type (management and storage never, all others yes). */
  billable: boolean | null;
  name: string;
}
/** From `from` on (until the next owner fact's `from`) the resource belongs to `account`; null: to nobody. */
export interface OwnerFact {
  kind: 'owner';
  resource: string;
  account: string | null;
  from: Instant;
}
export interface SourceFact {
  kind: 'source';
  id: string;
  /** declared: says `complete through` itself. assumed: taken as complete `graceMs` after a window's end. */
  completeness: 'declared' | 'assumed';
  graceMs: number;
  /** Pending becomes unobserved this long after its window's end. */
  settleAfterMs: number;
}
export interface MeterFact {
  kind: 'meter';
  meter: Omit<Meter, 'receipt'>;
}
/** The content an amendment puts in place of an event. Stored as an event with the receipt number of the amending fact. */
export interface Replacement {
  source: string;
  id: string;
  type: string;
  subject: string;
  t: Instant;
  data: string;
}
/** The fact `target` counts no more; with `replacement`, that counts in its place (one fact, so never both or neither). */
export interface VoidFact {
  kind: 'void';
  target: Receipt;
  /** Where the target lies, so that the job finds the windows it touched: its series (counters) or event type, and time. */
  at: Instant;
  series: number | null;
  eventType: string | null;
  /** What counts in its place; null for a plain void. */
  replacement: Replacement | null;
}
export interface SetFact {
  kind: 'set';
  name: string;
  state: 'open' | 'undone';
  /** Span of the set's events, filled in when it is undone. */
  from: Instant;
  to: Instant;
}
/** An operator's (or the job's) decision about something set aside. */
export interface DecisionFact {
  kind: 'decision';
  action: 'release' | 'drop';
  /** Receipt of the set-aside reading, or null when the decision is about a whole quarantined series. */
  target: Receipt | null;
  series: number | null;
  at: Instant;
}
/** From this receipt on the whole series is quarantined from `from` on (its pure function failed, or an operator said so). */
export interface QuarantineFact {
  kind: 'quarantine';
  series: number;
  from: Instant;
  code: string;
}
/** Recorded decision: what is pending of this series (or of all of this source) before `to` will never come. */
export interface UnobservedFact {
  kind: 'unobserved';
  series: number | null;
  source: string | null;
  from: Instant;
  to: Instant;
}
/** The wall clock was at least `at` when this receipt number was given: what `settle_after` and grace are judged by. */
export interface TickFact {
  kind: 'tick';
  at: Instant;
}
export interface KeyFact {
  kind: 'key';
  id: string;
  /** SHA-256 of the secret, hex; the secret itself is never stored. */
  hash: string;
  name: string;
  /** Account the key is bound to; null for the installation. */
  account: string | null;
  scopes: readonly Scope[];
  /** Sources the key may speak for; an entry ending in `*` is a prefix; empty: none. */
  sources: readonly string[];
  revoked: boolean;
}

export type ControlBody =
  | AccountFact
  | ResourceFact
  | OwnerFact
  | SourceFact
  | MeterFact
  | VoidFact
  | SetFact
  | DecisionFact
  | QuarantineFact
  | UnobservedFact
  | TickFact
  | KeyFact
  | CatalogueFact
  | BillingFact;

export interface ControlFact {
  receipt: Receipt;
  /** Tenant namespace the fact lives in; '' for the installation. */
  tenant: string;
  /** Who did it: a key id, `system`, or a source. */
  author: string;
  reason: string;
  recordedAt: Instant;
  body: ControlBody;
}
