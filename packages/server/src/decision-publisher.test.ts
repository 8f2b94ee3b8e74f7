/** Usage of decisions on its way into this process' own ingest: what a life lost is unobserved, not zero. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realRandomness } from '@tollgate/agent';
import { MINUTE, openApi } from './api/testing/api.ts';
import { openDecisionPublisher } from './decision-publisher.ts';
import { DECISIONS } from './throttle/decided-usage.ts';

/** The lock names this very process, which lives: whoever opened the copy would look for seconds whether it moves. */
const isUnlocked = (path: string): boolean => !path.endsWith('/lock');

test('what a killed life had counted and not written is unobserved for the source of decisions', async (t) => {
  const api = await openApi(t);
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-decisions-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { ingest, log } = api.context;
  assert.ok(ingest !== null);
  // Time passes by being slept.
  const sleep = async (ms: number): Promise<void> => {
    await new Promise(setImmediate);
    api.clock.at += ms;
  };
  const clock = { now: () => api.clock.now(), elapsed: () => api.clock.elapsed(), sleep };
  const door = { ...api.context, ingest, clock };
  const open = (spool: string) => openDecisionPublisher(door, join(dir, spool), realRandomness, () => undefined);
  const until = async (isSo: () => boolean): Promise<void> => {
    for (let turn = 0; turn < 1000 && !isSo(); turn++) await new Promise(setImmediate);
  };
  const first = await open('a');
  first.recorder.add({ meter: 'units', subject: 'decisions/acme' }, 4);
  await first.spool.flush();
  // What a kill now would leave on the disk.
  cpSync(join(dir, 'a'), join(dir, 'b'), { recursive: true, filter: isUnlocked });
  first.recorder.add({ meter: 'units', subject: 'decisions/acme' }, 1);
  api.clock.at += MINUTE;
  const second = await open('b');
  const { lost } = second.status();
  assert.equal(lost.length, 1);
  second.start();
  await until(() => log.book.lostBy('', DECISIONS).length > 0);
  await second.stop();
  const known = log.book.lostBy('', DECISIONS);
  assert.deepEqual(
    known.map(({ from, to }) => [from, to]),
    lost.map(({ from, to }) => [from, to]),
  );
  assert.equal(api.context.spools.get(JSON.stringify(['', DECISIONS])), 1);
  await first.stop(0);
});
