/** Descriptors that name an account: what its limits leave behind, and what is answered when they are not known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailMode } from '../../domain/limit/limit.ts';
import { entry, world } from './testing/rls-world.ts';

test('what is decided on accounts is told, descriptor by descriptor, and what is asked of rules is not', async () => {
  const { limits, told: heard } = world();
  const check = async (expected: string[], ...descriptors: [string, number][]): Promise<void> => {
    heard.splice(0);
    const list = descriptors.map(([text, hits]) => ({
      entries: text.split(' ').map((one) => entry(one)),
      limit: null,
      hitsAddend: String(hits),
    }));
    await limits.answer({
      domain: list[0]?.entries[0]?.key === 'user' ? 'shop' : 'tollgate',
      descriptors: list,
      hitsAddend: 0,
    });
    assert.deepEqual(heard, expected);
  };
  const [call, login, trial] = ['account=acme action=call', 'account=acme action=login', 'account=acme action=try'];
  await check(['acme call 3: admitted calls 3/4'], [call, 3]);
  await check(['acme try 2: admitted rehearsed 2/2', 'acme call 0: admitted calls 3/4'], [trial, 2], [call, 0]);
  await check(['acme try 1: admitted rehearsed 2/2 shadowed rehearsed'], [trial, 1]);
  await check(
    ['acme call 2: limit.reached calls 3/4', 'acme try 1: limit.together another descriptor of the call was refused'],
    [call, 2],
    [trial, 1],
  );
  await check(['acme call 5: limit.too_large calls 3/4'], [call, 5]);
  await check(
    [
      'acme call 1: limit.together another descriptor of the call was refused',
      'acme login 1: action.blocked Please call us.',
    ],
    [call, 1],
    [login, 1],
  );
  await check([], ['user=a', 1]);
});

test('two descriptors of one account share its limit, and both are refused by it', async () => {
  const { limits, told: heard } = world();
  const of = (hits: string) => ({ entries: ['account=acme', 'action=call'].map(entry), limit: null, hitsAddend: hits });
  const ask = (...descriptors: ReturnType<typeof of>[]) =>
    limits.answer({ domain: 'tollgate', descriptors, hitsAddend: 0 });
  await ask(of('1'));
  assert.equal((await ask(of('3'), of('1'))).overallCode, 'OVER_LIMIT');
  assert.deepEqual(heard.slice(1), ['acme call 3: limit.reached calls 1/4', 'acme call 1: limit.reached calls 1/4']);
});

test('of two accounts that are both at their limits each is refused by its own', async () => {
  const { limits, told: heard } = world();
  const of = (account: string, hits: string) => ({
    ...{ entries: [`account=${account}`, 'action=call'].map(entry), limit: null },
    hitsAddend: hits,
  });
  const ask = (hits: string) =>
    limits.answer({ domain: 'tollgate', descriptors: [of('acme', hits), of('bolt', hits)], hitsAddend: 0 });
  await ask('4');
  await ask('1');
  assert.deepEqual(heard.slice(2), ['acme call 1: limit.reached calls 4/4', 'bolt call 1: limit.reached calls 4/4']);
});

test('what is not known within a proxy’s patience is answered by the fail mode', async () => {
  const check = async (fail: FailMode, expected: string): Promise<void> => {
    const { limits, waits, told: heard } = world({ away: true, fail });
    const entries = ['account=acme', 'action=call'].map(entry);
    const request = { domain: 'tollgate', descriptors: [{ entries, limit: null, hitsAddend: null }], hitsAddend: 1 };
    const codes: string[] = [];
    for (let i = 0; i < 4; i++) codes.push((await limits.answer(request)).overallCode);
    assert.equal(codes.map((code) => (code === 'OK' ? '+' : '-')).join(''), expected, fail.mode);
    assert.ok(waits.length > 0 && Math.max(...waits) < 20, `waited ${waits}`);
    assert.equal(
      heard.map((text) => (/ admitted/.test(text) ? '+' : / limit.unknown calls/.test(text) ? '-' : text)).join(''),
      expected,
    );
  };
  await check({ mode: 'closed' }, '----');
  await check({ mode: 'open' }, '++++');
  await check({ mode: 'last' }, '++++');
  await check({ mode: 'bounded', amount: 2 }, '++--');
});
