/** Everything that is due by what is known now, in the order in which it is printed, whatever was billed already. */
import type { Book } from '../../domain/book.ts';
import type { Metered } from '../../usage/metered.ts';
import type { Charges } from './charges.ts';
import { discountLines, grantedFor } from './discounts.ts';
import type { Due } from './due.ts';
import { feeLines } from './fee-lines.ts';
import type { Scope } from './frames.ts';
import { InvoiceError } from './invoice-error.ts';
import { minimumLines } from './minimum.ts';
import type { Billed } from './settings.ts';
import { usageLines } from './usage-lines.ts';

/** `metered`: answers to `charges.usage`, in its order. Throws InvoiceError. */
export function expectedLines(
  book: Book,
  charges: Charges,
  metered: readonly (readonly Metered[])[],
  closes = true,
): Due[] {
  if (metered.length !== charges.usage.length) {
    const message = `${metered.length} answers of meters to ${charges.usage.length} questions`;
    throw new InvoiceError('invoice.metered', { account: charges.payer }, message);
  }
  const billed = billedBy(book, charges, closes);
  const byScope = new Map<Scope, Due[]>(charges.scopes.map((scope) => [scope, []]));
  for (const due of feeLines(charges.fees, billed)) byScope.get(due.scope)?.push(due);
  for (const due of usageLines(charges.usage, metered, billed)) byScope.get(due.scope)?.push(due);
  return charges.scopes.flatMap((scope) => {
    const lines = byScope.get(scope) ?? [];
    const discounts = discountLines(lines, grantedFor(book, charges.payer, scope), billed);
    return inOrder([...lines, ...discounts, ...minimumLines([...lines, ...discounts], scope, billed)], scope);
  });
}

function billedBy(book: Book, { payer, conventions }: Charges, closes: boolean): Billed {
  const known = new Map<string, ReturnType<Billed['accountOf']>>();
  const accountOf: Billed['accountOf'] = (id) => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const account = book.account(id);
    if (account === undefined) throw new InvoiceError('invoice.account', { account: id }, 'the account is not known');
    const { name, zone, currency } = account;
    known.set(id, { id, name, zone, currency });
    return { id, name, zone, currency };
  };
  return { currency: accountOf(payer).currency, conventions, accountOf, closes };
}

const ranks: Readonly<Record<Due['kind'], number>> = { fee: 0, usage: 0, minimum: 1, commitment: 1, discount: 2 };

/** As the plans list their prices, the plan before add-ons, each price in time, its discounts behind it; a plan's minimum last. */
function inOrder(dues: readonly Due[], { history, period }: Scope): Due[] {
  const places = new Map<string, number>();
  const note = (name: string): unknown => places.has(name) || places.set(name, places.size);
  for (const addOn of [false, true]) {
    for (const holding of history.holdings) {
      if ((holding.addOn !== null) !== addOn || holding.from >= period.to || holding.to <= period.from) continue;
      for (const price of holding.plan.billing.prices) note(placeName(addOn, holding.plan.key, price.key));
    }
  }
  const placeOf = (due: Due): number => places.get(placeName(due.addOn, due.plan, due.price)) ?? places.size;
  return dues
    .map((due) => ({ due, place: placeOf(due) }))
    .sort((a, b) => a.place - b.place || a.due.from - b.due.from || ranks[a.due.kind] - ranks[b.due.kind])
    .map(({ due }) => due);
}

const placeName = (addOn: boolean, plan: string, price: string): string =>
  `${addOn ? 1 : 0} ${plan.length} ${plan} ${price}`;
