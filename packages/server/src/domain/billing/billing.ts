/**
 * Who bills whom, with which taxes, discounts and add-ons: the fold of the facts of billing-fact.ts, a part of the book.
 * Every answer carries the receipt of its fact; 0: nobody has said anything, it is the default.
 */
import type { Receipt } from '../fact.ts';
import { type Dated, mapIn, nextOf, type Timeline, timelineIn } from '../limit/timeline.ts';
import type { Instant } from '../window.ts';
import type {
  AddOnFact,
  BillingFact,
  CouponFact,
  DiscountFact,
  EntityFact,
  ProfileFact,
  TaxFact,
} from './billing-fact.ts';
import { conventionDefaults } from './conventions.ts';

export type Entity = Omit<EntityFact, 'kind'> & { readonly receipt: Receipt };
export type Profile = Omit<ProfileFact, 'kind'> & { readonly receipt: Receipt };
export type Tax = Dated<TaxFact>;
export type Coupon = Omit<CouponFact, 'kind'> & { readonly receipt: Receipt };
export type Discount = Dated<DiscountFact>;
export type AddOn = Dated<AddOnFact>;

/** Key of the entity that is there from the beginning. */
export const DEFAULT_ENTITY = 'default';

const defaultEntity: Entity = {
  key: DEFAULT_ENTITY,
  name: 'Tollgate',
  address: [],
  taxId: '',
  invoicePrefix: 'INV-',
  creditPrefix: 'CN-',
  payment: '',
  conventions: conventionDefaults,
  receipt: 0,
};

/** What numbers begin with, or began. */
export interface Numbering {
  entity: string;
  kind: 'invoice' | 'credit-note';
  prefix: string;
  isCurrent: boolean;
}

const prefixesOf = ({ invoicePrefix, creditPrefix }: Pick<EntityFact, 'invoicePrefix' | 'creditPrefix'>) =>
  [
    ['invoice', invoicePrefix],
    ['credit-note', creditPrefix],
  ] as const;

/** Whether a number could begin with either: behind the one come six digits, or more. */
export const prefixesMeet = (a: string, b: string): boolean => {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return long.startsWith(short) && /^\d*$/.test(long.slice(short.length));
};

/** What of the tree of accounts says who pays. */
export interface Accounts {
  get(id: string): { parent: string | null; name: string } | undefined;
  /** See AccountTree. */
  parentAt(id: string, at: Receipt): string | null | undefined;
}

/** Accounts can stand below each other this deep, as for limits; a fold refuses cycles, this bounds the rest. */
const DEPTH_MAX = 64;

/** What is said of one account anew. */
export interface PayerChange {
  id: string;
  payer?: Profile['payer'];
  parent?: string | null;
}

/** The nearest, from itself upwards, that pays for itself; the topmost in any case. */
function payerBy(account: string, isPaidFor: (of: string) => boolean, parentOf: (of: string) => string | null): string {
  let payer = account;
  for (let depth = 0; depth < DEPTH_MAX && isPaidFor(payer); depth++) {
    const parent = parentOf(payer);
    if (parent === null) break;
    payer = parent;
  }
  return payer;
}

export class Billing {
  /** Receipt of the last fact of billing. */
  at: Receipt = 0;
  private readonly accounts: Accounts;
  private readonly entities = new Map<string, Entity>([[DEFAULT_ENTITY, defaultEntity]]);
  /** Those of before, too: by entity. */
  private readonly numberings = new Map<string, Omit<Numbering, 'isCurrent'>[]>();
  private readonly profiles = new Map<string, Profile>();
  /** Whether each was paid for by whom it stands below, in order of what was said. */
  private readonly payers = new Map<string, { receipt: Receipt; payer: Profile['payer'] }[]>();
  private readonly taxes = new Map<string, Timeline<TaxFact>>();
  private readonly coupons = new Map<string, Coupon>();
  /** By account, then coupon. */
  private readonly discounts = new Map<string, Map<string, Timeline<DiscountFact>>>();
  /** By account, then plan. */
  private readonly addOns = new Map<string, Map<string, Timeline<AddOnFact>>>();

