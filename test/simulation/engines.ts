/**
 * The real stores under the simulation. Virtual time stands still while an engine works, so that a seed does the same
 * whatever the machine's speed. One per process: the embedded usage store holds one directory per process.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openChdb } from 'tollgate/store/chdb/usage-chdb.js';
import { openDataDir } from 'tollgate/store/data-dir.js';
import { openEmbeddedPostgres } from 'tollgate/store/postgres/control-postgres.js';
import { type Disk, GROUPS } from './machine.ts';
import type { VirtualTime } from './time.ts';

export interface RealDisk extends Disk {
  /** The stores hold this simulation's time still from now on. */
  attach(time: VirtualTime): void;
  close(): Promise<void>;
}

export const openRealDisk = async (): Promise<RealDisk> => {
  const root = mkdtempSync(join(tmpdir(), 'tollgate-sim-'));
  chmodSync(root, 0o711);
  const uid = process.getuid?.() ?? -1;
  const { layout, release } = openDataDir(join(root, 'data'), uid);
  const control = await openEmbeddedPostgres({
    layout,
    uid,
    gid: process.getgid?.() ?? -1,
    temp: tmpdir(),
    groups: GROUPS,
    log: () => undefined,
  });
  const usage = await openChdb({ directory: layout.usage });
  let time: VirtualTime | undefined;
  const hold = <T>(work: () => Promise<T>): Promise<T> => (time ? time.real(work) : work());
  return {
    usage: holding(usage, hold),
    control: holding(control, hold),
    dir: join(root, 'identities'),
    attach: (attached) => {
      time = attached;
    },
    close: async () => {
      time = undefined;
      await usage.close();
      await control.close();
      release();
      rmSync(root, { recursive: true, force: true });
    },
  };
};

type Hold = <T>(work: () => Promise<T>) => Promise<T>;

/** Every promise and every step of an iteration goes through `hold`. */
const holding = <T extends object>(inner: T, hold: Hold): T =>
  new Proxy(inner, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => held(member.apply(target, args), hold);
    },
  });

const held = (result: unknown, hold: Hold): unknown => {
  if (result instanceof Promise) return hold(() => result);
  if (typeof result !== 'object' || result === null) return result;
  if (Symbol.asyncIterator in result) return steps(result as AsyncIterable<unknown>, hold);
  // A writer: its commit is the work.
  return 'commit' in result ? holding(result, hold) : result;
};

async function* steps(inner: AsyncIterable<unknown>, hold: Hold): AsyncIterable<unknown> {
  const iterator = inner[Symbol.asyncIterator]();
  for (let step = await hold(() => iterator.next()); !step.done; step = await hold(() => iterator.next()))
    yield step.value;
}
