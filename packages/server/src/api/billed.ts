/** What is final stays: a change that reaches into a period that was invoiced is made only where somebody wants that. */
import { Type } from '@sinclair/typebox';
import { FOREVER } from '../domain/limit/catalogue.ts';
import type { Span } from '../domain/limit/catalogue-fact.ts';
import type { Instant } from '../domain/window.ts';
import { Problem } from '../errors.ts';
import type { Context } from './context.ts';
import { isoText } from './time.ts';

export const Adjust = Type.Optional(
  Type.Boolean({ description: 'Also into a period that has a final invoice: the next one adjusts it' }),
);

/** From when on ending these spans changes anything. */
export const firstEnd = (ended: readonly Span[]): Instant =>
  ended.reduce((first, { to }) => (to !== null && to < first ? to : first), FOREVER);

/** Throws `subscription.billed` when a final invoice, of the account or of who pays for it, ends after `since`. */
export const refuseBilled = async (
  { control, log, clock }: Pick<Context, 'control' | 'log' | 'clock'>,
  accounts: readonly string[],
  since: Instant,
  adjust: boolean | undefined,
): Promise<void> => {
  // What is final has ended: the present and what is to come are free.
  if (adjust === true || since >= clock.now() || accounts.length === 0) return;
  const payers = accounts.map((account) => log.book.billing.payerOf(account));
  const ends = await control.billing.lastFinalEnd([...new Set([...accounts, ...payers])]);
  const last = [...ends.values()].reduce((latest, end) => (end > latest ? end : latest), 0);
  if (since < last)
    throw new Problem(
      'subscription.billed',
      `It would change from ${isoText(since)} on, and a final invoice reaches up to ${isoText(last)}`,
      { pointer: '/from' },
    );
};
