/** Accounts, plans, usage and invoice runs on the model stores, with a clock of its own. */
import { parseInstant } from '../../../domain/calendar.ts';
import type { ControlBody } from '../../../domain/control-fact.ts';
import type { PlanBilling, Price } from '../../../domain/price/price.ts';
import { meterOf } from '../../../domain/testing/priced-plan.ts';
import type { Instant } from '../../../domain/window.ts';
import { type BillingStore, type Invoice, invoiceState } from '../../../store/billing-store.ts';
import { openWorld, type World, type WorldOptions } from '../../../usage/testing/world.ts';
import { readDocument } from '../../invoice/canonical.ts';
import { fee, usage } from '../../invoice/testing/world.ts';
import { InvoiceRuns, type RunAsk, type RunDeps } from '../runs.ts';
import type { RunView } from '../view.ts';

export const ZONE = 'Europe/Berlin';
export const at = (text: string): Instant => parseInstant(text, ZONE);

export interface BillingWorld extends World {
  billing: BillingStore;
  runs: InvoiceRuns;
  account(id: string, parent?: string | null): Promise<void>;
  plan(key: string, prices: readonly Price[], billing?: Partial<PlanBilling>): Promise<void>;
  subscribe(account: string, plan: string, from: string): Promise<void>;
  /** So many tokens of the account at an instant. */
  tokens(account: string, t: string, n: number): Promise<void>;
  /** Sets the clock, runs the usage job, and then the invoices. */
  runAt(t: string, ask?: RunAsk): Promise<RunView>;
  /** Final documents, oldest first, in short. */
  papers(): Promise<string[]>;
  /** Another server on the same stores. */
  server(holder: string, more?: Partial<RunDeps>): InvoiceRuns;
}

/** 49.00 a month in advance, 0.10 a token. */
export const basic: readonly Price[] = [fee('base', '49'), usage('tokens', '0.1', { meter: 'tokens' })];

export async function openBilling(start: string, options: WorldOptions = {}): Promise<BillingWorld> {
  const world = await openWorld(at(start), options);
  const { control, store, registry, clock } = world;
  const { billing } = control;
  const server = (holder: string, more: Partial<RunDeps> = {}): InvoiceRuns =>
    new InvoiceRuns({
      ...{ billing, store, registry, clock, holder },
      meteredAt: (asOf) => world.usage.meteredAt(asOf),
      pause: () => Promise.resolve(),
      report: () => undefined,
      ...more,
    });
  const runs = server('one');
  const { receipt: _, ...tokens } = meterOf({ key: 'tokens', eventType: 'llm', valuePath: '$.n', unit: '{token}' });
  if (options.control === undefined) await world.append({ kind: 'meter', meter: tokens });
  return {
    ...world,
    ...{ billing, runs, server },
    account: (id, parent = null) => {
      const owner: ControlBody = { kind: 'owner', resource: `app-${id}`, account: id, from: 0 };
      return world.append(
        { kind: 'account', id, parent, name: id, zone: ZONE, currency: 'EUR', state: 'active' },
        owner,
      );
    },
    plan: (key, prices, more = {}) => {
      const terms = { currency: 'EUR', period: { unit: 'month', count: 1 }, anchor: 'calendar', trialDays: 0 } as const;
      const plan = {
        key,
        name: key,
        entitlements: [],
        limits: [],
        billing: { ...terms, minimum: null, ...more, prices },
      };
      return world.append({ kind: 'plan', plan, from: 0, removed: false });
    },
    subscribe: async (account, plan, from) => {
      const begin = at(from);
      const before = world.log.book.catalogue.subscriptionsOf(account).filter((s) => s.to === null);
      const ended = before.map(({ receipt: _r, ...old }) => ({ ...old, to: begin }));
      await world.append(...ended, { kind: 'subscription', account, plan, from: begin, to: null, anchor: begin });
    },
    tokens: async (account, t, n) =>
      void (await world.events([{ type: 'llm', subject: `app-${account}`, t: at(t), data: `{"n":${n}}` }])),
    runAt: async (t, ask = {}) => {
      clock.at = at(t);
      await world.usage.job.run();
      return runs.run(ask);
    },
    papers: async () => {
      const all = await billing.invoices({ limit: 1000 });
      const documents = await Promise.all(all.reverse().map(({ id }) => billing.invoice(id)));
      return documents.map((one) => paper(one as Invoice, clock.at));
    },
  };
}

/** `INV-000001 acme 11-01..12-01: base 49.00, tokens 1.00 = 50.00 open`. */
function paper(invoice: Invoice, now: Instant): string {
  const day = (t: Instant): string => new Intl.DateTimeFormat('sv', { timeZone: ZONE }).format(t).slice(5);
  const { lines } = readDocument(invoice.document);
  const texts = lines.map((line) => {
    const who = line.account === invoice.account ? '' : `${line.account} `;
    const why = line.corrects === '' ? '' : ` (${line.corrects})`;
    return `${who}${line.price} ${money(BigInt(line.amount))}${why}`;
  });
  const state = invoice.kind === 'invoice' ? ` ${invoiceState(invoice, now)}` : '';
  return `${invoice.number} ${invoice.account} ${day(invoice.from)}..${day(invoice.to)}: ${texts.join(', ')} = ${money(invoice.total)}${state}`;
}

function money(minor: bigint): string {
  const digits = (minor < 0n ? -minor : minor).toString().padStart(3, '0');
  return `${minor < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
