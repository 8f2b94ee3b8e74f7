/** Real processes, a real disk and a real socket: kill -9, SIGTERM, and a server that misbehaves. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Mood, Sink } from './testing/sink.ts';
import { openUsage } from './usage.ts';

const isLong = process.env.CI === 'true';
const child = fileURLToPath(new URL('./testing/child.js', import.meta.url));

interface Line {
  at: number;
  until: number;
  added: Record<string, number>;
}
interface Interval {
  from: number;
  to: number;
}

/** Lives of a service on one spool; what they said they measured is the truth. */
class Lives {
  readonly sink = new Sink();
  readonly lines: Line[] = [];
  url = '';
  folder = '';

  async begin(): Promise<void> {
    this.url = await this.sink.listen();
    this.folder = await mkdtemp(join(tmpdir(), 'tollgate-kill-'));
  }

  /** Ends once it has said `measured` lines and its spool holds something: on a busy machine that takes longer. */
  async live(measured: number, signal: NodeJS.Signals, seed: number): Promise<number | NodeJS.Signals | null> {
    const process: ChildProcess = spawn(
      globalThis.process.execPath,
      [child, this.url, join(this.folder, 'spool'), String(seed)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const ended = new Promise<number | NodeJS.Signals | null>((done) =>
      process.once('exit', (code, by) => done(by ?? code)),
    );
    const lines = createInterface({ input: process.stdout as NodeJS.ReadableStream });
    const enough = this.lines.length + measured;
    lines.on('line', (line) => {
      const said = JSON.parse(line) as Partial<Line>;
      if (said.added !== undefined) this.lines.push(said as Line);
    });
    const read = new Promise((done) => lines.once('close', done));
    while (process.exitCode === null && (this.lines.length < enough || !(await this.hasWritten()))) await sleep(5);
    process.kill(signal);
    const how = await ended;
    await read;
    return how;
  }

  private async hasWritten(): Promise<boolean> {
    const spool = join(this.folder, 'spool');
    const names = await readdir(spool).catch(() => []);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(spool, name)).catch(() => null))?.size));
    return sizes.some((size) => (size ?? 0) > 0);
  }

  /** What is left in the spool is sent. Resolves to what the server was told is lost: a spool forgets what it was told. */
  async finish(): Promise<readonly Interval[]> {
    this.sink.mood = () => 'answer';
    const usage = await openUsage({
      url: this.url,
      key: 'k',
      source: 'test/child',
      spool: join(this.folder, 'spool'),
      startupDelayMs: 0,
      bucketMs: 1000,
    });
    usage.start();
    // Where all of an earlier life was acknowledged nothing waits but the report: a stop does not send it.
    while (usage.status().depth > 0 || usage.spool.untold.length > 0) await sleep(20);
    // The bucket that was open is sent by the end, however busy the machine is.
    await usage.stop(60_000);
    assert.equal(usage.status().depth, 0);
    // A crash between the report and the next flush has it told again.
    const told = new Map(this.sink.reports.flatMap(({ lost }) => lost.map((own) => [JSON.stringify(own), own])));
    return [...told.values()].map(({ from, to }) => ({ from: Date.parse(from), to: Date.parse(to) }));
  }

  /** Nothing is there that was not measured, and what is missing was measured in a reported interval. */
  check(lost: readonly Interval[]): void {
    const most = new Map<string, number>();
    const least = new Map<string, number>();
    for (const { at, until, added } of this.lines) {
      const isLost = lost.some(({ from, to }) => from <= until && at <= to);
      for (const [key, quantity] of Object.entries(added)) {
        most.set(key, (most.get(key) ?? 0) + quantity);
        if (!isLost) least.set(key, (least.get(key) ?? 0) + quantity);
      }
    }
    const totals = this.sink.totals();
    for (const [key, total] of most) {
      const own = totals.get(key) ?? 0;
      assert.ok(own <= total, `${key}: ${own} were delivered, ${total} measured`);
      assert.ok(
        own >= (least.get(key) ?? 0),
        `${key}: ${own} were delivered, at least ${least.get(key)} are in the log`,
      );
    }
    assert.deepEqual(this.sink.faults, []);
  }

  async end(): Promise<void> {
    await this.sink.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

const moods: Mood[] = ['answer', 'answer', 'busy', 'drop', 'take and drop', 'answer', 'stall'];

const withLives = async (work: (lives: Lives) => Promise<void>): Promise<void> => {
  const lives = new Lives();
  await lives.begin();
  try {
    await work(lives);
  } finally {
    await lives.end();
  }
};

test('kill -9 while a misbehaving server is published to: nothing twice, nothing lost but the reported spans', () =>
  withLives(async (lives) => {
    let turn = 0;
    lives.sink.mood = () => moods[turn++ % moods.length] as Mood;
    const rounds = isLong ? 12 : 2;
    for (let i = 0; i < rounds; i++) assert.equal(await lives.live(25 + ((i * 7) % 40), 'SIGKILL', i + 1), 'SIGKILL');
    const lost = await lives.finish();
    // A life that was killed before it wrote anything of its own has nothing to tell.
    assert.ok(lost.length >= 1 && lost.length <= rounds, `${lost.length} intervals of ${rounds} lives`);
    lives.check(lost);
    const { mode } = await stat(join(lives.folder, 'spool'));
    assert.equal(mode & 0o777, 0o700);
  }));

test('SIGTERM loses nothing, and what was acknowledged equals what was measured', () =>
  withLives(async (lives) => {
    assert.equal(await lives.live(30, 'SIGTERM', 7), 0);
    lives.check([]);
    const totals = lives.sink.totals();
    const truth = new Map<string, number>();
    for (const { added } of lives.lines)
      for (const [key, quantity] of Object.entries(added)) truth.set(key, (truth.get(key) ?? 0) + quantity);
    assert.deepEqual([...totals].sort(), [...truth].sort());
    assert.deepEqual(await lives.finish(), []);
  }));
