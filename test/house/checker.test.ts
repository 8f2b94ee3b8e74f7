/** The checker is checked: each rule fails on a planted sample and lets a decent one pass. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bannedCode,
  bannedSql,
  codeBans,
  crossedArrows,
  deadFiles,
  impureDomain,
  namedPaths,
  placeNames,
  sqlBans,
  strayModules,
  tablesWithoutTenant,
} from './rules.ts';
import { parse } from './source.ts';

const DOMAIN = 'packages/server/src/domain/x.ts';
const STORE = 'packages/server/src/store/chdb/x.ts';

const check = (complaints: readonly string[], count: number, message?: RegExp): void => {
  assert.equal(complaints.length, count, complaints.join('\n'));
  if (message) assert.match(complaints[0] ?? '', message);
};

const plantedCode = [
  'const t = Date.now();',
  'const t = new Date();',
  'const t = new Date(5);',
  'const x = Math.random();',
  'const x = parseFloat(s);',
  'const x = Number.parseFloat(s);',
  "console.log('x');",
  'const port = process.env.PORT;',
];

/** Banned only where money is. */
const plantedMoney = [
  'const x = Number(minor);',
  'const x = Number.parseInt(text, 10);',
  'const x = parseInt(text);',
  'const s = x.toFixed(2);',
  'const s = x.toPrecision(3);',
  'const x = Math.round(y);',
  'const x = Math.floor(y * 100);',
  'const x = Math.ceil(y);',
  'const vat = 0.19;',
  'const half = (.5);',
  'const tiny = 1e-7;',
];
const MONEY = [
  'packages/server/src/domain/money/x.ts',
  'packages/server/src/domain/price/x.ts',
  'packages/server/src/billing/rate/model/x.ts',
];

test('every code ban fails on a planted sample', () => {
  for (const sample of plantedCode) assert.notEqual(bannedCode([parse(DOMAIN, sample)]).length, 0, sample);
  for (const { what } of codeBans)
    assert.ok(
      [...plantedCode, ...plantedMoney].some((s) => what.test(s)),
      `no sample for ${what.source}`,
    );
});

test('numbers that are not exact are found where money is, and nowhere else', () => {
  for (const sample of plantedMoney) {
    for (const path of MONEY) check(bannedCode([parse(path, sample)]), 1);
    check(bannedCode([parse(DOMAIN, sample)]), 0);
    check(bannedCode([parse('packages/server/src/billing/rate/x.test.ts', sample)]), 0);
  }
});

test('exact numbers, counts, instants and texts of decimals are no offence where money is', () => {
  const decent = [
    'const x = Number.isSafeInteger(count) && Number.POSITIVE_INFINITY > 5;',
    'const end = at < 10_000 ? parts[0].rest : tiers[1].upTo;',
    "const vat = '0.19'; // 0.19",
    'const at = minor / 100n + 10n ** 18n;',
    'const list = [...a, ...b].slice(0, 1e3);',
    'const days = `${3} of 1.5`;',
  ];
  for (const sample of decent) for (const path of MONEY) check(bannedCode([parse(path, sample)]), 0);
  check(bannedCode([parse('packages/server/src/domain/money/integer.ts', 'const n = Number(big);')]), 0);
});

test('a run may count and cut days, but not round or write floats', () => {
  const run = (sample: string): string[] => bannedCode([parse('packages/server/src/billing/run/x.ts', sample)]);
  check(run('const day = Math.floor(t / DAY) * DAY; const id = Number(ref);'), 0);
  check(run('const x = Math.round(y) * 1.5; const s = x.toFixed(2); const n = parseInt(s);'), 4);
});

const plantedSql = [
  'SELECT CAST(x AS Float64)',
  'SELECT toFloat64OrNull(x)',
  'SELECT avg(x) FROM t',
  "SELECT JSONExtractUInt(data, 'n')",
  "SELECT JSON_VALUE(data, '$.n')",
  'SELECT now()',
  'SELECT CURRENT_TIMESTAMP',
  'SELECT rand64()',
];

test('every SQL ban fails on a planted sample', () => {
  for (const sample of plantedSql)
    assert.notEqual(bannedSql([parse(STORE, `const q = \`${sample}\`;`)]).length, 0, sample);
  for (const { what } of sqlBans)
    assert.ok(
      plantedSql.some((s) => what.test(s)),
      `no sample for ${what.source}`,
    );
});

test('a ban names the line', () => check(bannedCode([parse(DOMAIN, '\n\nconst t = Date.now();')]), 1, /x\.ts:3: /));

test('a banned word in a comment or a string is no offence', () => {
  check(
    bannedCode([
      parse(DOMAIN, '// Date.now() is banned\n/* Math.random */ const s = "process.env";\nconst re = /Date.now/;'),
    ]),
    0,
  );
  check(bannedSql([parse(STORE, '// avg( is banned\nconst now = () => clock.now();')]), 0);
});

