import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { AccountFact } from '../domain/control-fact.ts';
import { invoice } from '../store/contract/billing-cases.ts';
import { MINUTE, openApi, START, type TestApi } from './testing/api.ts';

const DAY = 1440 * MINUTE;
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const priced = `plans:
  - key: small
    billing: {currency: EUR, trial: 14 days, prices: [{key: base, fee: 10}]}
  - key: yearly
    billing: {currency: EUR, period: year, anchor: subscription, prices: [{key: base, fee: 100}]}
  - {key: plain, limits: [{key: calls, meter: requests, rate: 5 per second}]}
`;
const withLimit =
  'plans: [{key: limited, entitlements: [{key: sent, meter: network.bytes.sent, amount: 5, per: month, overage: allow}]}]';
const open = async (t: TestContext) => {
  const api = await openApi(t);
  await api.account('top', null, 'Europe/Berlin');
  await api.account('low', 'top', 'Europe/Berlin');
  await yaml(api, 'POST', '/api/v1/plans/apply', priced);
  return api;
};

const yaml = async (api: TestApi, method: Method, url: string, text: string) => {
  const answer = await api.call(api.admin, method, url, { raw: { body: text, type: 'application/yaml' } });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const call = async (api: TestApi, method: Method, url: string, body?: unknown) => {
  const answer = await api.call(api.admin, method, url, body === undefined ? {} : { body });
  assert.ok(answer.status < 300, answer.text);
  return answer.body;
};
const refused = async (api: TestApi, method: Method, url: string, body: unknown, code: string, detail = /./) => {
  const given =
    typeof body === 'string' ? { raw: { body, type: 'application/yaml' } } : body === undefined ? {} : { body };
  const answer = await api.call(api.admin, method, url, given);
  assert.equal(answer.body.code, code, answer.text);
  assert.match(answer.body.detail, detail);
};
/** As if all up to then had been invoiced. */
const bill = (api: TestApi, account: string, from: number, to: number) =>
  api.context.control.billing.finalise([invoice(0, { account, from, to })]);

test('the entity that bills is there from the beginning, and is changed by a text', async (t) => {
  const api = await open(t);
  const entities = async () => (await call(api, 'GET', '/api/v1/billing/entities')).items;
  assert.deepEqual(
    (await entities()).map((e: { key: string; receipt: number }) => [e.key, e.receipt]),
    [['default', 0]],
  );
  const text = 'name: Cloud GmbH\naddress: [Weg 1, 10115 Berlin]\nconventions: {due_days: 30}';
  const set = await yaml(api, 'PUT', '/api/v1/billing/entities', text);
  assert.deepEqual(
    [set.name, set.address, set.conventions.dueDays, set.conventions.rounding],
    ['Cloud GmbH', ['Weg 1', '10115 Berlin'], 30, 'half-up'],
  );
  await refused(
    api,
    'PUT',
    '/api/v1/billing/entities',
    'name: X\ncolour: red',
    'billing.invalid',
    /^2:1 colour: unknown field/,
  );
  await refused(
    api,
    'PUT',
    '/api/v1/billing/entities',
    '{key: ch, name: X}',
    'billing.invalid',
    /^invoice_prefix: the entity default has numbers that begin with INV- already/,
  );
  await yaml(api, 'PUT', '/api/v1/billing/entities', '{key: ch, name: X, invoice_prefix: R-, credit_prefix: G-}');
  assert.equal((await entities()).length, 2);
});

test('a number names one document for ever: no prefix is another one’s, now or as it was', async (t) => {
  const api = await open(t);
  const url = '/api/v1/billing/entities';
  const set = async (key: string, invoices: string, credits: string) => {
    const body = `{key: ${key}, name: X, invoice_prefix: ${invoices}, credit_prefix: ${credits}}`;
    const answer = await api.call(api.admin, 'PUT', url, { raw: { body, type: 'application/yaml' } });
    return answer.status === 200 ? 'ok' : answer.body.detail;
  };
  const both = await Promise.all([set('one', 'A-', 'B-'), set('two', 'C-', 'A-'), set('three', 'A-', 'D-')]);
  assert.deepEqual(
    both.map((said) => said === 'ok'),
    [true, false, false],
  );
  // As A-1 is followed by six digits, so A- is by seven one day.
  assert.equal(await set('two', 'C-', 'A-1'), 'credit_prefix: the entity one has numbers that begin with A- already');
  assert.equal(
    await set('one', 'E-', 'E-2'),
    '1:56 credit_prefix: meets that of invoices: a number would name two documents',
  );
  // What nothing was numbered with is free again.
  assert.equal(await set('one', 'E-', 'B-'), 'ok');
  assert.equal(await set('two', 'A-', 'C-'), 'ok');
  await api.context.control.billing.finalise([invoice(0, { account: 'top', entity: 'two', prefix: 'A-' })]);
  assert.equal(await set('two', 'F-', 'C-'), 'ok');
  assert.equal(await set('one', 'A-', 'B-'), 'invoice_prefix: the entity two has numbers that began with A-');
  assert.equal(await set('two', 'F-', 'A-'), 'credit_prefix: the entity two has numbers that began with A-');
  assert.equal(await set('two', 'A-', 'C-'), 'ok');
});

test('an account stays in the currency that it is billed in', async (t) => {
  const api = await open(t);
  const change = (id: string, currency: string) => ['PUT', `/api/v1/accounts/${id}`, { currency }] as const;
  const stays = (id: string, detail: RegExp) => refused(api, ...change(id, 'USD'), 'account.billed', detail);
  await call(api, ...change('low', 'USD'));
  await call(api, ...change('low', 'EUR'));
  await call(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'small' });
  await stays('low', /^low cannot be billed in USD: its plan small is priced in EUR/);
  await yaml(api, 'PUT', '/api/v1/accounts/low/billing-profile', 'payer: parent');
  await stays('top', /it pays for low, which is billed in EUR/);
  await call(api, 'PUT', '/api/v1/accounts/low', { name: 'Low', currency: 'EUR' });
  await bill(api, 'top', START - 9 * DAY, START - DAY);
  await stays('top', /it has final documents in EUR, such as INV-000001/);
  await stays('low', /top, who pays for it, is billed in EUR/);
  // Whoever got into another one all the same goes back.
  const top = api.context.log.book.account('top') as AccountFact;
  await api.context.log.append([{ ...top, currency: 'USD' }], { tenant: '', author: 'x', reason: '' });
  await call(api, ...change('top', 'EUR'));
});

