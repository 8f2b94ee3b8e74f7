/** What is published works alone: each package packed, laid into an empty folder with only its declared dependencies, and used. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root } from './house/tree.ts';

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
}

const manifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')) as Manifest;

interface Packed {
  filename: string;
  files: { path: string }[];
}

const shelf = mkdtempSync(join(tmpdir(), 'tollgate-packed-'));
after(() => rmSync(shelf, { recursive: true, force: true }));

/** All that is published, packed once: most of the time is npm's start. */
const packAll = (): Map<string, Packed> => {
  const folders = ['event', 'agent', 'client'];
  const paths = folders.map((folder) => join(root, 'packages', folder));
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', shelf, ...paths];
  const told = execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return new Map((JSON.parse(told) as Packed[]).map((packed, i) => [folders[i] ?? '', packed]));
};
let packages: Map<string, Packed> | undefined;

/** Unpacks a workspace under node_modules of `dir`. Returns the names of the files in it. */
const lay = (folder: string, dir: string): string[] => {
  packages ??= packAll();
  const { filename, files } = packages.get(folder) ?? { filename: '', files: [] };
  const place = join(dir, 'node_modules', manifest(folder).name);
  mkdirSync(place, { recursive: true });
  execFileSync('tar', ['xzf', join(shelf, filename), '--strip-components=1', '-C', place]);
  return files.map((file) => file.path);
};

/** Lays an installed package that is not ours. It must need nothing in turn, or it would not be alone. */
const layForeign = (name: string, dir: string): void => {
  const from = join(root, 'node_modules', name);
  const { dependencies = {} } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as Manifest;
  assert.deepEqual(dependencies, {}, `${name} has dependencies of its own`);
  cpSync(from, join(dir, 'node_modules', name), { recursive: true });
};

/** `others`: our packages, by folder; `foreign`: those of others, by name. Together they are all it declares. */
const check = (
  folder: string,
  { others = [], foreign = [] }: { others?: readonly string[]; foreign?: readonly string[] },
  script: string,
  expected: string,
): void => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-alone-'));
  try {
    const files = lay(folder, dir);
    for (const other of others) lay(other, dir);
    for (const name of foreign) layForeign(name, dir);
    assert.deepEqual(
      Object.keys(manifest(folder).dependencies ?? {}).sort(),
      [...others.map((o) => manifest(o).name), ...foreign].sort(),
    );
    assert.ok(files.includes('dist/index.js') && files.includes('dist/index.d.ts'), files.join());
    assert.deepEqual(
      files.filter((path) => /\.test\.|tsbuildinfo|^src\//.test(path)),
      [],
      'no tests, sources or build state are shipped',
    );
    writeFileSync(join(dir, 'use.mjs'), script);
    assert.equal(
      execFileSync(process.execPath, [join(dir, 'use.mjs')], { encoding: 'utf8', cwd: dir }).trim(),
      expected,
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

test('the event package works alone', () =>
  check(
    'event',
    {},
    `import { encodeReadings, itemsOf } from '@tollgate/event';
     const batch = { source: 's', run: 'r', sequence: 1, sentAt: 1, series: [], readings: [], ended: [] };
     console.log(itemsOf(batch), encodeReadings(batch).length > 0);`,
    '0 true',
  ));

/** What the agent may declare: the protocol, and a reader of YAML that needs nothing itself. */
const beside = { others: ['event'], foreign: ['yaml'] };

test('the agent package works with the event package and yaml only', () =>
  check(
    'agent',
    beside,
    `import * as agent from '@tollgate/agent'; console.log(Object.keys(agent).length > 0);`,
    'true',
  ));

test(
  'the agent, packed and laid into an empty folder, sends one pass',
  {
    skip: process.platform !== 'linux' && 'needs linux',
  },
  () =>
    check(
      'agent',
      beside,
      `import { spawn } from 'node:child_process';
     import { createServer } from 'node:http';
     const server = createServer((request, response) => {
       let body = '';
       request.on('data', (part) => { body += part; });
       request.on('end', () => {
         const { source, series, readings } = JSON.parse(body);
         console.log(request.url, source, readings.length >= 4, series.some((s) => s.resource === 'host/alone/lo'));
         response.end('{"accepted":1,"duplicates":0,"conflicts":0,"rejected":0,"items":[],"receipts":null}');
       });
     });
     server.listen(0, '127.0.0.1', () => {
       const url = 'http://127.0.0.1:' + server.address().port;
       const main = new URL('node_modules/@tollgate/agent/dist/main.js', import.meta.url).pathname;
       const args = [main, '--once', '--url', url, '--source', 'host/alone'];
       const env = { PATH: process.env.PATH, TOLLGATE_KEY: 'tg_alone' };
       spawn(process.execPath, args, { env, stdio: 'ignore' }).on('exit', (code) => { console.log(code); server.close(); });
     });`,
      '/api/v1/readings host/alone true true\n0',
    ),
);

test('the client package works alone', () =>
  check(
    'client',
    {},
    `import * as client from '@tollgate/client'; console.log(Object.keys(client).length > 0);`,
    'true',
  ));
