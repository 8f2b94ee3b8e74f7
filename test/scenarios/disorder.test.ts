/**
 * Retry storms, shuffled, duplicated and late input: the records equal those of the ordered run byte for byte. And with
 * the stamps and receipts that arrival decided kept, facts read back in any order give the same bytes (law 3).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineMeter } from 'tollgate/domain/define-meter.js';
import { replay } from 'tollgate/usage/index.js';
import { isLong } from '../needs.ts';
import { Device } from '../simulation/device.ts';
import { Lots } from '../simulation/lots.ts';
import { type Disk, Machine, makeDisk, removeDisk } from '../simulation/machine.ts';
import { VirtualTime } from '../simulation/time.ts';

const SEEDS = isLong ? 60 : 4;
const T0 = Date.UTC(2026, 0, 5);
const MINUTE = 60_000;
const HOURS = 4;
const END = T0 + HOURS * 60 * MINUTE;

/** One request's worth: a batch of events, or of readings under a run of its own. */
type Message = { events: Record<string, unknown>[] } | { readings: Record<string, unknown> };

const messagesOf = (seed: number): { messages: Message[]; devices: Device[]; total: bigint } => {
  const lots = new Lots(seed);
  const devices = Array.from({ length: 3 }, (_, n) => new Device(`nic${n}`, lots.branch(), T0));
  const messages: Message[] = [];
  let total = 0n;
  let n = 0;
  for (let t = T0 + MINUTE; t < END; t += lots.int(1, 10) * MINUTE) {
    const polls = devices.map((device) => {
      if (lots.chance(0.03)) device.reset(t - 1000);
      return { device, poll: device.poll(t) };
    });
    messages.push({
      readings: {
        source: 'host/a',
        // A collector that forgets everything between two passes: only what is in the readings themselves can help.
        run: `run-${messages.length}`,
        sequence: 1,
        series: polls.map(({ device, poll }) => ({
          resource: device.name,
          meter: 'network.bytes.sent',
          epoch: poll.epoch,
          period: MINUTE,
        })),
        readings: polls.map(({ poll }, i) => [i, poll.t, String(poll.value), ...(poll.start > 0 ? [poll.start] : [])]),
      },
    });
    const events = Array.from({ length: lots.int(1, 8) }, () => {
      const value = lots.int(0, 10 ** 6);
      total += BigInt(value);
      return {
        specversion: '1.0',
        id: `e${n++}`,
        source: lots.pick(['app/one', 'app/two']),
        type: 'work',
        subject: lots.pick(['acme', 'globex']),
        time: new Date(t - lots.int(0, 30 * MINUTE)).toISOString(),
        data: { value: lots.chance(0.5) ? value : String(value), kind: lots.pick(['a', 'b']) },
      };
    });
    messages.push({ events });
  }
  return { messages, devices, total };
};

const meter = (() => {
  const made = defineMeter(
    {
      key: 'work',
      name: 'Work',
      kind: 'delta',
      aggregation: 'sum',
      eventType: 'work',
      valuePath: '$.value',
      groupBy: { kind: '$.kind' },
      unit: '1',
    },
    undefined,
  );
  if (Array.isArray(made)) throw new Error(JSON.stringify(made));
  const { receipt: _, ...rest } = made;
  return rest;
})();

const send = async (machine: Machine, message: Message): Promise<void> => {
  const reply = 'events' in message ? await machine.events(message.events) : await machine.readings(message.readings);
  assert.equal(reply.status, 200, JSON.stringify(reply));
  assert.deepEqual([reply.outcome?.conflicts, reply.outcome?.rejected], [0, 0], JSON.stringify(reply.outcome?.items));
};

