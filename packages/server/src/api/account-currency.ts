/** An account stays in the currency that it is billed in: what was billed and what is to be are never converted. */
import type { Span } from '../domain/limit/catalogue-fact.ts';
import { Problem } from '../errors.ts';
import type { Context } from './context.ts';

/** Throws `account.billed` when the account, as it is, could not be billed in this currency. */
export const refuseCurrency = async (
  { control, log }: Pick<Context, 'control' | 'log'>,
  id: string,
  currency: string,
): Promise<void> => {
  const { book } = log;
  const was = book.account(id)?.currency;
  if (was === undefined || was === currency) return;
  const refuse = (why: string): never => {
    throw new Problem('account.billed', `${id} cannot be billed in ${currency}: ${why}`, { pointer: '/currency' });
  };
  const payer = book.billing.payerOf(id);
  const paid = book.account(payer)?.currency;
  const newest = async (account: string) => (await control.billing.invoices({ accounts: [account], limit: 1 }))[0];
  const [own, ofPayer] = [await newest(id), await newest(payer)];
  // Back to what it was billed in is always right.
  if (own !== undefined && own.currency !== currency)
    refuse(`it has final documents in ${own.currency}, such as ${own.number}`);
  if (ofPayer !== undefined && paid !== currency && payer !== id)
    refuse(`${payer}, who pays for it, is billed in ${paid}`);
  for (const plan of plansOf(log, id)) {
    const priced = book.catalogue.plan(plan)?.billing?.currency ?? currency;
    if (priced !== currency) refuse(`its plan ${plan} is priced in ${priced}`);
  }
  for (const other of book.descendants(id)) {
    const isPaid = other !== id && book.billing.payerOf(other) === id && plansOf(log, other).length > 0;
    const billed = book.account(other)?.currency;
    if (isPaid && billed !== currency) refuse(`it pays for ${other}, which is billed in ${billed}`);
  }
};

/** Those of before too: what of them is not billed yet will be. */
const plansOf = ({ book }: Context['log'], account: string): string[] =>
  [...book.catalogue.subscriptionsOf(account), ...book.billing.addOnsOf(account)]
    .filter(({ from, to }: Span) => to === null || to > from)
    .map(({ plan }) => plan);
