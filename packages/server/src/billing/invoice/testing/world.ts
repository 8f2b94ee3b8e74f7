/** A world for tests of invoices: facts by receipt, usage at points of time, and the invoices of an account in a row. */
import type { BillingFact } from '../../../domain/billing/billing-fact.ts';
import { type Conventions, conventionDefaults } from '../../../domain/billing/conventions.ts';
import { Book } from '../../../domain/book.ts';
import { parseInstant } from '../../../domain/calendar.ts';
import type { ControlBody, ControlFact } from '../../../domain/control-fact.ts';
import type { Entitlement } from '../../../domain/limit/plan.ts';
import type { FeePrice, PlanBilling, Price, UsagePrice } from '../../../domain/price/price.ts';
import { parseQuantity, type Quantity } from '../../../domain/quantity.ts';
import type { StateName } from '../../../domain/record.ts';
import type { Instant } from '../../../domain/window.ts';
import type { Metered, MeteredAsk } from '../../../usage/metered.ts';
import { digestOf } from '../canonical.ts';
import { type Charges, chargesAgain, chargesOf } from '../charges.ts';
import { compose } from '../compose.ts';
import type { Draft, InvoiceDocument } from '../document.ts';
import { type Frame, framesOf } from '../frames.ts';

export interface Point {
  account: string;
  meter: string;
  at: Instant;
  quantity: Quantity;
  group: Record<string, string>;
}

export const fee = (key: string, amount: string, more: Partial<FeePrice> = {}): FeePrice => ({
  kind: 'fee',
  key,
  name: key,
  tax: '',
  from: null,
  to: null,
  amount,
  per: 'period',
  term: 'advance',
  prorate: true,
  ...more,
});

export const usage = (key: string, unit: string, more: Partial<UsagePrice> = {}): UsagePrice => ({
  kind: 'usage',
  key,
  name: key,
  tax: '',
  from: null,
  to: null,
  meter: 'bytes',
  where: {},
  per: null,
  included: null,
  model: { model: 'per_unit', unit },
  discountPercent: null,
  minimum: null,
  maximum: null,
  commitment: null,
  when: '',
  ...more,
});

const traffic = (amount: number | null): Entitlement => ({
  key: 'traffic',
  meter: 'bytes',
  amount,
  per: 'billing',
  overage: 'allow',
});

export class World {
  readonly zone: string;
  conventions: Conventions = conventionDefaults;
  readonly facts: ControlFact[] = [];
  readonly points: Point[] = [];
  /** Final documents, by account. */
  readonly documents: { number: string; document: InvoiceDocument }[] = [];
  /** State of everything that is asked about [from, to) of which a part is later than this. */
  pendingFrom: Instant = Number.POSITIVE_INFINITY;
  pendingState: StateName = 'pending';

  constructor(zone = 'UTC') {
    this.zone = zone;
  }

  at(text: string): Instant {
    return parseInstant(text, this.zone);
  }

  fact(body: ControlBody, recordedAt: Instant = 0): this {
    this.facts.push({ receipt: this.facts.length + 1, tenant: '', author: 'test', reason: '', recordedAt, body });
    return this;
  }

  account(
    id: string,
    { parent = null as string | null, currency = 'EUR', zone = this.zone, recordedAt = 0 } = {},
  ): this {
    return this.fact({ kind: 'account', id, parent, name: id, zone, currency, state: 'active' }, recordedAt);
  }

  plan(
    key: string,
    prices: readonly Price[],
    billing: Partial<PlanBilling> = {},
    { entitlements = [] as Entitlement[], from = 0 } = {},
  ): this {
    const priced: PlanBilling = {
      currency: 'EUR',
      period: { unit: 'month', count: 1 },
      anchor: 'subscription',
      trialDays: 0,
      minimum: null,
      ...billing,
      prices,
    };
    return this.fact({
      kind: 'plan',
      plan: { key, name: key, entitlements, limits: [], billing: priced },
      from,
      removed: false,
    });
  }

  /** Ends what the account has by then, as the API does; the anchor stays. */
  subscribe(
    account: string,
    plan: string,
    from: string,
    more: { to?: string; anchor?: string; trialUntil?: string | null } = {},
  ): this {
    const begin = this.at(from);
    const before = this.book().catalogue.subscriptionsOf(account);
    for (const { receipt: _, ...old } of before) {
      if (old.from < begin && (old.to === null || old.to > begin)) this.fact({ ...old, to: begin });
    }
    const anchor = more.anchor === undefined ? (before.at(-1)?.anchor ?? begin) : this.at(more.anchor);
    const trial =
      more.trialUntil === undefined ? {} : { trialUntil: more.trialUntil === null ? null : this.at(more.trialUntil) };
    const to = more.to === undefined ? null : this.at(more.to);
    return this.fact({ kind: 'subscription', account, plan, from: begin, to, anchor, ...trial });
  }