test('a change of currency waits for a subscription that is being made, and is refused by it', async (t) => {
  const api = await open(t);
  const { billing } = api.context.control;
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const { lastFinalEnd } = billing;
  t.mock.method(billing, 'lastFinalEnd', async (ids: readonly string[]) => {
    await gate;
    return lastFinalEnd(ids);
  });
  const dated = { account: 'low', plan: 'small', from: new Date(START - DAY).toISOString() };
  const subscribed = api.call(api.admin, 'POST', '/api/v1/subscriptions', { body: dated });
  const moved = api.call(api.admin, 'PUT', '/api/v1/accounts/low', { body: { currency: 'USD' } });
  for (let i = 0; i < 50; i++) await setImmediate();
  go();
  const [first, second] = [await subscribed, await moved];
  assert.deepEqual([first.status, second.body.code], [201, 'account.billed']);
});

test('a profile says how an account is billed; a tenant reads its own and is not told who is above', async (t) => {
  const api = await open(t);
  const url = '/api/v1/accounts/low/billing-profile';
  assert.deepEqual((await call(api, 'GET', url)).payer, 'self');
  const set = await yaml(api, 'PUT', url, 'payer: parent\njurisdiction: DE');
  assert.deepEqual([set.paidBy, set.name, set.entity], ['top', 'low', 'default']);
  await refused(api, 'PUT', url, 'entity: nowhere', 'entity.unknown');
  await refused(api, 'PUT', url, 'email: none', 'billing.invalid', /^1:8 email/);
  await refused(api, 'PUT', '/api/v1/accounts/nobody/billing-profile', 'payer: self', 'account.unknown');
  const key = await api.key('low', ['read', 'admin']);
  const own = await api.call(key, 'GET', url);
  assert.deepEqual([own.status, own.body.payer, own.body.paidBy], [200, 'parent', undefined]);
  assert.equal(
    (await api.call(key, 'PUT', url, { raw: { body: 'payer: self', type: 'application/yaml' } })).status,
    403,
  );
  assert.equal((await api.call(key, 'GET', '/api/v1/accounts/top/billing-profile')).status, 404);
});

test('a rate of tax ends the one before it, and goes on under its name', async (t) => {
  const api = await open(t);
  const url = '/api/v1/billing/taxes';
  await call(api, 'POST', url, { jurisdiction: 'DE', percent: '19.0', name: 'USt', from: '2020-01-01' });
  await call(api, 'POST', url, { jurisdiction: 'DE', percent: '7', category: 'books', name: 'USt' });
  const { items } = await call(api, 'POST', url, { jurisdiction: 'DE', percent: '21', from: '2027-01-01' });
  assert.deepEqual(
    items.map((r: Record<string, unknown>) => [r.category, r.percent, r.name, r.to ?? '', r.ruling]),
    [
      ['', '19', 'USt', '2027-01-01T00:00:00Z', true],
      ['', '21', 'USt', '', false],
      ['books', '7', 'USt', '', true],
    ],
  );
  await refused(
    api,
    'POST',
    url,
    { jurisdiction: 'Germany', percent: '19' },
    'billing.invalid',
    /^jurisdiction: "Germany"/,
  );
  await refused(
    api,
    'POST',
    url,
    { jurisdiction: 'DE', percent: '119' },
    'billing.invalid',
    /^percent: "119" is more than 100 percent/,
  );
  await refused(api, 'DELETE', `${url}/AT`, undefined, 'tax.unknown');
  const ended = await call(api, 'DELETE', `${url}/DE?category=books`);
  assert.deepEqual(ended.items.at(-1).state, 'ended');
});

