/** What could never be billed, or would say another tax than is final: refused by name before anything is written. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { invoice, voiding } from '../store/contract/billing-cases.ts';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

const DAY = 1440 * MINUTE;
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const plan = (key: string, currency: string) =>
  `{key: ${key}, billing: {currency: ${currency}, prices: [{key: b, fee: 10}]}}`;
const plansOf = (...plans: string[]): string => `plans: [${plans.join(', ')}]`;

const send = (api: TestApi, method: Method, url: string, body?: unknown) =>
  api.call(api.admin, method, url, {
    ...(typeof body === 'string' ? { raw: { body, type: 'application/yaml' } } : body === undefined ? {} : { body }),
  });
const done = async (api: TestApi, method: Method, url: string, body?: unknown) => {
  const answer = await send(api, method, url, body);
  assert.ok(answer.status < 300, answer.text);
  return answer.body;
};
/** Refused with the code and the detail, at the field; nothing is written. */
const refused = async (
  api: TestApi,
  [method, url, body]: readonly [Method, string, unknown],
  code: string,
  detail: string | RegExp,
  pointer: string,
): Promise<void> => {
  const before = api.context.log.book.at;
  const answer = await send(api, method, url, body);
  assert.deepEqual([answer.body.code, answer.body.pointer], [code, pointer], answer.text);
  if (typeof detail === 'string') assert.equal(answer.body.detail, detail);
  else assert.match(answer.body.detail, detail);
  assert.equal(api.context.log.book.at, before);
};

const open = async (t: TestContext): Promise<TestApi> => {
  const api = await openApi(t);
  await api.account('top', null, 'Europe/Berlin');
  await api.account('low', 'top', 'Europe/Berlin');
  await done(api, 'POST', '/api/v1/plans/apply', plansOf(plan('euros', 'EUR'), plan('dollars', 'USD')));
  return api;
};
const currency = (api: TestApi, id: string, code: string) =>
  done(api, 'PUT', `/api/v1/accounts/${id}`, { currency: code });

test('an account is given no plan and no add-on in another currency, now or later', async (t) => {
  const api = await open(t);
  const why = 'The plan dollars is priced in USD, low is billed in EUR';
  for (const more of [{}, { from: '2027-01-01' }, { from: '2026-01-01', to: '2026-02-01' }])
    for (const url of ['/api/v1/subscriptions', '/api/v1/billing/add-ons'])
      await refused(api, ['POST', url, { account: 'low', plan: 'dollars', ...more }], 'plan.currency', why, '/plan');
  await done(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'euros' });
});

test('a version of a plan that is still to come counts where the subscription reaches it', async (t) => {
  const api = await open(t);
  await done(api, 'POST', '/api/v1/plans/apply?from=2027-01-01', plansOf(plan('euros', 'USD')));
  const to = (end: string) => ['POST', '/api/v1/subscriptions', { account: 'low', plan: 'euros', to: end }] as const;
  const why = 'The plan euros is priced in USD from 2027-01-01T00:00:00Z on, low is billed in EUR';
  await refused(api, to('2027-01-02T00:00:00Z'), 'plan.currency', why, '/plan');
  await done(api, ...to('2027-01-01T00:00:00Z'));
});

test('who pays for an account is billed in the same currency', async (t) => {
  const api = await open(t);
  const parent = ['PUT', '/api/v1/accounts/low/billing-profile', 'payer: parent'] as const;
  await currency(api, 'top', 'USD');
  await done(api, ...parent);
  const subscribe = ['POST', '/api/v1/subscriptions', { account: 'low', plan: 'euros' }] as const;
  const why = 'The plan euros is priced in EUR, top, who pays for low, is billed in USD';
  await refused(api, subscribe, 'plan.currency', why, '/plan');
  await done(api, 'PUT', '/api/v1/accounts/low/billing-profile', 'payer: self');
  await done(api, ...subscribe);
  const other = 'top, who would pay for low, is billed in USD, low in EUR';
  await refused(api, parent, 'plan.currency', other, '/payer');
  await done(api, 'POST', '/api/v1/accounts', { id: 'eu', currency: 'EUR' });
  await done(api, 'PUT', '/api/v1/accounts/low', { parent: 'eu' });
  await done(api, ...parent);
  await refused(api, ['PUT', '/api/v1/accounts/low', { parent: 'top' }], 'plan.currency', other, '/parent');
});

