import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { MINUTE, START } from '../api/testing/api.ts';
import { settings } from '../config.ts';
import { Exit } from './io.ts';
import { buildProgram } from './program.ts';
import { withProgress } from './progress.ts';
import { grouped, near } from './quantity.ts';
import { common } from './serve.ts';
import { plain, table } from './table.ts';
import { openCli, run, terminal } from './testing/terminal.ts';

test('usage is a table for people and rows for programs', async (t) => {
  const { api, tollgate } = await openCli(t);
  await api.account('acme', null, 'Europe/Berlin');
  await api.append({ kind: 'owner', resource: 'nic1', account: 'acme', from: 0 });
  await api.readings(api.admin, 'host', 'nic1', [
    [START - 10 * MINUTE, 0],
    [START, 447_922_137],
  ]);
  api.clock.at = START + 1000;
  const shown = await tollgate(['usage', '--account', 'acme', '--meter', 'network.bytes.received']);
  assert.equal(shown.code, 0, shown.err);
  assert.match(shown.out, /^2026-11-21 00:00 to 2026-11-21 13:00, Europe\/Berlin\n/);
  assert.match(shown.out, /acme +nic1 +network\.bytes\.received +447,922,137 +bytes +447 MB +pending, open/);
  const rows = JSON.parse((await tollgate(['usage', '--json', '--meter', 'network.bytes.received'])).out);
  assert.deepEqual([rows[0].quantity, rows[0].unit, rows[0].state, rows[0].flags], ['447922137', 'By', 'pending', []]);
  const csv = await tollgate(['usage', '--csv', '--meter', 'network.bytes.received']);
  assert.match(csv.out, /^meter,from,to,account,resource,quantity/);
  const records = await tollgate(['usage', '--records', '--meter', 'network.bytes.received', '--json']);
  const explained = await tollgate(['explain', JSON.parse(records.out)[0].explain]);
  assert.equal(explained.code, 0, explained.err);
  assert.match(explained.out, /belongs to acme/);
  assert.match(explained.out, /447,922,137/);
});

test('nothing metered is said in words, with where to look', async (t) => {
  const { tollgate } = await openCli(t);
  const { code, out } = await tollgate(['usage']);
  assert.equal(code, 0);
  assert.match(out, /Nothing was metered/);
});

test('accounts, keys, resources, sources and meters are listed and changed', async (t) => {
  const { api, tollgate } = await openCli(t);
  const ok = async (...line: string[]): Promise<string> => {
    const ran = await tollgate(line);
    assert.equal(ran.code, 0, `${line.join(' ')}: ${ran.err}`);
    return ran.out;
  };
  await ok('accounts', 'create', 'acme', '--zone', 'Asia/Tokyo', '--currency', 'JPY');
  await ok('accounts', 'set', 'acme', '--state', 'suspended');
  assert.match(await ok('accounts'), /acme +Asia\/Tokyo +JPY +suspended/);
  await api.readings(api.admin, 'host/1', 'host/1/eth0', [[START, 1]]);
  await ok('resources', 'owner', 'host/1/eth0', 'acme', '--from', '2026-01-01');
  await ok('resources', 'set', 'host/1/eth0', '--traffic', 'storage', '--name', 'uplink');
  assert.match(await ok('resources', 'list'), /host\/1\/eth0 +uplink +acme +storage +no/);
  await ok('sources', 'set', 'host/1', '--completeness', 'declared');
  assert.match(await ok('sources'), /host\/1 .*declared/);
  const made = await tollgate(['keys', 'create', '--scope', 'ingest', '--source', 'host/*', '--name', 'rack']);
  assert.match(made.out, /^tg_[\w-]{43}\n$/, 'only the secret goes to standard output');
  assert.match(await ok('keys'), /rack +installation +ingest +host\/\*/);
  const id = /key_\w+/.exec(made.err)?.[0] ?? '';
  await ok('keys', 'revoke', id);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-cli-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'meter.json'), '{"key":"calls","eventType":"request","aggregation":"count"}');
  await ok('meters', 'create', join(dir, 'meter.json'));
  assert.match(await ok('meters'), /calls +delta +count +request/);
  await ok('meters', 'delete', 'calls');
});

