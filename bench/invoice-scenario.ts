/**
 * What the invoice bench bills: accounts of three countries, two plans, a month of usage. Plain data, from which the stage
 * makes facts and records, and the oracle invoices. Figures follow from their numbers by arithmetic that SQL repeats.
 */

/** [up to and with, price of a unit, flat amount once entered]; null: no end. */
export type TierRow = readonly [string | null, string, string];

export type Way =
  | { way: 'each'; unit: string }
  | { way: 'graduated'; tiers: readonly TierRow[] }
  | { way: 'volume'; tiers: readonly TierRow[] }
  | { way: 'package'; size: string; price: string; free: string };

export interface FeeRow {
  key: string;
  amount: string;
  /** Billed before the month it is for. */
  ahead: boolean;
}

export interface UsageRow {
  key: string;
  /** Place in `meters`. */
  meter: number;
  /** The meter's quantity by this is what is priced; `up`: a begun one counts. */
  divide: string | null;
  up: boolean;
  included: string | null;
  reduced: boolean;
  model: Way;
}

export interface PlanRow {
  key: string;
  fees: readonly FeeRow[];
  usage: readonly UsageRow[];
}

export interface Land {
  key: string;
  zone: string;
  currency: string;
  decimals: number;
  /** October 2026 there, and the end of November, in which nothing is used. */
  from: number;
  to: number;
  later: number;
  standard: string;
  reduced: string;
  /** Taxes are in the prices. */
  inclusive: boolean;
  /** Cheaper first; who changes goes from the one to the other. */
  plans: readonly [PlanRow, PlanRow];
  /** Off, of the usage that `twentyOn` names. */
  twenty: string;
}

export interface MeterRow {
  key: string;
  unit: string;
  /** Bytes of a counter; else events are summed. */
  counter: boolean;
  /** A record's figure: (base % modulus) * times / over. */
  modulus: number;
  times: number;
  over: number;
}

export const meters: readonly MeterRow[] = [
  { key: 'network.bytes.sent', unit: 'By', counter: true, modulus: 2147483647, times: 37, over: 1 },
  { key: 'network.bytes.received', unit: 'By', counter: true, modulus: 2147483647, times: 11, over: 1 },
  { key: 'requests', unit: '{request}', counter: false, modulus: 200_000, times: 1, over: 1 },
  { key: 'storage', unit: 'GBh', counter: false, modulus: 1_000_000, times: 1, over: 1000 },
  { key: 'builds', unit: '{build}', counter: false, modulus: 100, times: 1, over: 1 },
  { key: 'mails', unit: '{mail}', counter: false, modulus: 4000, times: 1, over: 1 },
  { key: 'tokens', unit: '{token}', counter: false, modulus: 50_000_000, times: 1, over: 1 },
  { key: 'lookups', unit: '{lookup}', counter: false, modulus: 9000, times: 1, over: 1 },
];

const DAY = 86_400_000;
/** Days of October on which there is usage, at noon in Greenwich; plans change between the second and the third. */
export const RECORD_DAYS: readonly number[] = [3, 9, 20, 27];
export const CUT = 2;
export const noonOf = (day: number): number => Date.UTC(2026, 9, day, 12);

/** One record's figure before its meter's modulus: below 2^31. */
const base = (account: number, meter: number, record: number): number =>
  ((account * 7919 + meter * 104_729 + record * 15_485_863 + 12_345) * 48_271) % 2_147_483_647;
/** As `base`, of SQL expressions. */
export const baseSql = (account: string, meter: number, record: string): string =>
  `((${account} * 7919 + ${meter * 104_729} + ${record} * 15485863 + 12345) * 48271) % 2147483647`;

/** Some have used nothing of some meters. */
const isIdle = (account: number, meter: number): boolean => (account * 31 + meter) % 50 === 0;
export const idleSql = (account: string, meter: number): string => `(${account} * 31 + ${meter}) % 50 = 0`;

/** What an account used of a meter, as a fraction: before its plan changes, and from there on. */
export function usedIn(account: number, meter: number, cut: number): readonly [bigint, bigint, bigint] {
  const { modulus, times, over } = meters[meter] as MeterRow;
  const sums: [bigint, bigint] = [0n, 0n];
  if (isIdle(account, meter)) return [0n, 0n, BigInt(over)];
  for (let k = 0; k < RECORD_DAYS.length; k++) {
    sums[k < cut ? 0 : 1] += BigInt(base(account, meter, k) % modulus) * BigInt(times);
  }
  return [...sums, BigInt(over)];
}

export interface Customer {
  no: number;
  id: string;
  land: Land;
  /** Local day of October from whose midnight on it has the bigger plan; null: it stays. */
  upgrade: number | null;
  /** Ten percent off all; `twenty` off some of its usage. */
  coupon: 'ten' | 'twenty' | null;
}