test('a coupon is offered, given to an account, and ended', async (t) => {
  const api = await open(t);
  const spring = await call(api, 'PUT', '/api/v1/billing/coupons/spring', {
    percent: '12.50',
    on: ['small', 'small/base'],
    periods: 3,
  });
  assert.deepEqual([spring.percent, spring.periods, spring.on.length], ['12.5', 3, 2]);
  await call(api, 'PUT', '/api/v1/billing/coupons/five', { amount: '5.00', currency: 'EUR' });
  for (const [body, detail] of [
    [{}, /^percent: a coupon states either/],
    [{ percent: '1', amount: '1', currency: 'EUR' }, /^percent: a coupon states either/],
    [{ percent: '101' }, /^percent: "101" is more than 100 percent/],
    [{ amount: '5' }, /^currency: a currency of ISO 4217/],
    [{ amount: '-5', currency: 'EUR' }, /^amount: "-5" is negative/],
    [{ amount: '5.001', currency: 'EUR' }, /^amount: EUR has 2 decimals: 5\.001/],
    [{ percent: '5', on: ['small/nope'] }, /^on\/0: there is no plan with prices, or price of a plan, "small\/nope"/],
    [{ percent: '5', on: ['plain'] }, /^on\/0/],
  ] as const)
    await refused(api, 'PUT', '/api/v1/billing/coupons/bad', body, 'billing.invalid', detail);

  const discounts = '/api/v1/billing/discounts';
  const given = await call(api, 'POST', discounts, { account: 'low', coupon: 'spring', to: '2026-12-31' });
  assert.deepEqual(
    [given.items[0].percent, given.items[0].to, given.items[0].state],
    ['12.5', '2026-12-30T23:00:00Z', 'current'],
  );
  await refused(api, 'POST', discounts, { account: 'low', coupon: 'winter' }, 'coupon.unknown');
  assert.equal((await call(api, 'DELETE', '/api/v1/billing/coupons/spring')).removed, true);
  await refused(api, 'POST', discounts, { account: 'top', coupon: 'spring' }, 'coupon.unknown');
  await call(api, 'POST', discounts, { account: 'top', coupon: 'five' });
  await call(api, 'PUT', '/api/v1/billing/coupons/yen', { amount: '500', currency: 'JPY' });
  const abroad = /^coupon: yen is of JPY, low is billed in EUR/;
  await refused(api, 'POST', discounts, { account: 'low', coupon: 'yen' }, 'billing.invalid', abroad);
  const tenant = await api.key('low', ['read']);
  const seen = (await api.call(tenant, 'GET', discounts)).body.items;
  assert.deepEqual(
    seen.map((d: { account: string }) => d.account),
    ['low'],
  );
  const ended = await call(api, 'DELETE', `${discounts}/low/spring`);
  assert.equal(ended.items[0].state, 'ended');
  await refused(api, 'DELETE', `${discounts}/low/spring`, undefined, 'discount.unknown');
});

test('an account has add-ons besides its plan; another quantity takes the place of the one before', async (t) => {
  const api = await open(t);
  const url = '/api/v1/billing/add-ons';
  await call(api, 'POST', url, { account: 'low', plan: 'small', quantity: 2 });
  api.clock.at += DAY;
  const { items } = await call(api, 'POST', url, { account: 'low', plan: 'small', quantity: 5 });
  assert.deepEqual(
    items.map((a: { quantity: number; state: string }) => [a.quantity, a.state]),
    [
      [2, 'ended'],
      [5, 'current'],
    ],
  );
  await refused(api, 'POST', url, { account: 'low', plan: 'plain' }, 'billing.invalid', /plain has no prices/);
  await refused(api, 'POST', url, { account: 'low', plan: 'none' }, 'plan.unknown');
  await refused(api, 'POST', url, { account: 'low', plan: 'small', quantity: 0 }, 'request.invalid');
  await refused(api, 'DELETE', `${url}/low/yearly`, undefined, 'addon.unknown');
  assert.equal((await call(api, 'DELETE', `${url}/low/small`)).items[1].state, 'ended');
});

