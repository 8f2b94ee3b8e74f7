/** Documents to print, each as compose would write it down. */
import { conventionDefaults } from '../../../domain/billing/conventions.ts';
import { parseInstant } from '../../../domain/calendar.ts';
import type { InvoiceDocument, Line, Step, TaxLine } from '../../invoice/document.ts';
import type { Standing } from '../standing.ts';

const zone = 'Europe/Berlin';
export const at = (text: string): number => parseInstant(text, zone);

export const step = (text: string, quantity: string | null, price: string | null, amount: string): Step => ({
  text,
  quantity,
  unit: quantity === null ? null : 'GB',
  price,
  amount,
});

export const line = (more: Partial<Line> = {}): Line => ({
  no: 1,
  key: 'acme|pro|base|0|',
  kind: 'fee',
  account: 'acme',
  plan: 'pro',
  planVersion: 1,
  price: 'base',
  name: 'Base fee',
  from: at('2026-10-01'),
  to: at('2026-11-01'),
  quantity: '1',
  unit: '',
  metered: null,
  meter: '',
  state: 'known',
  flags: [],
  steps: [{ text: 'fee', quantity: '1', unit: null, price: '49', amount: '49' }],
  exact: '49',
  amount: '4900',
  taxCategory: '',
  corrects: '',
  series: [],
  digest: '',
  ...more,
});

/** 123.456789 GB in three tiers: 14.02 of 14.02283245. */
export const traffic = (more: Partial<Line> = {}): Line =>
  line({
    kind: 'usage',
    key: 'acme|pro|traffic|0|',
    price: 'traffic',
    name: 'Traffic sent',
    quantity: '123.456789',
    unit: 'GB',
    metered: '123456789000',
    meter: 'network.bytes.sent',
    steps: [
      step('included', '1', null, '0'),
      step('tier 1, up to 10', '10', '0.09', '0.9'),
      step('tier 2, above 10 up to 100', '90', '0.0777777', '6.999993'),
      step('tier 2, above 10 up to 100: flat', null, null, '5'),
      step('tier 3, above 100', '22.456789', '0.05', '1.12283945'),
    ],
    exact: '14.02283245',
    amount: '1402',
    digest: '10b7247cebc600ffca5d44cec97672fa666c32253093cb784dcfd2ea6ad32edb',
    series: [{ series: 7, quantity: 123_456_789_000n * 10n ** 12n, digest: 'ab'.repeat(32) }],
    ...more,
  });

/** Lines get their numbers, sums and 19 % tax; `more` wins. */
export function invoice(lines: readonly Line[], more: Partial<InvoiceDocument> = {}): InvoiceDocument {
  const net = lines.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  const tax = (net * 19n) / 100n;
  const taxes: TaxLine[] = [
    {
      name: 'USt',
      jurisdiction: 'DE',
      category: '',
      percent: '19',
      inclusive: false,
      base: net.toString(),
      amount: tax.toString(),
    },
  ];
  return {
    layout: 1,
    kind: 'invoice',
    account: 'acme',
    entity: 'default',
    seller: {
      name: 'Northern Cloud GmbH',
      address: ['Hafenstraße 12', '20457 Hamburg', 'Germany'],
      taxId: 'DE123456789',
      payment: 'Transfer to DE02 1203 0000 0000 2020 51, BYLADEM1001\nor by card in the console',
    },
    buyer: {
      name: 'Acme Widgets Ltd',
      address: ['1 Factory Lane', 'Leeds LS1 4AP', 'United Kingdom'],
      taxId: 'GB999999973',
      exemption: '',
    },
    currency: 'EUR',
    decimals: 2,
    zone,
    from: at('2026-10-01'),
    to: at('2026-11-01'),
    version: 1,
    frontier: 12_345,
    conventions: conventionDefaults,
    accounts: ['acme'],
    lines: lines.map((one, i) => ({ ...one, no: i + 1 })),
    taxes,
    net: net.toString(),
    tax: tax.toString(),
    total: (net + tax).toString(),
    corrects: '',
    reason: '',
    basis: [],
    ...more,
  };
}

