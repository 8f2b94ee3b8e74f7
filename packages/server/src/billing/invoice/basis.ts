/** The control facts that an invoice was computed with, each with a digest of what it said: what `verify` compares first. */
import type { Book } from '../../domain/book.ts';
import type { Receipt } from '../../domain/fact.ts';
import type { Interval } from '../../domain/window.ts';
import { canonicalText, digestOf } from './canonical.ts';
import type { Charges } from './charges.ts';
import { grantedFor } from './discounts.ts';
import type { Basis } from './document.ts';

type Kind = 'plan' | 'tax' | 'coupon' | 'entity' | 'profile' | 'subscription' | 'addon' | 'override' | 'discount';

/** The same objects for thousands of accounts. An account's own are not kept: so many weak keys cost more than they save. */
const shared: ReadonlySet<Kind> = new Set<Kind>(['plan', 'tax', 'coupon', 'entity']);
const digests = new WeakMap<object, string>();

function digestOnce(fact: object): string {
  const known = digests.get(fact);
  if (known !== undefined) return known;
  const digest = digestOf(canonicalText(fact));
  digests.set(fact, digest);
  return digest;
}

/** Facts by receipt, each once; what nobody has said (receipt 0) is not among them. */
export class BasisList {
  private readonly byReceipt = new Map<string, Basis>();

  add(kind: Kind, fact: { receipt: Receipt }): void {
    const name = `${fact.receipt} ${kind}`;
    if (fact.receipt === 0 || this.byReceipt.has(name)) return;
    const digest = shared.has(kind) ? digestOnce(fact) : digestOf(canonicalText(fact));
    this.byReceipt.set(name, { receipt: fact.receipt, kind, digest });
  }

  addCharges(book: Book, charges: Charges): void {
    for (const scope of charges.scopes) {
      const { history, period } = scope;
      for (const holding of history.holdings) {
        if (!overlap(holding, period)) continue;
        this.add('plan', holding.plan);
        this.add('subscription', holding.subscription);
        if (holding.addOn !== null) this.add('addon', holding.addOn);
      }
      for (const override of book.catalogue.overridesOf(history.account)) {
        if (overlap({ from: override.from, to: override.to ?? Number.POSITIVE_INFINITY }, period)) {
          this.add('override', override);
        }
      }
      for (const { discount, coupon } of grantedFor(book, charges.payer, scope)) {
        this.add('discount', discount);
        this.add('coupon', coupon);
      }
    }
  }

  all(): Basis[] {
    return [...this.byReceipt.values()].sort((a, b) => a.receipt - b.receipt);
  }
}

const overlap = (a: Interval, b: Interval): boolean => a.from < b.to && a.to > b.from;
