import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lockFolder } from './lock.ts';

const isLong = process.env.CI === 'true';
const WATCH_MS = 60;

const inFolder = async (work: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-lock-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** A lock of our parent, seen from another container: its pid says nothing. */
const elsewhere = (): string => `${process.ppid} 5 some-boot/pid:[1]\n`;
const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

const check = (name: string, content: () => string, isMoving: boolean, isTaken: boolean): void => {
  test(`a lock of ${name} is ${isTaken ? '' : 'not '}taken over`, () =>
    inFolder(async (folder) => {
      await writeFile(join(folder, 'lock'), content());
      await writeFile(join(folder, 'heartbeat'), 'x');
      const beating = setInterval(() => isMoving && void utimes(join(folder, 'heartbeat'), 1, performance.now()), 5);
      try {
        if (!isTaken) {
          await assert.rejects(lockFolder(folder, WATCH_MS), /in use by process/);
          assert.equal(await readFile(join(folder, 'lock'), 'utf8'), content());
          return;
        }
        const unlock = await lockFolder(folder, WATCH_MS);
        assert.match(await readFile(join(folder, 'lock'), 'utf8'), new RegExp(`^${process.pid} `));
        await unlock();
        assert.deepEqual(await readdir(folder), ['heartbeat']);
      } finally {
        clearInterval(beating);
      }
    }));
};

check('a living process', () => `${process.ppid}\n`, false, false);
check('another container that writes', elsewhere, true, false);
check('another container that writes nothing', elsewhere, false, true);
check('another boot, with a pid that lives now', () => `1 5 other-boot/pid:[4026531836]\n`, false, true);
check('our own pid, of a container before us', () => `${process.pid} 5 ${bootId()}/pid:[1]\n`, false, true);
check('our own pid in another container that writes', () => `${process.pid} 5 ${bootId()}/pid:[1]\n`, true, false);
check('a process that was another one', () => '1 12345678901\n', false, true);
check('nobody, as a machine that lost power leaves it,', () => '', false, true);

const told = (child: ChildProcess): Promise<unknown> => new Promise((done) => child.once('message', done));

test('of processes that start at once, on a dead lock or on none, one at most has the spool', () =>
  inFolder(async (root) => {
    const program = fileURLToPath(new URL('./testing/lock-child.js', import.meta.url));
    const children = Array.from({ length: 4 }, () => fork(program));
    await Promise.all(children.map(told));
    for (let round = 0; round < (isLong ? 200 : 20); round++) {
      const folder = join(root, String(round));
      await mkdir(folder);
      if (round % 2 === 0) await writeFile(join(folder, 'lock'), '1 12345678901\n');
      const answers = children.map(told);
      for (const child of children) child.send(folder);
      const holders = (await Promise.all(answers)).filter((has) => has === true).length;
      assert.ok(holders <= 1, `round ${round}: ${holders} have it`);
      if (round % 2 === 1) assert.equal(holders, 1);
    }
    for (const child of children) child.disconnect();
  }));
