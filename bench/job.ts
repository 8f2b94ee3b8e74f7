/**
 * `job`: catch up one day of 100,000 counters polled every 5 minutes, with late readings, resets and gaps, into 15-minute
 * records: the real job on chDB. Its floor, in the same run over the same rows without the odd series: a bare window
 * function and the boundaries by arrayJoin, into a bare table (and, beside it, with nothing written). Then the closing of single windows, and the same day with a
 * tenth of the counters.
 */
import { WINDOW_MS } from 'tollgate/domain/window.js';
import {
  type BenchOptions,
  type BenchResult,
  inFolder,
  MemoryWatch,
  machine,
  numberOf,
  quantile,
  round,
  say,
  timed,
} from './common.ts';
import {
  type Cloud,
  COLUMNS,
  closedUpTo,
  HOUR,
  openCloud,
  POLL,
  pollsSql,
  START,
  settle,
  withReceipts,
} from './counters.ts';

const POLLS_A_DAY = 288;
const POLLS_AN_HOUR = 12;
/** Of a thousand series: 10 with a late reading, 5 with a reset, 2 with a gap of 3 hours. */
const LATE = 10;
const RESET = 5;
const GAP = 2;
const WINDOWS = 4;

export function run(options: BenchOptions): Promise<BenchResult> {
  const series = numberOf(options, 'series', 100_000);
  return inFolder(options, async (folder) => {
    const small = await day(`${folder}/small`, series / 10);
    const whole = await day(`${folder}/whole`, series);
    return {
      bench: 'job',
      settings: {
        series,
        poll_s: POLL / 1000,
        window_s: WINDOW_MS / 1000,
        late_series: whole.late,
        reset_series: whole.resets,
        gap_3h_series: whole.gaps,
        floor:
          'lagInFrame, arrayJoin over the edges, lagInFrame, into a bare MergeTree; no FINAL, no fsync, best of two',
        ...machine(),
      },
      metrics: {
        readings: whole.readings,
        seconds: round(whole.seconds),
        floor_seconds: round(whole.floor),
        ratio: round(whole.seconds / whole.floor),
        floor_unstored_seconds: round(whole.unstored),
        ratio_to_unstored: round(whole.seconds / whole.unstored),
        window_seconds: round(whole.window),
        seconds_10x_over_1x: round(whole.seconds / small.seconds),
        rss_mb: whole.rss,
        records: whole.records,
        odd: whole.odd,
        wrong: whole.wrong + small.wrong,
      },
    };
  });
}

interface Day {
  readings: number;
  seconds: number;
  floor: number;
  unstored: number;
  window: number;
  rss: number;
  records: number;
  odd: number;
  late: number;
  resets: number;
  gaps: number;
  wrong: number;
}

async function day(directory: string, series: number): Promise<Day> {
  const cloud = await openCloud(directory, series);
  try {
    say(`${series} counters: writing a day of readings`);
    await writeDay(cloud, series);
    await settle(cloud);
    const floors = [await floor(cloud)];
    say(`floor ${round(floors[0]?.stored ?? 0)} s, without storing ${round(floors[0]?.unstored ?? 0)} s`);
    cloud.clock.at = START + 24 * HOUR + WINDOW_MS;
    const memory = new MemoryWatch();
    const before = process.cpuUsage();
    const { seconds } = await timed(() => cloud.usage.job.run());
    const cpu = process.cpuUsage(before);
    const rss = memory.stop();
    const runs = await cloud.control.runs(100);
    const counted = runs.filter((r) => r.stream === 'counter');
    const records = counted.reduce((n, r) => n + r.records, 0);
    const odd = counted.reduce((n, r) => n + r.odd, 0);
    say(
      `job ${round(seconds)} s, ${records} records, ${odd} series-spans by the pure path, ${rss} MB, CPU ${round((cpu.user + cpu.system) / 1e6)} s`,
    );
    const windows: number[] = [];
    for (let i = 0; i < WINDOWS; i++) {
      cloud.clock.at += WINDOW_MS;
      windows.push((await timed(() => cloud.usage.job.run())).seconds);
    }
    say(`windows ${windows.map((s) => round(s)).join(' ')} s`);
    await settle(cloud);
    floors.push(await floor(cloud));
    const wrong = await conservation(cloud, series);
    const readings = count(cloud, `SELECT count() FROM reading WHERE t >= ${START} AND t < ${START + 24 * HOUR}`);
    const share = (perMille: number): number => Math.round((series * perMille) / 1000);
    return {
      readings,
      seconds,
      floor: Math.min(...floors.map((f) => f.stored)),
      unstored: Math.min(...floors.map((f) => f.unstored)),
      window: quantile(windows, 1),
      rss,
      records,
      odd,
      late: share(LATE),
      resets: share(RESET),
      gaps: share(GAP),
      wrong,
    };
  } finally {
    await cloud.close();
  }
}

const count = (cloud: Cloud, sql: string): number => Number(cloud.sql.query(sql).trim());

/** What a series' number out of a thousand makes of it. */
const kind = (cloud: Cloud): string => `(series - ${cloud.first}) % 1000`;

