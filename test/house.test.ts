/** The house: import arrows, bans, dead files, tenant columns, error codes, documents. The rules live in test/house/. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { existsSync, globSync } from './harness/glob.ts';
import {
  bannedCode,
  bannedSql,
  crossedArrows,
  deadFiles,
  impureDomain,
  namedPaths,
  placeNames,
  strayModules,
  tablesWithoutTenant,
} from './house/rules.ts';
import { parse } from './house/source.ts';
import { read, root, sources, tracked } from './house/tree.ts';

const all = sources();
const none = (complaints: readonly string[]): void => {
  if (complaints.length > 0) throw new Error(`${complaints.length} complaints\n${complaints.join('\n')}`);
};

test('imports run one way between the parts', () => none(crossedArrows(all)));

test('engines, HTTP and command line libraries are imported only where they belong', () => none(strayModules(all)));

test('domain is pure', () => none(impureDomain(all)));

test('clock, randomness, environment, console and floats are read only where the house allows', () =>
  none(bannedCode(all)));

test('SQL has no floats, no averages, no clock and no lots', () =>
  none(
    bannedSql([
      ...all,
      ...globSync(root, 'packages', /^(?!.*\/dist\/).*\.sql$/).map((path) => parse(path, `\`${read(path)}\``)),
    ]),
  ));

test('every source file is reached from an entry', () => {
  const scripts = [...read('package.json').matchAll(/build\/((?:test|bench)\/[\w/-]+)\.js/g)].map((m) => `${m[1]}.ts`);
  const bins = /^packages\/[^/]+\/src\/(index|main)\.ts$/;
  // A bench is started by its name: a file per question.
  const bench = /^bench\/[\w-]+\.ts$/;
  none(
    deadFiles(all, (path) => bins.test(path) || bench.test(path) || /\.test\.ts$/.test(path) || scripts.includes(path)),
  );
});

test('every table of the control store has a tenant column, or stands in the list of those that need none', async () => {
  const sql = all.filter((s) => /^packages\/server\/src\/store\/postgres\//.test(s.path)).map((s) => s.text);
  const files = globSync(root, 'packages/server/src/store/postgres', /\.sql$/).map(read);
  const without = [...sql, ...files].flatMap(tablesWithoutTenant);
  const { TABLES_WITHOUT_TENANT } = await import('tollgate/store/postgres/migrations.js');
  assert.deepEqual(without.sort(), [...TABLES_WITHOUT_TENANT].sort());
});

test('tracked files name no package registry and no path of one machine', () => {
  const textual = /\.(ts|js|json|md|sql|yml|yaml|toml)$|(^|\/)(\.npmrc|\.gitignore|run|LICENSE)$/;
  none(
    tracked()
      .filter((path) => textual.test(path) && existsSync(root, path))
      .flatMap((path) => placeNames(path, read(path))),
  );
});

test('the error codes of the registry and those of the reference page are the same', async () => {
  const { errors } = await import('tollgate/errors.js');
  const page = read('docs/reference/errors.md');
  const documented = [...page.matchAll(/^\|? ?`([a-z_]+\.[a-z_]+)`/gm)].map((m) => m[1]);
  assert.deepEqual(documented.sort(), Object.keys(errors).sort());
});

test('README and ARCHITECTURE name only files and folders that exist', () => {
  const documents = ['README.md', 'ARCHITECTURE.md'];
  none(
    documents.flatMap((document) =>
      namedPaths(read(document))
        .filter((path) => !existsSync(root, path))
        .map((path) => `${document} names ${path}, which is not there`),
    ),
  );
});

test('ARCHITECTURE names every folder of the server', () => {
  const page = read('ARCHITECTURE.md');
  const folders = serverFolders().filter((folder) => !folder.slice('packages/server/src/'.length).includes('/'));
  none(
    folders.filter((f) => !page.includes(`${f.split('/').at(-1)}/`)).map((f) => `ARCHITECTURE.md does not name ${f}`),
  );
});

test('every folder of the server says what it owns in a README of its own', () =>
  none(
    serverFolders()
      .filter((folder) => !existsSync(root, `${folder}/README.md`))
      .map((folder) => `${folder} has no README.md`),
  ));

const serverFolders = (): string[] => [
  ...new Set(
    all
      .filter((s) => s.path.startsWith('packages/server/src/') && s.path.split('/').length > 4)
      .map((s) => s.path.split('/').slice(0, -1).join('/')),
  ),
];
