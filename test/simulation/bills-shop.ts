/** Who is billed for what in the simulation: one plan by the day, five accounts in four zones, a child. */
import { fee, usage } from 'tollgate/billing/invoice/testing/world.js';
import { conventionDefaults } from 'tollgate/domain/billing/conventions.js';
import type { ControlBody } from 'tollgate/domain/control-fact.js';
import { defineMeter } from 'tollgate/domain/define-meter.js';

/** Units of a day that cost nothing, and cents for each beyond them. */
export const FREE = 500n;
export const CENTS = 3n;

export function shopFacts(): ControlBody[] {
  const made = defineMeter({ key: 'work', eventType: 'work', valuePath: '$.n', unit: '1' }, undefined);
  if (Array.isArray(made)) throw new Error(JSON.stringify(made));
  const { receipt: _, ...meter } = made;
  const prices = [fee('base', '1.00'), usage('work', '0.03', { meter: 'work', included: { amount: FREE.toString() } })];
  const terms = { currency: 'EUR', period: { unit: 'day', count: 1 }, anchor: 'calendar', trialDays: 0 } as const;
  const plan = { key: 'p', name: 'p', entitlements: [], limits: [], billing: { ...terms, minimum: null, prices } };
  const conventions = { ...conventionDefaults, graceDays: 0 };
  return [
    { kind: 'meter', meter },
    {
      ...{ kind: 'entity', key: 'default', name: 'shop', address: [], taxId: '', payment: '', conventions },
      ...{ invoicePrefix: 'INV-', creditPrefix: 'CN-' },
    },
    { kind: 'plan', plan, from: 0, removed: false },
    { kind: 'tax', jurisdiction: 'X', category: '', name: 'tax', percent: '7.7', inclusive: false, from: 0, to: null },
  ];
}

export function accountFacts(id: string, zone: string, from: number): ControlBody[] {
  return [
    { kind: 'account', id, parent: id === 'e' ? 'd' : null, name: id, zone, currency: 'EUR', state: 'active' },
    { kind: 'owner', resource: id, account: id, from: 0 },
    profile(id, 'self'),
    { kind: 'subscription', account: id, plan: 'p', from, to: null, anchor: from },
  ];
}

export const profile = (account: string, payer: 'self' | 'parent'): ControlBody => ({
  ...{ kind: 'profile', account, payer, entity: '', name: '', address: [], taxId: '', email: '' },
  ...{ jurisdiction: 'X', exemption: '' },
});