  constructor(accounts: Accounts) {
    this.accounts = accounts;
  }

  /** Facts come in receipt order. */
  put(fact: BillingFact, receipt: Receipt): void {
    this.at = Math.max(this.at, receipt);
    switch (fact.kind) {
      case 'entity':
        this.noteNumbering(this.entities.get(fact.key));
        this.entities.set(fact.key, known(fact, receipt));
        break;
      case 'profile':
        this.profiles.set(fact.account, known(fact, receipt));
        this.notePayer(fact, receipt);
        break;
      case 'coupon':
        this.coupons.set(fact.key, known(fact, receipt));
        break;
      case 'tax':
        timelineIn(this.taxes, taxName(fact.jurisdiction, fact.category)).put(fact, receipt);
        break;
      case 'discount':
        timelineIn(mapIn(this.discounts, fact.account), fact.coupon).put(fact, receipt);
        break;
      case 'addon':
        timelineIn(mapIn(this.addOns, fact.account), fact.plan).put(fact, receipt);
        break;
    }
  }

  /** '' is the default one. */
  entityOf(key: string): Entity | undefined {
    return this.entities.get(key === '' ? DEFAULT_ENTITY : key);
  }
  allEntities(): IterableIterator<Entity> {
    return this.entities.values();
  }

  /** Every prefix that an entity has or had, by what it is for. */
  *allNumberings(): Iterable<Numbering> {
    for (const entity of this.entities.values()) {
      for (const [kind, prefix] of prefixesOf(entity)) yield { entity: entity.key, kind, prefix, isCurrent: true };
      for (const before of this.numberings.get(entity.key) ?? []) yield { ...before, isCurrent: false };
    }
  }
  private noteNumbering(entity: Entity | undefined): void {
    if (entity === undefined) return;
    const before = this.numberings.get(entity.key) ?? [];
    this.numberings.set(entity.key, before);
    for (const [kind, prefix] of prefixesOf(entity)) {
      if (!before.some((one) => one.kind === kind && one.prefix === prefix))
        before.push({ entity: entity.key, kind, prefix });
    }
  }

  /** Of an account that nobody has said anything about: it pays for itself, to the default entity, without a tax. */
  profileOf(account: string): Profile {
    const given = this.profiles.get(account);
    if (given !== undefined && given.name !== '') return given;
    const name = this.accounts.get(account)?.name ?? account;
    if (given !== undefined) return { ...given, name };
    return { ...defaultProfile, account, name };
  }
  /** Who has a profile of its own. */
  allProfiles(): IterableIterator<Profile> {
    return this.profiles.values();
  }
  /** Who gets the account's invoices: the nearest, from itself upwards, that pays for itself; the topmost always does. */
  payerOf(account: string): string {
    return payerBy(account, this.isPaidFor, this.parentOf);
  }
  /** Who would, if one account had another payer or parent. */
  payerIf(account: string, { id, payer, parent }: PayerChange): string {
    const isPaidFor = (of: string): boolean =>
      of === id && payer !== undefined ? payer === 'parent' : this.isPaidFor(of);
    const parentOf = (of: string): string | null => (of === id && parent !== undefined ? parent : this.parentOf(of));
    return payerBy(account, isPaidFor, parentOf);
  }
  /** The same by what was known at `at`; null: the account was not there yet. */
  payerAt(account: string, at: Receipt): string | null {
    if (this.accounts.parentAt(account, at) === undefined) return null;
    const isPaidFor = (of: string): boolean => this.isPaidForAt(of, at);
    return payerBy(account, isPaidFor, (of) => this.accounts.parentAt(of, at) ?? null);
  }

  private readonly isPaidFor = (of: string): boolean => this.profiles.get(of)?.payer === 'parent';
  private readonly parentOf = (of: string): string | null => this.accounts.get(of)?.parent ?? null;

