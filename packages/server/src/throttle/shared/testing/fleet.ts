/** Processes that share a limit, started and killed at will, and what they wrote down. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SharedWork } from './sharing-process.ts';

const program = join(import.meta.dirname, 'sharing-process.js');

export interface Admitted {
  at: number;
  units: number;
  /** Of what is held: when it let go; Infinity: never did. */
  until: number;
}

export class SharingFleet {
  lives = 0;
  private readonly dir = mkdtempSync(join(tmpdir(), 'tg-sharing-'));
  private readonly work: Omit<SharedWork, 'file' | 'skewMs'>;
  private readonly children = new Map<number, ChildProcess>();

  constructor(work: Omit<SharedWork, 'file' | 'skewMs'>) {
    this.work = work;
  }

  start(slot: number, skewMs = 0): void {
    const file = join(this.dir, String(this.lives++));
    const args = [program, JSON.stringify({ ...this.work, skewMs, file } satisfies SharedWork)];
    this.children.set(slot, spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
  }

  async end(slot: number, signal: NodeJS.Signals): Promise<void> {
    const child = this.children.get(slot) as ChildProcess;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.signalCode === null && child.kill(signal)) await gone;
  }

  /** By time. A line that a kill cut short was never admitted to anybody. */
  admitted(): Admitted[] {
    return readdirSync(this.dir)
      .flatMap((name) => read(readFileSync(join(this.dir, name), 'utf8')))
      .sort((a, b) => a.at - b.at);
  }

  drop(): void {
    for (const child of this.children.values()) child.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function read(text: string): Admitted[] {
  const found: Admitted[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const [sign, at, units] = line.split(' ');
    if (sign === '+') found.push({ at: Number(at), units: Number(units), until: Number.POSITIVE_INFINITY });
    else {
      const open = found.find((one) => one.at === Number(at) && one.until === Number.POSITIVE_INFINITY);
      if (open !== undefined) open.until = Number(units);
    }
  }
  return found;
}
