/** An invoice document with the amounts that matter to the ledger, and little else. */
import { conventionDefaults } from '../../../domain/billing/conventions.ts';
import type { InvoiceDocument } from '../../invoice/document.ts';

export const T = 1_795_000_000_000;
export const DAY = 86_400_000;

export const documentOf = (
  day: number,
  amounts: { net: bigint; tax: bigint },
  more: Partial<InvoiceDocument> = {},
): InvoiceDocument => ({
  ...{ layout: 1, kind: 'invoice', account: 'acme', entity: 'default', currency: 'EUR', decimals: 2, zone: 'UTC' },
  ...{ from: T + day * DAY, to: T + (day + 1) * DAY, version: 1, frontier: 1, conventions: conventionDefaults },
  seller: { name: 'Seller', address: [], taxId: '', payment: '' },
  buyer: { name: 'Buyer', address: [], taxId: '', exemption: '' },
  ...{ lines: [], corrects: '', reason: '', basis: [] },
  taxes:
    amounts.tax === 0n
      ? []
      : [
          {
            ...{ name: 'VAT', jurisdiction: 'DE', category: '', percent: '19', inclusive: false },
            ...{ base: `${amounts.net}`, amount: `${amounts.tax}` },
          },
        ],
  net: `${amounts.net}`,
  tax: `${amounts.tax}`,
  total: `${amounts.net + amounts.tax}`,
  ...more,
});

export const issue = (day: number, more: { after?: number | null } = {}) => ({
  prefix: 'INV-',
  issuedAt: T + (day + 1) * DAY,
  dueAt: T + (day + 15) * DAY,
  after: null,
  billedTo: 0,
  ...more,
});
