/**
 * Sums of a delta meter's events, in SQL. Exact: a number is taken from the text of the event by pattern, never through
 * the engine's JSON numbers (JSONExtractRaw writes 123456789.000000001 as 123456789). What cannot be taken so, for sure,
 * makes its (tenant, source, subject) odd: the pure path's work.
 */
import type { Receipt } from '../../domain/fact.ts';
import type { Meter } from '../../domain/meter.ts';
import type { Instant } from '../../domain/window.ts';
import type { TallyClose, TallyRow } from '../usage-store.ts';
import { countingOnly } from './events.ts';
import type { Lane } from './lane.ts';
import { num, within } from './sql.ts';

/** Whole part up to 26 digits, up to 12 decimals: what Decimal(38, 12) holds. Group 0 is all of it. */
export const PLAIN_NUMBER = '^-?(0|[1-9][0-9]{0,25})([.][0-9]{1,12})?$';

/** Keys that neither JSON nor a pattern writes in more than one way. */
const SIMPLE_KEY = /^[A-Za-z0-9_-]+$/;

/** `$.a.b` -> ['a', 'b']; null for anything else. */
export function pathKeys(path: string): string[] | null {
  if (!path.startsWith('$.')) return null;
  const keys = path.slice(2).split('.');
  return keys.every((key) => SIMPLE_KEY.test(key)) ? keys : null;
}

/** Expressions over `data`, their keys bound as parameters. */
class Paths {
  readonly parameters: Record<string, string | readonly string[]> = {};
  private count = 0;

  /** Type of the value at the path; '' where the engine's reader may not see what ours does. */
  type(keys: readonly string[]): string {
    const found = `toString(JSONType(data, ${this.bind(keys).join(', ')}))`;
    // A name may be written with escapes; and a number beyond 64 bits anywhere makes the engine call everything Null.
    return `multiIf(data = '', 'Null', position(data, '\\\\u') > 0, '', ${found} != 'Null', ${found}, isValidJSON(data), 'Null', '')`;
  }

  string(keys: readonly string[]): string {
    return `JSONExtractString(data, ${this.bind(keys).join(', ')})`;
  }

  raw(keys: readonly string[]): string {
    return `JSONExtractRaw(data, ${this.bind(keys).join(', ')})`;
  }

  /** Text of the number behind the path's last key, '' unless that key stands in the whole text only once. */
  number(keys: readonly string[]): string {
    const name = this.text(`"${keys.at(-1) ?? ''}"`);
    const pattern = this.text(`"${keys.at(-1) ?? ''}"[ \\t\\r\\n]*:[ \\t\\r\\n]*(-?[0-9][^ \\t\\r\\n,}\\]]*)`);
    return `if(countSubstrings(data, ${name}) = 1, extract(data, ${pattern}), '')`;
  }

  text(value: string): string {
    const name = `p${this.count++}`;
    this.parameters[name] = value;
    return `{${name}:String}`;
  }

  private bind(keys: readonly string[]): string[] {
    return keys.map((key) => this.text(key));
  }
}

/** A value as text (for groups and filters) and whether it could be told; missing and null are ''. */
function textAt(paths: Paths, path: string, name: string): { columns: string; known: string } | null {
  const keys = pathKeys(path);
  if (keys === null) return null;
  const type = `${name}_type`;
  return {
    columns: `${paths.type(keys)} AS ${type},
      multiIf(${type} = 'String', ${paths.string(keys)}, ${type} IN ('Int64', 'UInt64', 'Bool'), ${paths.raw(keys)}, '') AS ${name}`,
    // -0 and 0 are one number to the engine and two texts.
    known: `(${type} IN ('String', 'UInt64', 'Bool', 'Null', 'Array', 'Object') OR (${type} = 'Int64' AND ${name} != '0'))`,
  };
}