  cancel(account: string, at: string): this {
    const end = this.at(at);
    const { receipt: _, ...running } = this.book().catalogue.subscriptionAt(account, end - 1) ?? { receipt: 0 };
    return this.fact({ ...(running as Extract<ControlBody, { kind: 'subscription' }>), to: end });
  }

  billing(body: BillingFact): this {
    return this.fact(body);
  }

  paidByParent(account: string): this {
    const nothing = { name: '', address: [], taxId: '', email: '', jurisdiction: '', exemption: '', entity: '' };
    return this.fact({ kind: 'profile', account, payer: 'parent', ...nothing });
  }

  /** The account's taxes are those of DE. */
  taxed(account: string, exemption = ''): this {
    const nothing = { name: '', address: [], taxId: '', email: '', entity: '' };
    return this.fact({ kind: 'profile', account, payer: 'self', jurisdiction: 'DE', exemption, ...nothing });
  }

  tax(percent: string, more: { category?: string; inclusive?: boolean; from?: string } = {}): this {
    const { category = '', inclusive = false } = more;
    const from = more.from === undefined ? 0 : this.at(more.from);
    return this.fact({ kind: 'tax', jurisdiction: 'DE', category, name: 'USt', percent, inclusive, from, to: null });
  }

  used(
    account: string,
    at: string,
    quantity: string,
    { meter = 'bytes', group = {} as Record<string, string> } = {},
  ): this {
    this.points.push({ account, meter, at: this.at(at), quantity: parseQuantity(quantity), group });
    return this;
  }

  book(): Book {
    return Book.at(this.facts, this.facts.length);
  }

  /** Sums of points by group, as the meters answer. */
  answer(ask: MeteredAsk): Metered[] {
    const rows = new Map<string, Metered>();
    const of = this.points
      .filter((p) => p.account === ask.account && p.meter === ask.meter && p.at >= ask.from && p.at < ask.to)
      .sort((a, b) => a.at - b.at);
    const state = ask.to > this.pendingFrom ? this.pendingState : 'known';
    for (const point of of) {
      const group = Object.fromEntries(ask.by.map((name) => [name, point.group[name] ?? '']));
      const name = JSON.stringify(group);
      const row = rows.get(name) ?? {
        group,
        quantity: 0n,
        count: 0n,
        unit: 'By',
        state,
        flags: [],
        events: ask.events ? [] : null,
        series: [],
      };
      const quantity = (row.quantity ?? 0n) + point.quantity;
      rows.set(name, {
        ...row,
        quantity,
        count: row.count + 1n,
        events: row.events === null ? null : [...row.events, point.quantity],
        series: [{ series: 7, quantity, digest: digestOf(`${name} ${quantity}`) }],
      });
    }
    return [...rows.values()];
  }

  answersTo = (charges: Charges): Metered[][] => charges.usage.map(({ ask }) => this.answer(ask));

  frames(account: string, until: string): Frame[] {
    const end = this.at(until);
    const frames: Frame[] = [];
    for (const frame of framesOf(this.book(), account, 0)) {
      if (frame.to > end) break;
      frames.push(frame);
    }
    return frames;
  }

  /** A draft of one frame, by what is known now; earlier documents are looked at again. */
  draft(account: string, frame: Frame, again = true): Draft {
    const book = this.book();
    const charges = chargesOf(book, account, frame, this.conventions);
    const documents = this.documents.filter(({ document }) => document.account === account);
    const earlier = (again ? documents : []).map(({ document }) => {
      const of = chargesAgain(book, document);
      return { charges: of, metered: this.answersTo(of) };
    });
    const metered = this.answersTo(charges);
    return compose({ book, charges, metered, earlier, documents, frontier: this.facts.length, version: 1 });
  }

  /** Makes all invoices final that end by `until` and are not yet. */
  invoice(account: string, until: string): InvoiceDocument[] {
    const done: InvoiceDocument[] = [];
    for (const frame of this.frames(account, until)) {
      const isThere = this.documents.some(
        ({ document: d }) => d.account === account && (d.to > frame.to || (d.from === frame.from && d.to === frame.to)),
      );
      if (isThere) continue;
      const { document } = this.draft(account, frame);
      if (document.lines.length === 0) continue;
      this.documents.push({ number: `INV-${this.documents.length + 1}`, document });
      done.push(document);
    }
    return done;
  }
}

const included = { included: { entitlement: 'traffic' } };

/** Account `a`; plans basic (31.00, 100 units free, then 0.10), pro (62.00, 1000, 0.05) and open (93.00, unlimited). */
export const shop = (zone = 'UTC'): World =>
  new World(zone)
    .account('a')
    .plan('basic', [fee('base', '31.00'), usage('traffic', '0.10', included)], {}, { entitlements: [traffic(100)] })
    .plan('pro', [fee('base', '62.00'), usage('traffic', '0.05', included)], {}, { entitlements: [traffic(1000)] })
    .plan('open', [fee('base', '93.00'), usage('traffic', '1.00', included)], {}, { entitlements: [traffic(null)] });
