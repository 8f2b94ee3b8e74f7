/**
 * Which final invoices have to be looked at again: those whose usage or whose plans facts that came after them may have
 * changed. It may name too many, never too few; what has not changed makes no line.
 */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Instant } from '../../domain/window.ts';
import type { BookReader } from './expected.ts';

export interface ChangeReader extends BookReader {
  changedSince(since: Receipt, from: Instant, to: Instant): Promise<{ all: boolean; has(account: string): boolean }>;
}

/** What a final invoice billed of some accounts. */
export interface Billed {
  /** With who got it: its discounts may be theirs. */
  accounts: readonly string[];
  from: Instant;
  to: Instant;
  frontier: Receipt;
}

/** `reader` is of the run's S: what came later is the next run's. */
export class Changes {
  private readonly reader: ChangeReader;

  constructor(reader: ChangeReader) {
    this.reader = reader;
  }

  async mayHaveChanged(invoice: Billed): Promise<boolean> {
    const { accounts, from, to, frontier } = invoice;
    if (accounts.some((account) => saidSince(this.reader.book, account, invoice))) return true;
    const changed = await this.reader.changedSince(frontier, from, to);
    return changed.all || accounts.some((account) => changed.has(account));
  }
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
