import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { type TenantRule, tenantResolver } from './tenant.ts';
import { isName, Tenants } from './tenants.ts';

const asked = (rule: TenantRule | readonly TenantRule[], url: string, headers: Record<string, string> = {}) =>
  tenantResolver(rule)({ url, headers } as unknown as IncomingMessage, url);
const check = (rule: TenantRule, cases: readonly (readonly [string, string | undefined])[], header?: string): void => {
  for (const [value, expected] of cases) {
    const found = header ? asked(rule, '/', { [header]: value }) : asked(rule, value);
    assert.equal(found, expected, JSON.stringify(value));
  }
};

test('a path pattern takes one whole segment, decoded', () => {
  check({ path: '/t/<tenant>/...' }, [
    ['/t/acme/x?y', 'acme'],
    ['/t/acme/', 'acme'],
    ['/t/acme', 'acme'],
    ['/t/acme?x=/', 'acme'],
    ['/t/a%20b/', 'a b'],
    ['/t/%zz/', undefined],
    ['/t//x', undefined],
    ['/u/acme/', undefined],
    ['http://host/t/acme/x', 'acme'],
    ['*', undefined],
    ['', undefined],
  ]);
  check({ path: '/t/<tenant>/webapps/' }, [
    ['/t/acme/webapps/shop', 'acme'],
    ['/t/acme/other/', undefined],
    ['/t/acme', undefined],
  ]);
  check({ path: '/services/t/<tenant>/' }, [['/services/t/acme/Echo', 'acme']]);
});

test('a host pattern takes one label; port, case and a last dot do not matter', () => {
  const cases = [
    ['acme.example.com', 'acme'],
    ['ACME.example.com.:8080', 'acme'],
    ['a.b.example.com', undefined],
    ['example.com', undefined],
    ['.example.com', undefined],
    ['acme.example.org', undefined],
    ['[::1]:80', undefined],
  ] as const;
  check({ host: '<tenant>.example.com' }, cases, 'host');
  check(
    { hosts: { 'shop.test': 'acme', '[::1]': 'local' } },
    [
      ['Shop.test:80', 'acme'],
      ['[::1]:80', 'local'],
      ['__proto__', undefined],
    ],
    'host',
  );
});

test('a claim is read from the bearer token, whatever else is sent is no tenant', () => {
  const token = (claims: unknown) => `Bearer h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;
  const cases = [
    [token({ org: { id: 'acme' } }), 'acme'],
    [token({ org: { id: 7 } }), '7'],
    [token({ org: { id: 1.5 } }), undefined],
    [token({ org: { id: ['acme'] } }), undefined],
    [token({ org: null }), undefined],
    [token('org'), undefined],
    ['Bearer h.!!!.s', undefined],
    ['Bearer nothing', undefined],
    ['Basic abc', undefined],
    [`Bearer h.${'A'.repeat(20_000)}.s`, undefined],
  ] as const;
  check({ claim: 'org.id' }, cases, 'authorization');
  check({ claim: ['https://x.test/tenant'] }, [[token({ 'https://x.test/tenant': 'acme' }), 'acme']], 'authorization');
  check({ claim: 'constructor.name' }, [[token({}), undefined]], 'authorization');
});

test('the first rule that names a tenant wins', () => {
  const rules: TenantRule[] = [() => undefined, { header: 'X-Tenant' }, { path: '/t/<tenant>/' }];
  assert.equal(asked(rules, '/t/path/', { 'x-tenant': ' head ' }), 'head');
  assert.equal(asked(rules, '/t/path/', { 'x-tenant': '' }), 'path');
  assert.equal(asked([], '/t/path/'), undefined);
});

test('patterns that could never match are refused', () => {
  for (const rule of [
    { path: '/t/' },
    { path: '/t/<tenant>x/' },
    { path: 't/<tenant>/' },
    { host: 'a.<tenant>.<tenant>' },
  ])
    assert.throws(() => tenantResolver(rule), TypeError);
});

test('names are 1 to 128 bytes without control characters', () => {
  for (const good of ['a', 'x'.repeat(128), 'ü'.repeat(64), 'a b', '租户']) assert.ok(isName(good), good);
  for (const bad of ['', 'x'.repeat(129), 'ü'.repeat(65), 'a\nb', 'a\u0085b', '\ud800', 7, undefined])
    assert.ok(!isName(bad));
});

test('room is limited, and is given back by those not heard of for a while', () => {
  const tenants = new Tenants({ maxTenants: 2 }, (name) => ({ name }));
  const a = tenants.get('a');
  tenants.get('b');
  assert.equal(tenants.get('c').name, '');
  tenants.age();
  assert.equal(tenants.get('a'), a, 'known ones stay known');
  assert.equal(tenants.get('c').name, '');
  tenants.age();
  tenants.get('a');
  tenants.age();
  assert.equal(tenants.get('c').name, 'c', 'b was silent for two ages');
  assert.equal(tenants.get('a'), a);
  assert.deepEqual(tenants.unattributed, { invalid: 0, refused: 0, overflow: 2 });
  assert.equal(tenants.size, 2);
  assert.throws(() => new Tenants({ maxTenants: 0 }, () => 0), RangeError);
});