test('a plan can begin and end with the period that runs, by the zone of the account', async (t) => {
  const api = await open(t);
  const url = '/api/v1/subscriptions';
  await refused(api, 'POST', url, { account: 'low', plan: 'small', at: 'period-end' }, 'subscription.unknown');
  await call(api, 'POST', url, { account: 'low', plan: 'small', from: '2026-11-10' });
  await refused(
    api,
    'POST',
    url,
    { account: 'low', plan: 'small', at: 'period-end', from: '2027-01-01' },
    'request.invalid',
  );
  const { items } = await call(api, 'POST', url, { account: 'low', plan: 'yearly', at: 'period-end' });
  assert.deepEqual(
    items.map((s: Record<string, string>) => [s.plan, s.from, s.to ?? '']),
    [
      ['small', '2026-11-09T23:00:00Z', '2026-11-30T23:00:00Z'],
      ['yearly', '2026-11-30T23:00:00Z', ''],
    ],
  );
  api.clock.at = START + 20 * DAY;
  const ended = await call(api, 'DELETE', `${url}/low?at=period-end`);
  // Years from the anchor, which is that of the first subscription.
  assert.equal(ended.items[1].to, '2027-11-09T23:00:00Z');
});

test('a subscription says until when it costs nothing, and keeps that when it is ended', async (t) => {
  const api = await open(t);
  const url = '/api/v1/subscriptions';
  const trial = async (body: object) =>
    (await call(api, 'POST', url, { account: 'low', plan: 'small', ...body })).items.at(-1).trialUntil;
  assert.equal(await trial({}), undefined);
  assert.equal(await trial({ from: '2026-12-01', trialUntil: '2026-12-24' }), '2026-12-23T23:00:00Z');
  assert.equal(await trial({ from: '2026-12-01', to: '2027-01-01' }), '2026-12-23T23:00:00Z');
  assert.equal(await trial({ from: '2026-12-02', trialUntil: 'none' }), null);
  const { items } = await call(api, 'DELETE', `${url}/low?at=2026-12-05`);
  assert.deepEqual(
    items.map((s: { trialUntil?: string }) => s.trialUntil),
    [undefined, '2026-12-23T23:00:00Z', null],
  );
});

test('what would reach into a final invoice is refused unless the next one is to adjust it', async (t) => {
  const api = await open(t);
  await call(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'small', from: '2026-09-01' });
  await call(api, 'PUT', '/api/v1/billing/coupons/c', { percent: '1' });
  await yaml(api, 'PUT', '/api/v1/accounts/low/billing-profile', 'payer: parent');
  // Paid by the account above.
  await bill(api, 'top', Date.UTC(2026, 8, 30, 22), Date.UTC(2026, 9, 31, 23));
  const past = '2026-10-15';
  const check = async (method: Method, url: string, body?: Record<string, unknown>) => {
    await refused(
      api,
      method,
      url,
      body,
      'subscription.billed',
      /a final invoice of top reaches up to 2026-10-31T23:00:00Z/,
    );
    await call(api, method, body === undefined ? `${url}&adjust=true` : url, body && { ...body, adjust: true });
  };
  await check('POST', '/api/v1/subscriptions', { account: 'low', plan: 'yearly', from: past });
  await check('POST', '/api/v1/billing/add-ons', { account: 'low', plan: 'small', from: past });
  await check('POST', '/api/v1/billing/discounts', { account: 'low', coupon: 'c', from: past });
  await yaml(api, 'POST', '/api/v1/plans/apply', withLimit);
  await call(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'limited', from: '2026-11-02' });
  await check('POST', '/api/v1/overrides', { account: 'low', key: 'sent', amount: '7', from: past });
  await check('DELETE', `/api/v1/overrides/low/sent?at=2026-10-20`);
  await check('DELETE', `/api/v1/billing/discounts/low/c?at=${past}`);
  await check('DELETE', `/api/v1/billing/add-ons/low/small?at=${past}`);
  await check('DELETE', `/api/v1/subscriptions/low?at=${past}`);
  // What lies behind the invoice is free, and so is who has none.
  await call(api, 'POST', '/api/v1/subscriptions', { account: 'low', plan: 'small', from: '2026-11-01' });
  await api.account('other', null);
  await call(api, 'POST', '/api/v1/subscriptions', { account: 'other', plan: 'small', from: past });
});

test('a plan is shown with its prices', async (t) => {
  const api = await open(t);
  const { billing } = await call(api, 'GET', '/api/v1/plans/small');
  assert.deepEqual([billing.currency, billing.trialDays, billing.anchor], ['EUR', 14, 'calendar']);
  assert.deepEqual(billing.prices[0], {
    key: 'base',
    name: 'base',
    kind: 'fee',
    tax: '',
    amount: '10',
    per: 'period',
    term: 'advance',
    prorate: true,
  });
  assert.equal((await call(api, 'GET', '/api/v1/plans/plain')).billing, undefined);
});