export async function tally(
  lane: Lane,
  meter: Meter,
  from: Instant,
  to: Instant,
  frontier: Receipt,
  voided: readonly Receipt[],
  undoneSets: readonly string[],
): Promise<TallyClose> {
  if (from >= to) return { rows: [], odd: [] };
  const paths = new Paths();
  paths.parameters.type = meter.eventType;
  if (undoneSets.length > 0) paths.parameters.undone = undoneSets;
  const source = `event FINAL WHERE type = {type:String} AND ${within(from, to)} AND receipt <= ${num(frontier)}${countingOnly(voided, undoneSets)}`;
  const plan = planOf(paths, meter);
  if (plan === null) return everythingOdd(lane, source, paths.parameters);
  const rows = await lane.rows(
    `SELECT tenant, source, subject, [${plan.dimensions.join(', ')}]::Array(String) AS dimensions, toUnixTimestamp(bucket) AS w,
       toUInt8(max(unsure) = 1 OR abs(sum(value)) >= toDecimal256('1e26', 12)) AS odd, sum(value), toInt128(count()), min(held), max(held), argMax(held, (t, receipt)), max(t)
     FROM (
       SELECT *, ${plan.value} AS held, ifNull(held, toDecimal256(0, 12)) AS value, ${plan.unsure} AS unsure FROM (
         SELECT tenant, source, subject, bucket, t, receipt, data${plan.columns} FROM ${source}
       ) WHERE ${plan.passes}
     ) GROUP BY tenant, source, subject, dimensions, bucket ORDER BY tenant, source, subject, dimensions, bucket`,
    paths.parameters,
  );
  const found: TallyRow[] = [];
  const odd = new Map<string, { tenant: string; source: string; subject: string }>();
  const big = (): bigint => rows.big256();
  while (rows.more) {
    const tenant = rows.text();
    const sourceName = rows.text();
    const subject = rows.text();
    const dimensions = rows.list(() => rows.text());
    const window = rows.u32() * 1000;
    const isOdd = rows.u8() === 1;
    const sum = rows.big256();
    const count = rows.big128();
    const [min, max, latest] = [rows.nullable(big), rows.nullable(big), rows.nullable(big)];
    const latestAt = rows.u64();
    found.push({
      tenant,
      source: sourceName,
      subject,
      dimensions,
      window,
      sum,
      count,
      min,
      max,
      latest,
      latestAt: latest === null ? 0 : latestAt,
    });
    if (isOdd) odd.set(JSON.stringify([tenant, sourceName, subject]), { tenant, source: sourceName, subject });
  }
  const rest = odd.size === 0 ? found : found.filter((r) => !odd.has(JSON.stringify([r.tenant, r.source, r.subject])));
  return { rows: rest, odd: [...odd.values()] };
}

interface Plan {
  columns: string;
  dimensions: string[];
  passes: string;
  unsure: string;
  value: string;
}

function planOf(paths: Paths, meter: Meter): Plan | null {
  const columns: string[] = [];
  const known: string[] = [];
  const passes: string[] = [];
  const dimensions: string[] = [];
  for (const [i, path] of Object.values(meter.groupBy).entries()) {
    const text = textAt(paths, path, `dim${i}`);
    if (text === null) return null;
    columns.push(text.columns);
    known.push(text.known);
    dimensions.push(`dim${i}`);
  }
  for (const [i, filter] of meter.filters.entries()) {
    const text = textAt(paths, filter.path, `filter${i}`);
    if (text === null) return null;
    paths.parameters[`allowed${i}`] = filter.in;
    columns.push(text.columns);
    known.push(text.known);
    // What cannot be told is kept, and makes its group odd.
    passes.push(`(NOT ${text.known} OR filter${i} IN {allowed${i}:Array(String)})`);
  }
  let value = "toNullable(toDecimal256('1', 12))";
  if (meter.aggregation === 'unique') {
    value = "CAST(NULL, 'Nullable(Decimal(76, 12))')";
  } else if (meter.valuePath !== '' && meter.aggregation !== 'count') {
    const keys = pathKeys(meter.valuePath);
    if (keys === null) return null;
    columns.push(`${paths.type(keys)} AS value_type,
      multiIf(value_type IN ('Int64', 'UInt64'), ${paths.raw(keys)}, value_type = 'Double', ${paths.number(keys)},
        value_type = 'String', ${paths.string(keys)}, '') AS value_text`);
    known.push(`match(value_text, ${paths.text(PLAIN_NUMBER)})`);
    value = `if(match(value_text, ${paths.text(PLAIN_NUMBER)}), toDecimal256OrNull(value_text, 12), NULL)`;
  }
  return {
    columns: columns.map((c) => `, ${c}`).join(''),
    dimensions,
    passes: passes.length === 0 ? '1' : passes.join(' AND '),
    unsure: known.length === 0 ? 'toUInt8(0)' : `toUInt8(NOT (${known.join(' AND ')}))`,
    value,
  };
}

/** Paths the engine is not asked to follow: every subject goes to the pure path. */
async function everythingOdd(
  lane: Lane,
  source: string,
  parameters: Record<string, string | readonly string[]>,
): Promise<TallyClose> {
  const rows = await lane.rows(`SELECT DISTINCT tenant, source, subject FROM ${source} ORDER BY ALL`, parameters);
  const odd = [];
  while (rows.more) odd.push({ tenant: rows.text(), source: rows.text(), subject: rows.text() });
  return { rows: [], odd };
}