test('code inside a template is code, and text after it is text', () => {
  check(bannedCode([parse(DOMAIN, 'const s = `a ${Date.now()} b Math.random() ${`${Math.random()}`}`;')]), 2);
  check(bannedSql([parse(STORE, 'const q = `SELECT ${now()} FROM t WHERE x = avg(y)`;')]), 1, /avg/);
});

test('a quote inside a regular expression does not hide what follows', () =>
  check(
    bannedCode([
      parse(DOMAIN, 'const re = /[\'"`/]/; const t = Date.now();\nconst half = a / 2; const u = Math.random();'),
    ]),
    2,
  ));

test('configuration may read the environment, tests may do anything, the edge may read the clock', () => {
  check(bannedCode([parse('packages/server/src/config.ts', 'const e = process.env;')]), 0);
  check(bannedCode([parse('packages/server/src/domain/x.test.ts', 'console.log(Date.now());')]), 0);
  check(bannedCode([parse('packages/server/src/environment.ts', 'const now = () => Date.now();')]), 0);
  check(bannedCode([parse('packages/server/src/domain/environment.ts', 'const now = () => Date.now();')]), 1);
});

test('an import against the arrows is found in every form', () => {
  const forms = [
    "import { a } from '../usage/a.ts';",
    "import type { A } from '../usage/a.ts';",
    "import '../usage/a.ts';",
    "export { a } from '../usage/a.ts';",
    "export * from '../usage/a.ts';",
    "const a = await import('../usage/a.ts');",
    "import {\n  a,\n  b,\n} from '../usage/a.ts';",
    "new Worker(new URL('../usage/a.js', import.meta.url));",
  ];
  for (const form of forms)
    check(crossedArrows([parse('packages/server/src/ingest/x.ts', form)]), 1, /ingest must not import usage/);
});

test('each arrow that must not be is refused', () => {
  const bad: [from: string, specifier: string][] = [
    ['packages/event/src/x.ts', '../../server/src/domain/window.ts'],
    ['packages/agent/src/x.ts', '@tollgate/client'],
    ['packages/client/src/x.ts', '@tollgate/event'],
    ['packages/server/src/domain/x.ts', '../store/usage-store.ts'],
    ['packages/server/src/store/x.ts', '../ingest/x.ts'],
    ['packages/server/src/usage/x.ts', '../ingest/x.ts'],
    ['packages/server/src/usage/x.ts', '../api/x.ts'],
    ['packages/server/src/cli/x.ts', '../store/usage-store.ts'],
  ];
  for (const [from, specifier] of bad)
    check(crossedArrows([parse(from, `import { x } from '${specifier}';`)]), 1, /must not import/);
  check(
    crossedArrows([
      parse(
        'packages/server/src/usage/x.ts',
        "import type { W } from '../domain/window.ts';\nimport { z } from './z.ts';",
      ),
    ]),
    0,
  );
  check(crossedArrows([parse('packages/server/src/novel/x.ts', '')]), 1, /no import arrows/);
});

test('an engine imported outside its store is found', () => {
  check(strayModules([parse('packages/server/src/usage/x.ts', "import { Session } from 'chdb';")]), 1);
  check(strayModules([parse('packages/server/src/domain/x.ts', "import pg from 'pg';")]), 1);
  check(strayModules([parse('packages/server/src/usage/x.ts', "import fastify from 'fastify';")]), 1);
  check(strayModules([parse(STORE, "import { Session } from 'chdb';")]), 0);
});

test('domain that reaches for the disk is found', () =>
  check(impureDomain([parse(DOMAIN, "import { readFileSync } from 'node:fs';")]), 1));

test('a file that nothing reaches is found, also when only another dead file imports it', () => {
  const files = [
    parse('packages/server/src/main.ts', "import './a.ts';"),
    parse('packages/server/src/a.ts', 'export {};'),
    parse('packages/server/src/dead.ts', "import './dead2.ts';"),
    parse('packages/server/src/dead2.ts', 'export {};'),
  ];
  check(
    deadFiles(files, (path) => path.endsWith('main.ts')),
    2,
    /dead\.ts/,
  );
});

test('a registry host and a path of one machine are found', () => {
  check(placeNames('x', `"resolved": ${'"'}https://example.org/x.tgz"`), 1, /registry/);
  check(placeNames('x', `fetch('https://${'registry'}.example.org')`), 1, /registry/);
  check(placeNames('x', `const home = '/${'work'}/main';`), 1, /machine/);
  check(placeNames('x', 'see docs/work/ and https://example.org/work'), 0);
});

test('paths that a document names are read from its backticks', () =>
  assert.deepEqual(namedPaths('See `packages/server/src/domain/` and `npm test`, not packages/none.'), [
    'packages/server/src/domain/',
  ]));

test('a table without a tenant column is found', () => {
  const sql = 'CREATE TABLE a (\n  id int,\n  tenant text NOT NULL\n);\nCREATE TABLE IF NOT EXISTS b (\n  id int\n);';
  assert.deepEqual(tablesWithoutTenant(sql), ['b']);
});
