/** Usage records of the invoice bench's scenario, written by SQL: as the usage job leaves them when all of it has been seen. */
import { Session } from 'chdb';
import { WINDOW_MS } from 'tollgate/domain/window.js';
import { baseSql, idleSql, lands, meters, noonOf, RECORD_DAYS } from './invoice-scenario.ts';

/** `facts` 1: as of readings that are not laid down; 0 would say that nobody took their digest. */
const RECORD = 'series, w, part, seen, used, n, flags, state, facts, void, s';
const TALLY = 'series, w, part, total, amount, least, most, latest, latest_at, flags, state, void, s';

/** Four records of each series, of which `first` is the first id; counters have one more at the end of each span, so that nothing is waited for. */
export async function writeRecords(
  directory: string,
  accounts: number,
  first: number,
  frontier: number,
): Promise<void> {
  const sql = new Session(directory);
  sql.query('SET max_threads = 2, async_insert = 0');
  const days = RECORD_DAYS.map((day) => noonOf(day) / 1000).join(', ');
  const each = `numbers(${accounts}) AS n ARRAY JOIN range(${RECORD_DAYS.length}) AS k`;
  for (const [m, { counter, modulus, times, over }] of meters.entries()) {
    const series = `toUInt32(${first} + number * ${meters.length} + ${m})`;
    const figure = `if(${idleSql('number', m)}, 0, ${baseSql('number', m, 'k')} % ${modulus}) * ${times}`;
    const w = `toDateTime([${days}][k + 1], 'UTC')`;
    if (counter) {
      await sql.queryAsync(
        `INSERT INTO record (${RECORD}) SELECT ${series}, ${w}, 0, ${WINDOW_MS}, ${figure}, 3, 0, 0, 1, 0, ${frontier} FROM ${each}`,
      );
      await sql.queryAsync(endsSql(series, accounts, frontier));
      continue;
    }
    const total = `CAST(concat(toString(intDiv(f, ${over})), '.', leftPad(toString(f % ${over}), 3, '0')) AS Decimal(76, 12))`;
    const value = 'CAST(total AS Nullable(Decimal(38, 12)))';
    const at = '(toUnixTimestamp(w) * 1000 + 1)';
    await sql.queryAsync(
      `INSERT INTO tally (${TALLY}) SELECT series, w, 0, ${total} AS total, 1, ${value}, ${value}, ${value}, ${at}, 0, 0, 0, ${frontier}
       FROM (SELECT ${series} AS series, ${w} AS w, ${figure} AS f FROM ${each})`,
    );
  }
  sql.close();
}

/** Nothing used in the last windows of the months, nor in the one before a plan changes: all seen to their ends. */
function endsSql(series: string, accounts: number, frontier: number): string {
  const of = (values: readonly number[]): string =>
    `[${values.map((t) => t / 1000).join(', ')}][number % ${lands.length} + 1]`;
  const end = of(lands.map(({ to }) => to - WINDOW_MS));
  const later = of(lands.map((land) => land.later - WINDOW_MS));
  const cut = `${of(lands.map(({ from }) => from - WINDOW_MS))} + (10 + number % 7) * 86400`;
  return `INSERT INTO record (${RECORD}) SELECT ${series}, toDateTime(arrayJoin([${end}, ${later}, ${cut}]), 'UTC'), 0, ${WINDOW_MS}, 0, 3, 0, 0, 1, 0, ${frontier}
    FROM numbers(${accounts})`;
}
