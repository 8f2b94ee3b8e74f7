/** Embedded PostgreSQL on real processes: places, users, adoption, bad ends. The long form starts it in every odd way. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { layoutOf, openDataDir } from '../data-dir.ts';
import { readPidFile } from './cluster.ts';
import { openEmbeddedPostgres } from './control-postgres.ts';
import { EmbeddedPostgres, type EmbeddedSettings } from './embedded.ts';
import { findEngine, prepareEngine } from './engine.ts';
import { chooseServiceUser, makeWalkable, type UserSettings } from './service-user.ts';
import { fits, socketFolder } from './socket.ts';

const long = process.env.CI === 'true' ? false : 'long form';
const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;
const asRoot = uid === 0 ? false : 'only root can become another user';
const NOBODY = 65_534;
const temp = mkdtempSync(join(tmpdir(), 'tg-pg-'));
after(() => rmSync(temp, { recursive: true, force: true }));
let folders = 0;
const folder = (): string => join(temp, `d${folders++}`);
const quiet = (): void => undefined;

const settingsOf = (root: string, more: Partial<EmbeddedSettings> = {}): EmbeddedSettings => {
  const dir = openDataDir(root, uid);
  dir.release();
  return { layout: dir.layout, uid, gid, temp, run: temp, users: { wanted: 'nobody' }, log: quiet, ...more };
};

const query = async (server: EmbeddedPostgres, text: string): Promise<unknown[]> => {
  const client = new pg.Client({ ...server.connection, password: '' });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
};

/** Starts it in a process of its own, which prints the pid of PostgreSQL and waits. */
const elsewhere = async (root: string, as: { uid?: number; gid?: number } = {}): Promise<[ChildProcess, string]> => {
  const module = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  const code = `
    const { EmbeddedPostgres } = await import(${module('./embedded.js')});
    const { openDataDir } = await import(${module('../data-dir.js')});
    const { layout } = openDataDir(${JSON.stringify(root)}, process.getuid());
    const place = { temp: ${JSON.stringify(temp)}, run: ${JSON.stringify(temp)}, users: { wanted: 'nobody' } };
    const ids = { uid: process.getuid(), gid: process.getgid() };
    const server = await EmbeddedPostgres.start({ layout, ...ids, ...place, log: () => undefined });
    process.on('SIGTERM', () => server.stop().then(() => process.exit(0)));
    process.stdout.write(String(server.pid));
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    ...as,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return [child, line.toString()];
};
const ended = async (child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
};

test('PostgreSQL outlives a killed server, the next one adopts it, and a stop ends it cleanly', async () => {
  const root = folder();
  const [child, pid] = await elsewhere(root);
  await ended(child, 'SIGKILL');
  const server = await EmbeddedPostgres.start(settingsOf(root));
  assert.equal(server.wasAdopted, true);
  assert.equal(String(server.pid), pid);
  assert.deepEqual(await query(server, 'SELECT 1 AS one'), [{ one: 1 }]);
  const cluster = layoutOf(root).postgres;
  assert.equal(statSync(cluster).mode & 0o777, 0o700);
  assert.equal(statSync(server.socket).mode & 0o777, 0o700);
  assert.notEqual(statSync(cluster).uid, 0);
  await server.stop();
  assert.equal(readPidFile(cluster), null);
  assert.deepEqual(readdirSync(server.socket), []);
});

test('an adopted PostgreSQL that is killed is started again', { skip: long }, async () => {
  const root = folder();
  const [child] = await elsewhere(root);
  await ended(child, 'SIGKILL');
  const store = await openEmbeddedPostgres(settingsOf(root));
  const pid = readPidFile(layoutOf(root).postgres)?.pid;
  assert.ok(pid);
  // Several idle connections: each of them breaks, at a moment of its own.
  await Promise.all(Array.from({ length: 5 }, () => store.setMeta('a', 'b')));
  process.kill(pid, 'SIGKILL');
  // Its backends answer a moment longer than it lives: every call holds throughout, and in the end another one runs.
  const runsAnother = (): boolean => ![undefined, pid].includes(readPidFile(layoutOf(root).postgres)?.pid);
  for (let i = 0; i < 1000 && !runsAnother(); i++) {
    await store.setMeta('a', String(i));
    assert.equal(await store.meta('a'), String(i));
    assert.match((await store.health()).detail, /^PostgreSQL \d+/);
    await pause(10);
  }
  assert.equal(runsAnother(), true);
  assert.equal((await store.health()).writable, true);
  await store.close();
});

test('one that runs with other settings is stopped and started as it should be', { skip: long }, async () => {
  const root = folder();
  const [child, pid] = await elsewhere(root);
  await ended(child, 'SIGKILL');
  const said: string[] = [];
  // Another place for sockets is another command line.
  const run = folder();
  mkdirSync(run, { mode: 0o755 });
  const elsewhereToo = uid === 0 ? { run } : { layout: { ...layoutOf(root), root: `${root}/` } };
  const server = await EmbeddedPostgres.start({ ...settingsOf(root), log: (l) => said.push(l), ...elsewhereToo });
  if (uid === 0) {
    assert.equal(server.wasAdopted, false);
    assert.notEqual(String(server.pid), pid);
    assert.match(said.join('\n'), new RegExp(`stopping PostgreSQL \\(pid ${pid}\\)`));
  }
  await server.stop();
});

test('a pid file of a dead or foreign process, and a half made cluster, do not keep it from starting', {
  skip: long,
}, async () => {
  const root = folder();
  const settings = settingsOf(root);
  const { postgres } = settings.layout;
  mkdirSync(`${postgres}.new/base`, { recursive: true });
  writeFileSync(`${postgres}.new/PG_VERSION`, '18\n');
  await (await EmbeddedPostgres.start(settings)).stop();
  assert.equal(existsSync(`${postgres}.new`), false);
  for (const pid of [process.pid, 4_000_000, 1]) {
    writeFileSync(join(postgres, 'postmaster.pid'), `${pid}\n${postgres}\n1\n5432\n/nowhere\n\n`);
    chownSync(join(postgres, 'postmaster.pid'), statSync(postgres).uid, statSync(postgres).gid);
    const server = await EmbeddedPostgres.start(settings);
    assert.equal(server.wasAdopted, false);
    await server.stop();
  }
});

test('a cluster of another PostgreSQL version is refused by its numbers', { skip: long }, async () => {
  const settings = settingsOf(folder());
  mkdirSync(settings.layout.postgres, { mode: 0o700 });
  writeFileSync(join(settings.layout.postgres, 'PG_VERSION'), '17\n');
  await assert.rejects(EmbeddedPostgres.start(settings), { code: 'store.engine_version', message: /17.*18/ });
});

/** A clone as npm leaves it without install scripts, in a folder only its owner enters. */
const bareClone = (): { native: string; version: string } => {
  const clone = folder();
  mkdirSync(clone, { mode: 0o700 });
  const { native, version } = findEngine();
  cpSync(native, join(clone, 'native'), { recursive: true, verbatimSymlinks: true });
  const lib = join(clone, 'native', 'lib');
  for (const name of readdirSync(lib)) if (lstatSync(join(lib, name)).isSymbolicLink()) rmSync(join(lib, name));
  for (const name of readdirSync(join(clone, 'native', 'bin'))) chmodSync(join(clone, 'native', 'bin', name), 0o600);
  return { native: join(clone, 'native'), version };
};

test('a private clone without install scripts: programs are copied with their links, once', {
  skip: long,
}, async () => {
  const root = join(folder(), 'deep', 'data');
  const engine = bareClone();
  const said: string[] = [];
  const settings = settingsOf(root, { engine, log: (line) => said.push(line) });
  await (await EmbeddedPostgres.start(settings)).stop();
  assert.equal(said.filter((line) => /copying PostgreSQL/.test(line)).length, 1);
  await (await EmbeddedPostgres.start(settings)).stop();
  assert.equal(said.filter((line) => /copying PostgreSQL/.test(line)).length, 1);
  // A damaged copy is made again.
  writeFileSync(join(settings.layout.engine, engine.version, 'bin', 'initdb'), '');
  await (await EmbeddedPostgres.start(settings)).stop();
  assert.equal(said.filter((line) => /copying PostgreSQL/.test(line)).length, 2);
});

test('a plain user runs it in a directory of their own, also under a very long path', {
  skip: asRoot || long,
}, async () => {
  chmodSync(temp, 0o1777);
  const home = folder();
  mkdirSync(home);
  chownSync(home, NOBODY, NOBODY);
  const as = { uid: NOBODY, gid: NOBODY };
  for (const root of [join(home, 'data'), join(home, 'x'.repeat(120), 'data')]) {
    const [child, pid] = await elsewhere(root, as);
    assert.match(pid, /^\d+$/);
    assert.equal(statSync(layoutOf(root).postgres).uid, NOBODY);
    await ended(child, 'SIGTERM');
    assert.equal(readPidFile(layoutOf(root).postgres), null);
  }
});

test('programs that cannot run anywhere are refused with what they said', { skip: long }, () => {
  const { native, version } = bareClone();
  writeFileSync(join(native, 'bin', 'postgres'), '#!/bin/sh\necho broken >&2; exit 3\n');
  const self = { name: 'me', uid, gid, self: true };
  assert.throws(() => prepareEngine({ native, version }, join(folder(), 'engine'), self, quiet), {
    code: 'store.engine_unusable',
    message: /broken/,
  });
});

test('as root the service user is the wanted one, else a new one, else nobody; the owner of a cluster stays', () => {
  const passwd = folder();
  writeFileSync(
    passwd,
    'root:x:0:0::/root:/bin/sh\ntollgate:x:990:991::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n',
  );
  const settings: UserSettings = { uid: 0, gid: 0, wanted: 'tollgate', useradd: '', passwd };
  const check = (
    more: Partial<UserSettings>,
    expected: [string, number, number, boolean],
    cluster = '/nowhere',
  ): void => {
    const user = chooseServiceUser({ ...settings, ...more }, cluster, quiet);
    assert.deepEqual([user.name, user.uid, user.gid, user.self], expected);
  };
  check({}, ['tollgate', 990, 991, false]);
  check({ wanted: 'other' }, ['nobody', 65_534, 65_534, false]);
  check({ wanted: 'other', useradd: 'no-such-command' }, ['nobody', 65_534, 65_534, false]);
  check({ wanted: 'other', passwd: '/nowhere' }, ['nobody', 65_534, 65_534, false]);
  check({ wanted: 'root' }, ['nobody', 65_534, 65_534, false]);
  check({ uid: 1234, gid: 5 }, ['uid 1234', 1234, 5, true]);
  const cluster = folder();
  mkdirSync(cluster);
  if (uid === 0) {
    chownSync(cluster, 990, 5);
    check({ wanted: 'other' }, ['tollgate', 990, 5, false], cluster);
    assert.throws(() => check({ uid: 1234 }, ['', 0, 0, true], cluster), {
      code: 'store.not_writable',
      message: /tollgate/,
    });
  }
});

test('a new system user is made by useradd, looked for in the sbin folder too', () => {
  const passwd = folder();
  const useradd = folder();
  writeFileSync(passwd, 'root:x:0:0::/:\n');
  writeFileSync(useradd, `#!/bin/sh\nfor last; do :; done; echo "$last:x:777:778::/:" >> ${passwd}\n`, { mode: 0o755 });
  const user = chooseServiceUser({ uid: 0, gid: 0, wanted: 'tollgate', useradd, passwd }, '/nowhere', quiet);
  assert.deepEqual(user, { name: 'tollgate', uid: 777, gid: 778, self: false });
});