test('events are sent from lines or an array, and what is not taken is named', async (t) => {
  const { tollgate } = await openCli(t);
  const event = (id: string, n: string) =>
    `{"specversion":"1.0","id":"${id}","source":"s","type":"t","subject":"c","data":{"n":${n}}}`;
  const sent = await tollgate(['events', 'send', '-'], `${event('1', '1')}\n\n${event('2', '12345678901234567890')}\n`);
  assert.equal(sent.code, 0, sent.err);
  assert.match(sent.out, /^2 accepted, 0 known before/);
  const mixed = await tollgate(['events', 'send', '-'], `[${event('1', '1')},\n{"id":"x"}]`);
  assert.equal(mixed.code, Exit.failure);
  assert.match(mixed.err, /event 2: specversion/);
});

test('the quarantine is listed and decided', async (t) => {
  const { tollgate } = await openCli(t);
  const event = (n: number) => `{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"n":${n}}}`;
  await tollgate(['events', 'send', '-'], `${event(1)}\n${event(2)}`);
  const listed = JSON.parse((await tollgate(['quarantine', 'list', '--json'])).out);
  assert.equal(listed[0].code, 'event.conflict');
  assert.equal((await tollgate(['quarantine', 'drop', String(listed[0].id), '--reason', 'a test'])).code, 0);
  assert.match((await tollgate(['quarantine'])).out, /Nothing is set aside/);
  const again = await tollgate(['quarantine', 'drop', String(listed[0].id)]);
  assert.equal(again.code, Exit.failure);
  assert.match(again.err, /\[quarantine.decided\]/);
});