/** All of the total is open, due in two weeks. */
export const open = (document: InvoiceDocument, more: Partial<Standing> = {}): Standing => ({
  number: 'INV-000001',
  state: 'open',
  open: BigInt(document.total),
  issuedAt: at('2026-11-04T09:30'),
  dueAt: at('2026-11-19'),
  draft: false,
  ...more,
});

export const draft: Standing = {
  number: '',
  state: 'open',
  open: 0n,
  issuedAt: null,
  dueAt: null,
  draft: true,
  blocked: [
    {
      line: 2,
      reason:
        'line 2 network.bytes.sent of acme is pending: source host/a is not complete through 2026-11-01T00:00:00+01:00; tollgate sources',
    },
  ],
};

/** Names that somebody might choose to do harm. */
export const hostile: readonly string[] = [
  '<script>alert(1)</script>',
  `"><img src=x onerror='alert(1)'>`,
  '\u202etxt.exe\u202c 999,999.00 EUR',
  'x'.repeat(5000),
  'two\nlines\r\nand\ta tab',
  'nul \u0000 bell \u0007 escape \u001b[31m',
  '=HYPERLINK("http://example.test","free")',
  'שלום עולם (Ltd) مرحبا بالعالم',
  '株式会社東雲 서울 클라우드',
  'ไทย हिन्दी 𓀀 😀',
  'lone \ud800 surrogate',
  '&amp; &lt;b&gt; </style></title></table>',
];

/** As many lines: usage and fees of three plans, some with flags, discounts and corrections among them. */
export function manyLines(count: number): Line[] {
  return Array.from({ length: count }, (_, i) => {
    const plan = ['pro', 'storage', 'support'][Math.floor((i * 3) / count)] as string;
    if (i % 7 === 3) return traffic({ plan, flags: ['spread', 'unobserved'], state: 'unobserved' });
    if (i % 7 === 5)
      return line({
        plan,
        kind: 'discount',
        name: 'Spring offer: Traffic sent',
        quantity: null,
        steps: [step('10 % off, its part of 14.02', null, null, '-1.40')],
        exact: '-1.40',
        amount: '-140',
      });
    if (i % 2 === 0) return traffic({ plan, name: `Traffic sent, zone ${i}` });
    return line({ plan, name: `Machine ${i}` });
  });
}

/** Three accounts, each with a fee and usage, the second also a correction. */
export const threeAccounts: InvoiceDocument = invoice(
  [
    ...['acme', 'acme-eu', 'acme-us'].flatMap((account) => [line({ account }), traffic({ account })]),
    traffic({
      account: 'acme-eu',
      kind: 'adjustment',
      corrects: 'INV-000001:3, late or corrected usage',
      from: at('2026-09-01'),
      to: at('2026-10-01'),
      steps: [step('due by now', null, null, '16.02'), step('billed on INV-000001:3', null, null, '-14.02')],
      exact: '2.00',
      amount: '200',
    }),
  ],
  { accounts: ['acme', 'acme-eu', 'acme-us'] },
);

export const creditNote: InvoiceDocument = invoice(
  [
    line({
      kind: 'credit',
      name: 'Outage of 12 October',
      corrects: 'INV-000001:1, by hand',
      quantity: null,
      steps: [],
      exact: '-5.00',
      amount: '-500',
    }),
  ],
  { kind: 'credit-note', corrects: 'INV-000001', reason: 'Outage of 12 October, agreed with support' },
);

/** All hostile names in every place that takes one. */
export const hostileDocument: InvoiceDocument = (() => {
  const every = hostile.join(' ');
  const lines = hostile.map((name) =>
    traffic({ name, account: name, plan: name, meter: name, taxCategory: name, steps: [step(name, '1', '2', '2')] }),
  );
  const party = { name: hostile[0] as string, address: hostile.slice(0, 9), taxId: hostile[1] as string };
  return invoice(lines, {
    seller: { ...party, payment: hostile.join('\n') },
    buyer: { ...party, exemption: every },
    taxes: [],
    corrects: hostile[0] as string,
    reason: every,
    account: hostile[2] as string,
  });
})();
