/**
 * Which final invoices have to be looked at again: those whose usage or whose plans facts that came after them may have
 * changed. It may name too many, never too few; what has not changed makes no line.
 */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Instant } from '../../domain/window.ts';
import type { BookReader } from './expected.ts';

export interface ChangeReader extends BookReader {
  changedSince(from: Instant, to: Instant): Promise<{ accounts: ReadonlySet<string>; all: boolean }>;
}

/** What a final invoice billed of some accounts. */
export interface Billed {
  /** With who got it: its discounts may be theirs. */
  accounts: readonly string[];
  from: Instant;
  to: Instant;
  frontier: Receipt;
}

const DAY = 86_400_000;
/** Invoices of one run have one S: a run meets few of them, and each costs a fold of the book. */
const READERS_MAX = 2;
const ANSWERS_MAX = 256;

export class Changes {
  private readonly book: Book;
  private readonly meteredAt: (asOf: Receipt) => Promise<ChangeReader>;
  private readonly readers = new Map<Receipt, Promise<ChangeReader>>();
  private readonly answers = new Map<string, Promise<{ accounts: ReadonlySet<string>; all: boolean }>>();

  constructor(book: Book, meteredAt: (asOf: Receipt) => Promise<ChangeReader>) {
    this.book = book;
    this.meteredAt = meteredAt;
  }

  async mayHaveChanged(invoice: Billed): Promise<boolean> {
    const { accounts } = invoice;
    if (accounts.some((account) => saidSince(this.book, account, invoice))) return true;
    const { accounts: changed, all } = await this.usageSince(invoice);
    return all || accounts.some((account) => changed.has(account));
  }

  /** Whole days: invoices of one day are one question. */
  private usageSince({ from, to, frontier }: Billed): Promise<{ accounts: ReadonlySet<string>; all: boolean }> {
    const [first, last] = [Math.floor(from / DAY) * DAY, Math.ceil(to / DAY) * DAY];
    return kept(this.answers, `${frontier} ${first} ${last}`, ANSWERS_MAX, async () => {
      const reader = await kept(this.readers, frontier, READERS_MAX, () => this.meteredAt(frontier));
      return reader.changedSince(first, last);
    });
  }
}

function kept<K, V>(map: Map<K, V>, key: K, most: number, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const [oldest] = map.keys();
  if (map.size >= most && oldest !== undefined) map.delete(oldest);
  const made = make();
  map.set(key, made);
  return made;
}

/** Whether facts after the invoice's S say something else of what the account held in its period. */
function saidSince({ catalogue, billing }: Book, account: string, { frontier, to }: Billed): boolean {
  const isNew = ({ receipt }: { receipt: Receipt }): boolean => receipt > frontier;
  const subscriptions = catalogue.subscriptionsOf(account);
  const addOns = billing.addOnsOf(account);
  const discounts = billing.discountsOf(account);
  if (subscriptions.some(isNew) || addOns.some(isNew) || discounts.some(isNew)) return true;
  if ([...catalogue.overridesOf(account)].some(isNew)) return true;
  const plans = new Set([...subscriptions, ...addOns].map(({ plan }) => plan));
  for (const plan of plans) if (catalogue.planVersions(plan).some((v) => isNew(v) && v.from < to)) return true;
  return discounts.some(({ coupon }) => isNew(billing.coupon(coupon) ?? { receipt: 0 }));
}