test('events are voided, amended and sent in a set that is undone, and the audit log tells of it', async (t) => {
  const { api, tollgate } = await openCli(t);
  const ok = async (line: string[], stdin = ''): Promise<string> => {
    const ran = await tollgate(line, stdin);
    assert.equal(ran.code, 0, `${line.join(' ')}: ${ran.err}`);
    return ran.out;
  };
  const event = (id: string) =>
    `{"specversion":"1.0","id":"${id}","source":"s","type":"t","subject":"c","data":{"n":1}}`;
  const stored = async (): Promise<[string, number][]> => {
    const { body } = await api.call(api.admin, 'GET', '/api/v1/events?type=t');
    return body.map((e: { event: { id: string; data: { n: number } } }) => [e.event.id, e.event.data.n]).sort();
  };
  await ok(['events', 'send', '-'], `${event('1')}\n${event('2')}`);
  assert.match(await ok(['corrections']), /Nothing was corrected/);
  const of = (id: string) => ['--source', 's', '--id', id, '--reason', 'a typo'];
  assert.match(await ok(['corrections', 'void', ...of('1')]), /^Event 1 counts no more \(receipt \d+\)/);
  await ok(['corrections', 'amend', ...of('2'), '--data', '{"n":12345678901234567890}']);
  assert.match((await stored())[0]?.[0] ?? '', /^2#amends-/);

  assert.match(await ok(['corrections', 'sets']), /There are no sets/);
  await ok(['corrections', 'sets', 'open', 'march', '--reason', 'forgotten']);
  await ok(['events', 'send', '-', '--set', 'march'], event('3'));
  assert.equal((await stored()).length, 2);
  await ok(['corrections', 'sets', 'undo', 'march', '--reason', 'wrong file']);
  assert.match(await ok(['corrections', 'sets', 'list']), /march +undone/);
  assert.equal((await stored()).length, 1);

  await api.account('acme');
  const sent = await api.readings(api.admin, 'host', 'nic1', [[START, 5]]);
  const { first } = sent.body.receipts;
  await ok(['corrections', 'attribute', 'nic1', 'acme', '--from', '2026-01-01', '--reason', 'found out']);
  assert.match(await ok(['resources', 'list']), /nic1 +acme/);
  const reading = JSON.parse(await ok(['corrections', 'void', '--receipt', String(first), '--reason', 'x', '--json']));
  assert.deepEqual([reading.kind, reading.body.target], ['void', first]);
  const { series } = reading.body;
  const span = ['--from', '2026-01-01', '--to', '2026-01-02', '--reason', 'was off'];
  await ok(['corrections', 'unobserved', String(series), ...span]);

  const listed = await ok(['corrections', 'list']);
  assert.match(
    listed,
    /void .* a typo\n(?:.*\n)*.*set .*name=march state=undone.* wrong file\n(?:.*\n)*.*owner .*resource=nic1/,
  );
  assert.deepEqual(
    JSON.parse(await ok(['audit', '--limit', '2', '--json'])).map((c: { kind: string }) => c.kind),
    ['void', 'unobserved'],
  );
  assert.match(await ok(['audit', '--kind', 'account']), /account .*id=acme/);
  assert.match(await ok(['audit', '--since', '2026-11-22']), /Nothing was changed/);
  assert.match(await ok(['audit', '--since', '2026-11-21T11:00:00Z']), /key_/);

  const wrong = async (err: RegExp, ...line: string[]): Promise<void> => {
    const ran = await tollgate(line);
    assert.equal(ran.code, Exit.usage, `${line.join(' ')}: ${ran.err}`);
    assert.match(ran.err, err);
  };
  await wrong(/Name one fact/, 'corrections', 'void', '--id', '1', '--reason', 'x');
  await wrong(/no receipt number/, 'corrections', 'void', '--receipt', '1.5', '--reason', 'x');
  await wrong(/required option '--reason/, 'corrections', 'void', '--receipt', '1');
  await wrong(/Nothing to amend/, 'corrections', 'amend', ...of('2'));
  await wrong(/--limit/, 'audit', '--limit', 'all');
});

test('the job is run, watched and rerun', async (t) => {
  const { tollgate } = await openCli(t);
  assert.match((await tollgate(['job', 'status'])).out, /closed up to/);
  assert.equal((await tollgate(['job', 'run'])).code, 0);
  assert.equal((await tollgate(['job', 'runs'])).code, 0);
  const rerun = await tollgate(['job', 'rerun', '--from', '2026-11-21T00:00:00Z', '--to', '2026-11-21T01:00:00Z']);
  assert.match(rerun.out, /^Computed 0 records again/, rerun.err);
});

test('the doctor ends with 1 when something is a problem, and explains an account that shows nothing', async (t) => {
  const { api, tollgate } = await openCli(t);
  await api.account('acme');
  const well = await tollgate(['doctor']);
  assert.equal(well.code, 0, well.out);
  const poor = await tollgate(['doctor', '--account', 'acme']);
  assert.equal(poor.code, Exit.failure);
  assert.match(poor.out, /PROBLEM {2}account acme +it owns no resource now/);
});

test('an exported file is replayed without a server to the figures of the server', async (t) => {
  const { api, tollgate } = await openCli(t);
  await api.account('acme');
  await api.append({ kind: 'owner', resource: 'nic1', account: 'acme', from: 0 });
  await api.readings(api.admin, 'host', 'nic1', [
    [START - 20 * MINUTE, 0],
    [START, 2000],
  ]);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-cli-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'facts.ndjson');
  const exported = await tollgate([
    'export',
    '--from',
    '2026-11-21T11:30:00Z',
    '--to',
    '2026-11-21T12:00:00Z',
    '--out',
    file,
  ]);
  assert.equal(exported.code, 0, exported.err);
  const replayed = await run(['replay', file, '--json']);
  assert.equal(replayed.code, 0, replayed.err);
  const rows = JSON.parse(replayed.out) as { quantity: string; account: string }[];
  assert.deepEqual([rows.reduce((sum, r) => sum + BigInt(r.quantity), 0n), rows[0]?.account], [2000n, 'acme']);
  const table = await run(['replay', file]);
  assert.match(table.out, /^account +resource +meter +window +quantity/);
  writeFileSync(file, '{"kind":"nothing"}\n');
  const bad = await run(['replay', file]);
  assert.equal(bad.code, Exit.failure);
  assert.match(bad.err, /line 1: kind is none of/);
});

test('failures end with their code and say what to do next', async (t) => {
  const { url, api } = await openCli(t);
  const reader = await api.key(null, ['read']);
  const check = async (code: number, err: RegExp, ...args: string[]) => {
    const ran = await run(args);
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.err}`);
    assert.match(ran.err, err);
  };
  await check(Exit.usage, /unknown command/, 'usag');
  await check(Exit.usage, /--help/, 'usage', '--nonsense');
  await check(Exit.usage, /required option '--from/, 'job', 'rerun');
  await check(Exit.usage, /flag --url|is refused/, 'usage', '--url', 'x'.repeat(5000));
  await check(
    Exit.unreachable,
    /No server answers at http:\/\/127.0.0.1:1: .*\nIs it running\?/,
    'usage',
    '--url',
    'http://127.0.0.1:1',
    '--key',
    'k',
  );
  await check(Exit.unreachable, /No server has its data in .*\nStart one with/, 'usage', '--data-dir', '/nowhere');
  await check(Exit.refused, /not known.*\[auth.unknown_key\]/, 'usage', '--url', url, '--key', 'wrong');
  await check(Exit.refused, /scope admin/, 'keys', '--url', url, '--key', reader);
  await check(Exit.refused, /no key to show/, 'usage', '--url', url, '--data-dir', '/nowhere');
  await check(Exit.failure, /\[query.range\]/, 'usage', '--url', url, '--key', reader, '--from', 'noon');
});

test('no option of a command takes the place of one that every command knows', () => {
  const known = new Set([...[...common].map((name) => settings[name].flag), '--json']);
  const walk = (command: Command): string[] => [
    ...command.commands.flatMap(walk),
    ...(command.parent === null ? [] : command.options)
      .filter(({ long, hidden }) => long !== '--json' && !hidden && known.has(long ?? ''))
      .map(({ flags }) => `${command.name()} ${flags}`),
  ];
  assert.deepEqual(walk(buildProgram(terminal(), '9.9.9', () => undefined)), []);
});

test('a number that is none is refused before anything is asked', async (t) => {
  const { tollgate } = await openCli(t);
  for (const line of [
    ['check', 'acme', '--cost', 'many'],
    ['check', 'acme', '--cost', '9007199254740993'],
    ['accounts', 'addon', 'acme', 'ip', '--quantity', '2.5'],
    ['billing', 'coupons', 'set', 'c', '--percent', '5', '--periods', 'few'],
    ['sources', 'set', 'host', '--grace', 'x'],
    ['sources', 'set', 'host', '--settle-after', '-1'],
    ['usage', '--as-of', 'now'],
    ['invoices', 'runs', '--limit', 'x'],
    ['job', 'runs', '--limit', ''],
  ]) {
    const { code, err } = await tollgate(line);
    assert.equal(code, Exit.usage, `${line.join(' ')}: ${err}`);
    assert.match(err, /^tollgate: --[a-z-]+: ".*" is no whole number\n/);
  }
});

test('help and version end with 0', async () => {
  const help = await run(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.out, /Exit codes/);
  assert.deepEqual(await run(['--version']), { code: 0, out: '9.9.9\n', err: '' });
});

test('quantities are grouped exactly, and cut for the eye', () => {
  assert.equal(grouped('18446744073709551615.000000000001'), '18,446,744,073,709,551,615.000000000001');
  assert.equal(grouped('-1234'), '-1,234');
  const check = (quantity: string, expected: string) => assert.equal(near(quantity, 'By'), expected);
  check('999', '');
  check('1000', '1.00 kB');
  check('999999', '999 kB');
  check('447922137', '447 MB');
  check('18446744073709551615', '18.4 EB');
  check('1234567890123456789012345678', '1,234 YB');
  assert.equal(near('5000', '{packet}'), '');
});

test('nothing in a name can move the cursor, and columns line up around wide letters', () => {
  assert.equal(plain('a\u001b[2Jb\u0007'), 'a�[2Jb�');
  assert.equal(plain('x\u202e00.1 EUR\u2066'), 'x�00.1 EUR�');
  const text = table(
    [
      { a: '東京', b: '1' },
      { a: 'ab', b: '22' },
    ],
    [
      { title: 'a', cell: (r) => r.a },
      { title: 'n', cell: (r) => r.b, right: true },
    ],
  );
  assert.equal(text, 'a      n\n東京   1\nab    22\n');
});

test('progress is drawn on a terminal after a second, and taken away at the end', async () => {
  const io = { ...terminal(), interactive: true };
  let now = 0;
  io.now = () => now;
  io.sleep = async () => {
    now += 600;
    await new Promise((resolve) => setTimeout(resolve, 1));
  };
  let part = 0;
  const work = new Promise<string>((resolve) => {
    const tick = (): void => {
      part += 0.25;
      if (part < 1) setTimeout(tick, 5);
      else resolve('done');
    };
    tick();
  });
  assert.equal(await withProgress(io, work, async () => ({ part, text: 'closing' })), 'done');
  assert.match(io.written.err, /#+\.+ +\d+% {2}closing/);
  assert.ok(io.written.err.endsWith('\r\u001b[K'));
  await assert.rejects(
    withProgress(io, Promise.reject(new Error('no')), async () => ({ part: null, text: '' })),
    /no/,
  );
});