test('a plan does not change its currency under those who have it', async (t) => {
  const api = await open(t);
  await done(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'euros', to: '2027-01-01T00:00:00Z' });
  await done(api, 'POST', '/api/v1/billing/add-ons', { account: 'top', plan: 'euros', to: '2027-02-01T00:00:00Z' });
  const apply = (from: string) => ['POST', `/api/v1/plans/apply?from=${from}`, plansOf(plan('euros', 'USD'))] as const;
  const why = 'The plan euros would be priced in USD: low, which has it, is billed in EUR; so is 1 more';
  await refused(api, apply('2026-12-31'), 'plan.currency', why, '/plans');
  await refused(api, apply('2026-12-31&dryRun=true'), 'plan.currency', why, '/plans');
  await refused(
    api,
    apply('2027-01-15'),
    'plan.currency',
    /^The plan euros would be priced in USD: top, which/,
    '/plans',
  );
  await done(api, ...apply('2027-02-01'));
});

test('an account that was never billed gets another currency once its plans are called off', async (t) => {
  const api = await open(t);
  const from = '2026-11-01T00:00:00Z';
  await done(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'euros', from });
  await refused(
    api,
    ['PUT', '/api/v1/accounts/low', { currency: 'USD' }],
    'account.billed',
    'low cannot be billed in USD: its plan euros is priced in EUR',
    '/currency',
  );
  await done(api, 'DELETE', `/api/v1/subscriptions/low?at=${from}`);
  await currency(api, 'low', 'USD');
  await done(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'dollars' });
});

test('a coupon of an amount is given to accounts in its currency', async (t) => {
  const api = await open(t);
  await done(api, 'PUT', '/api/v1/billing/coupons/five', { amount: '5', currency: 'USD' });
  const give = ['POST', '/api/v1/billing/discounts', { account: 'low', coupon: 'five' }] as const;
  await refused(api, give, 'billing.invalid', 'coupon: five is of USD, low is billed in EUR', '/coupon');
  const put = (code: string) => ['PUT', '/api/v1/billing/coupons/five', { amount: '5', currency: code }] as const;
  await done(api, ...put('EUR'));
  await done(api, ...give);
  const why = 'currency: low, which has it, is billed in EUR';
  await refused(api, put('USD'), 'billing.invalid', why, '/currency');
});

/** As if top, in Germany, had been invoiced up to the day before yesterday. */
const taxed = async (t: TestContext) => {
  const api = await open(t);
  const tax = (body: object) => ['POST', '/api/v1/billing/taxes', { jurisdiction: 'DE', ...body }] as const;
  await done(api, ...tax({ percent: '19', from: '2026-01-01', to: '2027-07-01' }));
  await done(api, 'PUT', '/api/v1/accounts/top/billing-profile', 'jurisdiction: DE');
  const [first] = await api.context.control.billing.finalise([
    invoice(0, { account: 'top', from: START - 32 * DAY, to: START - 2 * DAY }),
  ]);
  assert.ok(first?.outcome === 'final');
  return { api, tax, invoice: first.invoice };
};

test('a rate that final invoices have is not changed or ended in their time, whatever is said', async (t) => {
  const { api, tax } = await taxed(t);
  const why = /^It would be another tax from 2026-11-01T12:00:00Z on, and top has a final invoice up to 2026-11-19T12/;
  const past = new Date(START - 20 * DAY).toISOString();
  await refused(api, tax({ percent: '16', from: past }), 'tax.billed', why, '/from');
  await refused(api, tax({ percent: '19', inclusive: true, from: past }), 'tax.billed', why, '/from');
  await refused(api, ['DELETE', `/api/v1/billing/taxes/DE?at=${past}`, undefined], 'tax.billed', why, '/from');
  const adjusted = await send(api, ...tax({ percent: '16', from: past, adjust: true }));
  assert.equal(adjusted.body.code, 'request.invalid');
  // Behind the invoices, and where no rate was that an invoice could have, one is set.
  await done(api, ...tax({ percent: '16', from: new Date(START - DAY).toISOString() }));
  await done(api, ...tax({ percent: '7', category: 'books', from: '2026-01-01' }));
  await done(api, ...tax({ percent: '19', from: '2025-01-01', to: '2026-01-01' }));
});

test('the same rate again, or one that another one goes before, changes no tax', async (t) => {
  const { api, tax } = await taxed(t);
  await done(api, ...tax({ percent: '19.0', from: '2026-01-01', to: '2027-07-01' }));
  await done(api, ...tax({ percent: '16', from: '2025-12-01', to: '2027-01-01' }));
});

test('once the invoices are void their rate can be corrected', async (t) => {
  const { api, tax, invoice: of } = await taxed(t);
  const past = new Date(START - 20 * DAY).toISOString();
  await api.context.control.billing.finalise([voiding(of)]);
  await done(api, ...tax({ percent: '16', from: past }));
});
