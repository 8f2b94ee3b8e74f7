import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dataDirPath, LAYOUT_VERSION, openDataDir, type PlaceSettings, requireStored } from './data-dir.ts';
import { explainError } from './errors.ts';
import { processId } from './process-id.ts';
import { lockHolder, takeServerLock } from './server-lock.ts';

const temp = mkdtempSync(join(tmpdir(), 'tg-dir-'));
after(() => rmSync(temp, { recursive: true, force: true }));
const uid = process.getuid?.() ?? -1;
let folders = 0;
const folder = (): string => join(temp, `d${folders++}`);

/** Runs `code` with the modules of this folder in another process, which prints a line when it is ready. */
const other = async (code: string, as: { uid?: number; gid?: number } = {}): Promise<[ChildProcess, string]> => {
  const imports = ['data-dir', 'server-lock', 'errors'].map(
    (name) =>
      `const ${name.replace(/-./, (s) => s[1]?.toUpperCase() ?? '')} = await import(${JSON.stringify(new URL(`./${name}.js`, import.meta.url).href)});`,
  );
  const say = "const say = (line) => process.stdout.write(line + '\\n');";
  const child = spawn(process.execPath, ['--input-type=module', '-e', [...imports, say, code].join('\n')], {
    ...as,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return [child, line.toString().trim()];
};
const killed = async (child: ChildProcess): Promise<void> => {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
};
const hold = (root: string, flock: string): string =>
  `serverLock.takeServerLock(${JSON.stringify(`${root}/server.lock`)}, ${flock}); say('ready'); setInterval(() => {}, 1000);`;

test('the data directory is where the user says, else under /var/lib for root and under XDG for others', () => {
  const check = (more: Partial<PlaceSettings>, expected: string): void =>
    assert.equal(dataDirPath({ dataDir: '', uid: 1000, home: '/home/a', xdgDataHome: '', ...more }), expected);
  check({}, '/home/a/.local/share/tollgate');
  check({ xdgDataHome: '/data' }, '/data/tollgate');
  check({ xdgDataHome: 'relative' }, '/home/a/.local/share/tollgate');
  check({ uid: 0 }, '/var/lib/tollgate');
  check({ uid: 0, xdgDataHome: '/data' }, '/var/lib/tollgate');
  check({ dataDir: '/x/../y' }, '/y');
});

test('a new directory is made with its version, private to others but for walking through as root', () => {
  const root = join(folder(), 'a', 'b');
  const dir = openDataDir(root, uid);
  assert.equal(readFileSync(dir.layout.version, 'utf8'), `${LAYOUT_VERSION}\n`);
  assert.equal(statSync(root).mode & 0o777, uid === 0 ? 0o711 : 0o700);
  assert.equal(statSync(dir.layout.usage).mode & 0o777, 0o700);
  dir.release();
  openDataDir(root, uid).release();
});

test('a server that only reads wants a data directory, and says what else it found', () => {
  const stored = folder();
  openDataDir(stored, uid).release();
  requireStored(stored);
  const days = folder();
  mkdirSync(join(days, '2026-11-20'), { recursive: true });
  assert.throws(() => requireStored(days), /there is nothing to serve/);
  writeFileSync(join(days, '2026-11-20', 'manifest.json'), '{}');
  assert.throws(() => requireStored(days), /holds published days/);
  assert.throws(() => requireStored(join(temp, 'nowhere')), { code: 'store.nothing_stored' });
});

test('a directory of a newer version is refused and left alone', () => {
  const root = folder();
  mkdirSync(root);
  writeFileSync(join(root, 'version'), `${LAYOUT_VERSION + 1}\n`);
  assert.throws(() => openDataDir(root, uid), { code: 'store.newer_layout', message: /newer Tollgate/ });
  assert.equal(existsSync(join(root, 'server.lock')), false);
  writeFileSync(join(root, 'version'), 'something else');
  assert.throws(() => openDataDir(root, uid), { code: 'store.newer_layout' });
});

test('a path through a file is refused in words', () => {
  const file = folder();
  writeFileSync(file, '');
  for (const root of [file, join(file, 'below')])
    assert.throws(
      () => openDataDir(root, uid),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'store.not_writable');
        assert.match(explainError(error), /Cannot write to .* as .*uid \d+.*TOLLGATE_DATA_DIR/);
        return true;
      },
    );
});

test('a directory that belongs to another user is refused with the path, the user and what to do', {
  skip: uid !== 0 && 'only root can become another user',
}, async () => {
  const root = folder();
  chmodSync(temp, 0o755);
  openDataDir(root, 0).release();
  const [child, said] = await other(
    `try { dataDir.openDataDir(${JSON.stringify(root)}, 65534); say('opened'); } catch (e) { say(e.code + ' ' + errors.explainError(e)); }`,
    { uid: 65_534, gid: 65_534 },
  );
  assert.match(said, /^store\.not_writable Cannot write to .*d\d+ as .*65534.*: permission denied\. .*chown/);
  if (child.exitCode === null) await once(child, 'exit');
  chownSync(root, 0, 0);
});

for (const [kind, flock] of [
  ["the kernel's lock", '{}'],
  ['the announcement', '{ flock: [] }'],
] as const)
  test(`a second server is refused by ${kind} with the pid of the first, and takes over after kill -9`, async () => {
    const root = folder();
    mkdirSync(root);
    const lock = join(root, 'server.lock');
    const settings = flock === '{}' ? {} : { flock: [] };
    const [child] = await other(hold(root, flock));
    for (const mine of [{}, { flock: [] }])
      assert.throws(() => takeServerLock(lock, mine), {
        code: 'store.locked',
        message: new RegExp(`pid ${child.pid}`),
      });
    assert.equal(lockHolder(lock)?.pid, child.pid);
    await killed(child);
    assert.equal(lockHolder(lock), null);
    const taken = takeServerLock(lock, settings);
    assert.equal(lockHolder(lock)?.pid, process.pid);
    taken.release();
    assert.equal(lockHolder(lock), null);
    takeServerLock(lock, settings).release();
  });

test('a lock of a process whose number was given to another is no lock', () => {
  const root = folder();
  mkdirSync(root);
  const lock = join(root, 'server.lock');
  const parent = processId(process.ppid);
  assert.ok(parent);
  for (const stale of [
    { ...parent, start: '1' },
    { ...parent, boot: 'an earlier boot' },
  ]) {
    writeFileSync(lock, JSON.stringify(stale));
    takeServerLock(lock).release();
  }
  for (const torn of ['', '{"pid":', 'null', '[]', '{"pid":"1"}']) {
    writeFileSync(lock, torn);
    takeServerLock(lock).release();
  }
  writeFileSync(lock, JSON.stringify(parent));
  assert.throws(() => takeServerLock(lock), { code: 'store.locked' });
});

test('of servers that start at once never two go on', async () => {
  for (const flock of ['{}', '{ flock: [] }']) {
    const root = folder();
    mkdirSync(root);
    const code = `try { ${hold(root, flock)} } catch (e) { say(e.code); }`;
    const started = await Promise.all(Array.from({ length: 4 }, () => other(code)));
    const winners = started.filter(([, said]) => said === 'ready');
    assert.ok(winners.length <= 1, `${winners.length} hold the lock`);
    if (flock === '{}') assert.equal(winners.length, 1);
    for (const [, said] of started) assert.match(said, /^(ready|store\.locked)$/);
    for (const [child] of winners) await killed(child);
    takeServerLock(join(root, 'server.lock')).release();
  }
});