export function customer(no: number): Customer {
  const id = `customer-${no.toString().padStart(7, '0')}`;
  const coupon = no % 10 === 3 ? 'ten' : no % 10 === 7 ? 'twenty' : null;
  const upgrade = Math.floor(no / 10) % 10 === 4 ? 11 + (no % 7) : null;
  return { no, id, land: lands[no % lands.length] as Land, upgrade, coupon };
}

export const changeAt = ({ from }: Land, day: number): number => from + (day - 1) * DAY;

/** A decimal times a whole number, as text. */
function times(text: string, factor: number): string {
  const [whole = '0', part = ''] = text.split('.');
  const digits = (BigInt(whole + part) * BigInt(factor)).toString().padStart(part.length + 1, '0');
  return part === '' ? digits : `${digits.slice(0, -part.length)}.${digits.slice(-part.length)}`;
}

function plan(key: string, f: number, bigger: boolean): PlanRow {
  const m = (text: string): string => times(text, f);
  const g = (rows: readonly TierRow[]): TierRow[] => rows.map(([upTo, unit, flat]) => [upTo, m(unit), m(flat)]);
  const row = (meter: number, rest: Partial<UsageRow> & { model: Way }): UsageRow => ({
    ...{ key: (meters[meter] as MeterRow).key.split('.').at(-1) ?? '', meter, divide: null, up: false },
    ...{ included: null, reduced: false, ...rest },
  });
  const end = bigger ? '0.011' : '0.0133';
  return {
    key,
    fees: [
      { key: 'base', amount: m(bigger ? '99.90' : '49.00'), ahead: true },
      { key: 'support', amount: m(bigger ? '19.90' : '9.95'), ahead: false },
    ],
    usage: [
      row(0, {
        divide: '1000000000',
        included: bigger ? '250' : '100',
        model: {
          way: 'graduated',
          tiers: g([
            ['50', '0.09', '0'],
            ['120', '0.0725', '1.5'],
            [null, end, '0'],
          ]),
        },
      }),
      row(1, { divide: '1073741824', up: true, model: { way: 'each', unit: m(bigger ? '0.0085' : '0.011') } }),
      row(2, {
        reduced: true,
        model: {
          way: 'volume',
          tiers: g([
            ['100000', '0.0003', '0'],
            ['400000', '0.00021', '2.25'],
            [null, '0.000137', '9'],
          ]),
        },
      }),
      row(3, { model: { way: 'each', unit: m(bigger ? '0.000377' : '0.000419') } }),
      row(4, { included: bigger ? '120' : '50', model: { way: 'package', size: '25', price: m('1.99'), free: '0' } }),
      row(5, {
        reduced: true,
        model: { way: 'package', size: '1000', price: m('0.85'), free: bigger ? '5000' : '2500' },
      }),
      row(6, {
        model: {
          way: 'graduated',
          tiers: g([
            ['1000000', '0.0000031', '0.5'],
            ['50000000', '0.0000021', '0'],
            [null, '0.00000098', '0'],
          ]),
        },
      }),
      row(7, {
        included: '1000',
        model: {
          way: 'volume',
          tiers: g([
            ['5000', '0.002', '0.25'],
            ['20000', '0.0015', '0'],
            [null, '0.0009', '0'],
          ]),
        },
      }),
    ],
  };
}

const land = (key: string, factor: number, rest: Omit<Land, 'key' | 'plans' | 'twenty'>): Land => ({
  ...{ key, ...rest, twenty: times('20.00', factor) },
  plans: [plan(`cloud-${key}`, factor, false), plan(`pro-${key}`, factor, true)],
});

/** Hours ahead of Greenwich at the three midnights. */
const october = (first: number, second: number, third: number): Pick<Land, 'from' | 'to' | 'later'> => ({
  from: Date.UTC(2026, 9, 1, -first),
  to: Date.UTC(2026, 10, 1, -second),
  later: Date.UTC(2026, 11, 1, -third),
});

/** Clocks go back in Germany on 25 October, in New York after the month is over, in Japan never. */
export const lands: readonly Land[] = [
  land('de', 1, {
    ...{ zone: 'Europe/Berlin', currency: 'EUR', decimals: 2, ...october(2, 1, 1) },
    ...{ standard: '19', reduced: '7', inclusive: false },
  }),
  land('ny', 1, {
    ...{ zone: 'America/New_York', currency: 'USD', decimals: 2, ...october(-4, -4, -5) },
    ...{ standard: '8.875', reduced: '4.5', inclusive: false },
  }),
  land('jp', 150, {
    ...{ zone: 'Asia/Tokyo', currency: 'JPY', decimals: 0, ...october(9, 9, 9) },
    ...{ standard: '10', reduced: '8', inclusive: true },
  }),
];

export const twentyOn = ({ plans }: Land): string[] => plans.flatMap(({ key }) => [`${key}/sent`, `${key}/requests`]);