test('folders of ours are opened for walking where they must be, those of others are not touched', {
  skip: asRoot,
}, () => {
  const user = { name: 'nobody', uid: NOBODY, gid: NOBODY, self: false };
  const [outer, inner] = [folder(), 'inner'];
  mkdirSync(join(outer, inner), { recursive: true });
  chmodSync(outer, 0o700);
  const said: string[] = [];
  makeWalkable(join(outer, inner), user, (line) => said.push(line));
  assert.equal(statSync(outer).mode & 0o777, 0o711);
  assert.ok(said.some((line) => line.includes(outer)));
  chmodSync(outer, 0o700);
  chownSync(outer, 4242, 4242);
  assert.throws(() => makeWalkable(join(outer, inner), user, quiet), {
    code: 'store.not_writable',
    message: new RegExp(outer),
  });
  assert.equal(statSync(outer).mode & 0o777, 0o700);
});

test("the socket's folder is short and private, and never somebody else's", () => {
  const self = { name: 'me', uid, gid, self: true };
  const root = join(temp, 'x'.repeat(100));
  const place = { root, uid: uid === 0 ? 1 : uid, run: temp, temp };
  const path = socketFolder(place, self, quiet);
  assert.ok(fits(path));
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(socketFolder(place, self, quiet), path);
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
  assert.throws(() => socketFolder(place, self, quiet), { code: 'store.not_writable', message: /in the way/ });
  rmSync(path);
  if (uid !== 0) return;
  mkdirSync(path);
  chownSync(path, 4242, 4242);
  assert.throws(() => socketFolder(place, { ...self, uid: 4343 }, quiet), { code: 'store.not_writable' });
});

test('the programs come from the package of this platform', () => {
  const { native, version } = findEngine();
  assert.match(version, /^18\./);
  assert.ok(JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')));
});
