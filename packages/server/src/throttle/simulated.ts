/** What a simulation is asked, and what it finds. */
import type { Book } from '../domain/book.ts';
import type { Receipt, StoredEvent } from '../domain/fact.ts';
import type { LimitDefinition } from '../domain/limit/limit.ts';
import type { Instant } from '../domain/window.ts';
import type { EventQuery } from '../store/usage-store.ts';
import type { Usage } from '../usage/index.ts';

export interface SimulationDeps {
  usage: Pick<Usage, 'query'>;
  store: { events(query: EventQuery): AsyncIterable<StoredEvent> };
  book: Book;
  frontier: Receipt;
}

export interface Simulated {
  limit: LimitDefinition;
  /** Empty: all. */
  accounts: readonly string[];
}

/** One counter that would have refused. */
export interface SimulatedRefusal {
  account: string;
  /** Resource or value, where the limit counts by one; '' otherwise. */
  subject: string;
  /** The quota's period; of a rate, the time that was asked about. */
  from: Instant;
  to: Instant;
  amount: number;
  /** Whole units: what was used, and how much of it would have been refused. */
  used: bigint;
  over: bigint;
  /** Calls that would have been refused; null: of a quota, which counts usage and not calls. */
  refusals: number | null;
  /** When first; of a quota, the window in which the amount was used up: at the latest at its end. */
  firstFrom: Instant;
  firstTo: Instant;
}

/** `done`: up to here, of the time that was asked about. */
export type SimulationStep =
  | { kind: 'progress'; done: number; of: number }
  | { kind: 'refusal'; refusal: SimulatedRefusal }
  | { kind: 'bounded'; detail: string };

/** Accounts that the limit would have held for, by id. */
export const accountsOf = (book: Book, { accounts }: Simulated): string[] =>
  [...book.allAccounts()]
    .map(({ id }) => id)
    .filter((id) => accounts.length === 0 || accounts.includes(id))
    .sort();