  private isPaidForAt(account: string, at: Receipt): boolean {
    return this.payers.get(account)?.findLast(({ receipt }) => receipt <= at)?.payer === 'parent';
  }

  private notePayer({ account, payer }: ProfileFact, receipt: Receipt): void {
    const said = this.payers.get(account);
    if (said === undefined) this.payers.set(account, [{ receipt, payer }]);
    else if (said.at(-1)?.payer !== payer) said.push({ receipt, payer });
  }

  /** The rate that rules at t: of those that cover it the one that began last. No answer: there is no such tax. */
  taxAt(jurisdiction: string, category: string, t: Instant): Tax | undefined {
    return this.taxes.get(taxName(jurisdiction, category))?.at(t);
  }
  /** Every rate there was, by start within a (jurisdiction, category). */
  *allTaxes(): Iterable<Tax> {
    for (const timeline of this.taxes.values()) yield* timeline.all();
  }
  nextTaxChange(jurisdiction: string, category: string, t: Instant, until: Instant): Instant {
    return this.taxes.get(taxName(jurisdiction, category))?.nextChange(t, until) ?? until;
  }

  /** Also one that is removed: that ends what can be given, not what was. */
  coupon(key: string): Coupon | undefined {
    return this.coupons.get(key);
  }
  allCoupons(): IterableIterator<Coupon> {
    return this.coupons.values();
  }

  /** Every span, by start; see discountsAt for what rules. */
  discountsOf(account: string): readonly Discount[] {
    return allOf(this.discounts.get(account));
  }
  /** In force at t: of spans of one coupon the one that began last. */
  discountsAt(account: string, t: Instant): readonly Discount[] {
    return ruling(this.discounts.get(account), t);
  }
  *allDiscounts(): Iterable<Discount> {
    for (const account of this.discounts.keys()) yield* this.discountsOf(account);
  }

  /** Every span, by start; see addOnsAt for what rules. */
  addOnsOf(account: string): readonly AddOn[] {
    return allOf(this.addOns.get(account));
  }
  /** In force at t: of spans of one plan the one that began last. */
  addOnsAt(account: string, t: Instant): readonly AddOn[] {
    return ruling(this.addOns.get(account), t);
  }
  *allAddOns(): Iterable<AddOn> {
    for (const account of this.addOns.keys()) yield* this.addOnsOf(account);
  }

  /** The next start or end of an add-on or a discount of the account after t, or `until` when that is earlier. */
  nextChange(account: string, t: Instant, until: Instant): Instant {
    return nextOf(this.discounts.get(account), t, nextOf(this.addOns.get(account), t, until));
  }
}

const defaultProfile: Profile = {
  account: '',
  entity: '',
  payer: 'self',
  name: '',
  address: [],
  taxId: '',
  email: '',
  jurisdiction: '',
  exemption: '',
  receipt: 0,
};

const taxName = (jurisdiction: string, category: string): string =>
  `${jurisdiction.length} ${jurisdiction} ${category}`;

function known<F extends { kind: string }>({ kind: _, ...fact }: F, receipt: Receipt) {
  return { ...fact, receipt };
}

type Spans<F extends DiscountFact | AddOnFact> = ReadonlyMap<string, Timeline<F>> | undefined;

/** In the order of their starts; of one start in that of their receipts. */
function allOf<F extends DiscountFact | AddOnFact>(spans: Spans<F>): Dated<F>[] {
  const all = [...(spans?.values() ?? [])].flatMap((timeline) => timeline.all());
  return all.sort((a, b) => a.from - b.from || a.receipt - b.receipt);
}

function ruling<F extends DiscountFact | AddOnFact>(spans: Spans<F>, t: Instant): Dated<F>[] {
  const held = [...(spans?.values() ?? [])].flatMap((timeline) => timeline.at(t) ?? []);
  return held.sort((a, b) => a.from - b.from || a.receipt - b.receipt);
}
