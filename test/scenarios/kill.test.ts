/**
 * Kill -9 at random points, while events and readings come in and while the job runs. At the end every acknowledged
 * event is counted in exactly one record, every counter's records sum to last minus first, and the records are the same
 * after a clean restart and after computing them again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, get, post } from '../http.ts';
import { isLong, LONG_FORM, needs } from '../needs.ts';
import { type Launched, launchServer, makeDataDir, removeDataDir, type Server, withContext } from '../server.ts';
import { Lots } from '../simulation/lots.ts';
import { iso, runJob, usageRows, wholeSum } from '../usage.ts';
import { EVENT_TYPE, EventPublisher, ReadingPublisher } from './publishers.ts';

const KILLS = isLong ? 60 : 2;
const HOUR = 3_600_000;
/** How much of the past the counters play. */
const PLAYED = (isLong ? 24 : 4) * HOUR;
const seed = Number(process.env.TOLLGATE_TEST_SEED ?? Date.now() % 1_000_000);

test(`every acknowledged event is counted once after ${KILLS} kills (seed ${seed})`, {
  skip: isLong ? needs('linux') : LONG_FORM,
}, async () => {
  const lots = new Lots(seed);
  const dataDir = makeDataDir();
  // Hours ago, on the grid: the job closes windows from the first run on, and late events rewrite closed ones.
  const from = Math.floor((Date.now() - 30 * HOUR) / HOUR) * HOUR;
  const to = from + PLAYED;
  let server: Launched | undefined;
  let up = false;
  let stopped = false;
  const target = { server: () => (up ? server : undefined), stopped: () => stopped };
  const start = async (): Promise<Launched> => {
    server = await launchServer({ dataDir, env: { TOLLGATE_JOB_SECONDS: '1' } });
    return server;
  };
  try {
    const first = await start();
    await first.ready;
    up = true;
    await post(first, '/api/v1/meters', {
      slug: 'kill_work',
      name: 'Work',
      aggregation: 'SUM',
      eventType: EVENT_TYPE,
      valueProperty: '$.value',
    });
    const events = Array.from(
      { length: 3 },
      (_, n) => new EventPublisher(`p${n}`, lots.branch(), from + HOUR, 2 * HOUR),
    );
    const step = isLong ? 240_000 : 600_000;
    const readings = Array.from({ length: 2 }, (_, n) => new ReadingPublisher(`m${n}`, lots.branch(), from, step, 20));
    const work = Promise.all([...events.map((p) => p.run(target)), ...readings.map((p) => p.run(target, to + HOUR))]);
    work.catch(() => {
      stopped = true;
    });

    for (let kills = 0; kills < KILLS && !stopped; kills++) {
      // One in five dies while it starts, one in five at once, the others somewhere in the work.
      const current = server;
      assert.ok(current);
      if (kills % 5 === 4) await wait(lots.int(50, 700));
      else {
        await current.ready;
        up = true;
        await wait(kills % 5 === 3 ? lots.int(0, 50) : lots.int(200, 1800));
      }
      up = false;
      await current.kill();
      await start();
    }
    await server?.ready;
    up = true;
    // The counters are played to the end, then everybody stops with nothing unanswered but what was given up.
    await Promise.race([work, eventually(async () => readings.every((p) => p.through >= to), Boolean, 300_000)]);
    stopped = true;
    await work;
    assert.ok(server);
    await compare(server, events, readings, from, to);
    const before = await bytes(server, from, to);
    await server.stop();

    const again = await start();
    await again.ready;
    assert.deepEqual(await bytes(again, from, to), before, 'a clean restart changes no record');
    await post(again, '/api/v1/job/rerun', { from: iso(from), to: iso(to) });
    const rerun = await eventually(
      () => get<{ state: string; error: string }>(again, '/api/v1/job/rerun'),
      (r) => r.state !== 'running',
      60_000,
    );
    assert.equal(rerun.state, 'done', rerun.error);
    assert.deepEqual(await bytes(again, from, to), before, 'computed again, the records are the same');
    await again.stop();
  } catch (error) {
    throw withContext(error, `seed ${seed}\n--- the last server wrote:\n${server?.output()}`);
  } finally {
    stopped = true;
    await server?.kill();
    await removeDataDir(dataDir);
  }
});

const compare = async (
  server: Server,
  events: EventPublisher[],
  readings: ReadingPublisher[],
  from: number,
  to: number,
): Promise<void> => {
  await runJob(server);
  for (const publisher of events) {
    const bySubject = new Map<string, bigint>();
    for (const row of await usageRows(server, {
      meter: 'kill_work',
      from,
      to,
      more: { source: `app/${publisher.name}` },
    }))
      bySubject.set(row.group.resource ?? '', (bySubject.get(row.group.resource ?? '') ?? 0n) + wholeSum([row]));
    const subjects = new Set([...bySubject.keys(), ...publisher.acknowledged.keys()]);
    for (const subject of subjects) {
      const sum = publisher.acknowledged.get(subject) ?? 0n;
      const got = bySubject.get(subject) ?? 0n;
      const most = sum + (publisher.abandoned.get(subject) ?? 0n);
      assert.ok(
        got >= sum && got <= most,
        `events of ${subject}: counted ${got}, acknowledged ${sum}, at most ${most}`,
      );
    }
  }
  for (const publisher of readings) {
    for (const [resource, sum] of publisher.expected()) {
      const rows = await usageRows(server, {
        meter: 'network.bytes.sent',
        from,
        to: to + 2 * HOUR,
        more: { resource },
      });
      assert.equal(wholeSum(rows), sum, `counter ${resource}`);
    }
  }
};

/** Every row of both meters, as text. */
const bytes = async (server: Server, from: number, to: number): Promise<string[]> => {
  const rows = [];
  for (const meter of ['kill_work', 'network.bytes.sent'])
    rows.push(...(await usageRows(server, { meter, from, to, more: { windowSize: 'hour' } })));
  return rows.map((row) => JSON.stringify(row)).sort();
};