/** Feeds one server and runs its job now and then; everything is told after it happened, so no time is in the future. */
const run = async (
  work: (machine: Machine, job: () => Promise<void>) => Promise<void>,
): Promise<{ records: string[]; lines: string[] }> => {
  const disk: Disk = makeDisk();
  try {
    const time = new VirtualTime(END + MINUTE);
    const clock = time.clock();
    const machine = await Machine.boot(disk, { clock });
    await machine.log.append([{ kind: 'meter', meter }], { tenant: '', author: 'test', reason: '' });
    const job = async (): Promise<void> => {
      await time.run(time.now + MINUTE);
      await time.until(machine.usage.job.run());
    };
    await work(machine, job);
    await time.run(time.now + 60 * MINUTE);
    await time.until(machine.usage.job.run());
    await time.until(machine.usage.job.run());
    return { records: await recordsOf(disk, machine), lines: await linesOf(machine) };
  } finally {
    removeDisk(disk);
  }
};

/** All current records by what their series is, not by its number; without the frontier, which is arrival's. */
const recordsOf = async (disk: Disk, machine: Machine): Promise<string[]> => {
  const series = [...machine.registry.all()];
  const names = new Map(
    series.map(({ id, source, resource, meter: key, dimensions }) => [id, [source, resource, key, dimensions]]),
  );
  const ids = series.map((s) => s.id);
  const rows = [
    ...(await disk.usage.counterRecords(ids, 0, END * 2)),
    ...(await disk.usage.tallyRecords(ids, 0, END * 2)),
  ];
  return rows
    .filter((row) => !row.isVoid)
    .map((row) =>
      JSON.stringify([names.get(row.series), { ...row, series: 0, frontier: 0 }], (_, v: unknown) =>
        typeof v === 'bigint' ? `${v}` : v,
      ),
    )
    .sort();
};

const linesOf = async (machine: Machine): Promise<string[]> => {
  const lines: string[] = [];
  for await (const line of machine.usage.exportFacts({}, T0 - 60 * MINUTE, END + 60 * MINUTE, null)) lines.push(line);
  return lines;
};

async function* each(lines: readonly string[]): AsyncIterable<string> {
  yield* lines;
}

const play = async (seed: number): Promise<void> => {
  const { messages, devices, total } = messagesOf(seed);
  const ordered = await run(async (machine, job) => {
    for (const [n, message] of messages.entries()) {
      await send(machine, message);
      if (n % 40 === 20) await job();
    }
  });
  const lots = new Lots(seed + 1000);
  const disordered = await run(async (machine, job) => {
    const shuffled = lots.shuffle([...messages, ...messages.filter(() => lots.chance(0.3))]);
    for (const [n, message] of shuffled.entries()) {
      // A storm: the same request several times at once, before the first is answered.
      const times = lots.chance(0.15) ? lots.int(2, 6) : 1;
      await Promise.all(Array.from({ length: times }, () => send(machine, message)));
      if (n % 25 === 10) await job();
    }
    for (const message of lots.shuffle(messages).slice(0, 20)) await send(machine, message);
  });
  assert.deepEqual(disordered.records, ordered.records);
  const sum = (key: string, field: string): bigint =>
    ordered.records
      .filter((r) => r.includes(`"${key}"`))
      .reduce((s, r) => s + BigInt(new RegExp(`"${field}":"(\\d+)"`).exec(r)?.[1] ?? '0'), 0n);
  assert.equal(
    sum('network.bytes.sent', 'used'),
    devices.reduce((s, d) => s + d.shown(), 0n),
  );
  assert.equal(sum('work', 'sum'), total * 10n ** 12n);

  const [header = '', ...facts] = ordered.lines;
  const want = JSON.stringify(await replay(each([header, ...facts])));
  const doubled = [...facts, ...facts.filter((line) => lots.chance(0.2) && /"kind":"(reading|event)"/.test(line))];
  assert.equal(JSON.stringify(await replay(each([header, ...lots.shuffle(doubled)]))), want, 'replayed in any order');
  assert.ok(want.length > 1000);
};

test(`retry storms, shuffled, duplicated and late input give the records of the ordered run, ${SEEDS} seeds`, async () => {
  const first = Number(process.env.TOLLGATE_TEST_SEED ?? 1);
  for (let seed = first; seed < first + SEEDS; seed++) {
    try {
      await play(seed);
    } catch (error) {
      if (error instanceof Error) error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
});
