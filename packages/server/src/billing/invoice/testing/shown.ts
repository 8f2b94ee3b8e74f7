/** Invoices as tables of text, to compare. */
import assert from 'node:assert/strict';
import { formatInstant } from '../../../domain/calendar.ts';
import type { InvoiceDocument } from '../document.ts';
import type { World } from './world.ts';

/** `12.50` of 1250. */
export const money = (minor: string): string => {
  const digits = minor.replace('-', '').padStart(3, '0');
  return `${minor.startsWith('-') ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

/** `01-31..02-28 usage basic/traffic 12.50`: dates local, with the time where it is not midnight. */
export function shown(world: World, document: InvoiceDocument): string[] {
  const day = (t: number): string => {
    const text = formatInstant(t, world.zone);
    return text.slice(11, 16) === '00:00' ? text.slice(5, 10) : text.slice(5, 16);
  };
  const lines = document.lines.map((line) => {
    const who = line.account === document.account ? '' : `${line.account} `;
    const why = line.corrects === '' ? '' : ` (${line.corrects})`;
    const price = line.price === '' ? 'plan' : line.price;
    return `${day(line.from)}..${day(line.to)} ${who}${line.kind} ${line.plan}/${price} ${money(line.amount)}${why}`;
  });
  const taxes = document.taxes.map(
    (t) => `tax ${t.percent}${t.inclusive ? ' inside' : ''} of ${money(t.base)} ${money(t.amount)}`,
  );
  return [`${day(document.from)}..${day(document.to)}`, ...lines, ...taxes, `= ${money(document.total)}`];
}

/** All invoices of the account that end by `until` and are not there yet, as `shown`. */
export function check(world: World, until: string, expected: string, account = 'a'): void {
  const wanted = expected
    .trim()
    .split('\n')
    .map((line) => line.trim());
  assert.deepEqual(
    world.invoice(account, until).flatMap((document) => shown(world, document)),
    wanted,
  );
}