/** An hour before the day, the day, and some after it: a job that was off has neighbours on both sides. */
async function writeDay(cloud: Cloud, series: number): Promise<void> {
  const write = async (from: number, to: number): Promise<void> => {
    await withReceipts(cloud, series * (to - from), async (receipt) => {
      await cloud.sql.queryAsync(oddDay(cloud, pollsSql(cloud, series, from, to, receipt)));
    });
  };
  await write(-POLLS_AN_HOUR, 0);
  await closedUpTo(cloud, START, cloud.receipts.frontier());
  for (let poll = 0; poll < POLLS_A_DAY + 2 * POLLS_AN_HOUR; poll += POLLS_AN_HOUR)
    await write(poll, poll + POLLS_AN_HOUR);
  // The late readings, between two others, after all of those.
  await withReceipts(cloud, series, async (receipt) => {
    await cloud.sql.queryAsync(
      `INSERT INTO reading (${COLUMNS}) SELECT series, t + 60000, value + 7, epoch, start, ${receipt} + series - ${cloud.first}, skew, 1
       FROM reading WHERE ${kind(cloud)} < ${LATE} AND t >= ${START} + (series % 24) * ${HOUR} AND t < ${START} + (series % 24) * ${HOUR} + ${POLL}`,
    );
  });
}

/** Resets at noon (every other one with a new epoch), gaps from ten to thirteen. */
const oddDay = (cloud: Cloud, polls: string): string => `
  INSERT INTO reading (${COLUMNS}) SELECT series, t,
    if(${kind(cloud)} BETWEEN ${LATE} AND ${LATE + RESET - 1} AND t >= ${START + 12 * HOUR}, value - 1100000000, value),
    if(${kind(cloud)} BETWEEN ${LATE} AND ${LATE + RESET - 1} AND series % 2 = 0 AND t >= ${START + 12 * HOUR}, epoch + 1, epoch),
    start, receipt, skew, stamps
  FROM (${polls})
  WHERE NOT (${kind(cloud)} BETWEEN ${LATE + RESET} AND ${LATE + RESET + GAP - 1} AND t >= ${START + 10 * HOUR} AND t < ${START + 13 * HOUR})`;

/** Seconds of the bare statement: its records written to a bare table, as the job has to write them, and thrown away. */
async function floor(cloud: Cloud): Promise<{ stored: number; unstored: number }> {
  const select = `
    SELECT series, edge, used FROM (SELECT series, edge, counted - lagInFrame(counted) OVER (PARTITION BY series ORDER BY edge ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS used
    FROM (
      SELECT series, edge, pv + intDiv((value - pv) * (edge - pt), t - pt) AS counted FROM (
        SELECT series, t, value, pt, pv,
          arrayJoin(if(pt = 0, [], range(intDiv(pt, ${WINDOW_MS}) * ${WINDOW_MS} + ${WINDOW_MS}, t + 1, ${WINDOW_MS}))) AS edge
        FROM (
          SELECT series, t, value, lagInFrame(t) OVER w AS pt, lagInFrame(value) OVER w AS pv FROM reading
          WHERE bucket >= toDateTime(${(START - WINDOW_MS) / 1000}) AND bucket < toDateTime(${(START + 24 * HOUR + WINDOW_MS) / 1000})
            AND ${kind(cloud)} >= ${LATE + RESET + GAP}
          WINDOW w AS (PARTITION BY series ORDER BY t ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
        )
      )
    ))`;
  const unstored = (await timed(() => cloud.sql.queryAsync(`${select} FORMAT Null`))).seconds;
  cloud.sql.query('CREATE TABLE bare (series UInt32, w DateTime, used UInt64) ENGINE = MergeTree ORDER BY (series, w)');
  try {
    const insert = `INSERT INTO bare SELECT series, toDateTime(intDiv(edge, 1000)) - ${WINDOW_MS / 1000}, toUInt64(used) FROM (${select})`;
    const { seconds } = await timed(() => cloud.sql.queryAsync(insert));
    return { stored: seconds, unstored };
  } finally {
    cloud.sql.query('DROP TABLE bare SYNC');
  }
}

/** Series (of those without resets) whose records over the day do not sum to the counter's own difference, or miss a window. */
async function conservation(cloud: Cloud, series: number): Promise<number> {
  const from = START;
  const to = START + 24 * HOUR;
  const at = (edge: number): string => `
    SELECT series, argMaxIf(value, t, t < ${edge}) AS pv, maxIf(t, t < ${edge}) AS pt, argMinIf(value, t, t >= ${edge}) AS nv, minIf(t, t >= ${edge}) AS nt
    FROM reading WHERE t >= ${edge - HOUR} AND t < ${edge + HOUR} GROUP BY series`;
  const value = (edge: number): string =>
    `(SELECT series, pv + intDiv((nv - pv) * (${edge} - pt), nt - pt) AS c FROM (${at(edge)}))`;
  return count(
    cloud,
    `SELECT ${series} - countIf(used = b.c - a.c AND windows = 96) - ${Math.round((series * RESET) / 1000)} FROM ${value(from)} AS a
     JOIN ${value(to)} AS b ON a.series = b.series
     JOIN (SELECT series, sum(toInt128(used)) AS used, count() AS windows FROM record FINAL
           WHERE w >= toDateTime(${from / 1000}) AND w < toDateTime(${to / 1000}) AND void = 0 GROUP BY series) AS r ON a.series = r.series
     WHERE NOT (${kind(cloud).replace('series', 'a.series')} BETWEEN ${LATE} AND ${LATE + RESET - 1})`,
  );
}
