/** Reading a meter's definition: everything that is wrong with it at once, each with the JSON pointer of its field. */
import { parsePath } from './json-path.ts';
import type { Meter, MeterFilter, MeterKind } from './meter.ts';

export interface MeterProblem {
  /** JSON pointer of the field, '' for the whole. */
  readonly pointer: string;
  readonly code: 'meter.invalid';
  readonly detail: string;
}

const AGGREGATIONS: Readonly<Record<MeterKind, readonly Meter['aggregation'][]>> = {
  delta: ['sum', 'count', 'avg', 'min', 'max', 'unique', 'latest'],
  cumulative: ['sum'],
  gauge: ['integral', 'max', 'last'],
  percentile: ['max'],
};
const DIRECTIONS = ['max-of-percentiles', 'percentile-of-max', 'percentile-of-sum'] as const;
const KEY = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;
/** Letters, digits and what dimension names are written with elsewhere; it becomes a column and a query parameter. */
const DIMENSION = /^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/;
/** Names that rows are grouped by anyway: a dimension of that name could never be asked for. */
const RESERVED = new Set(['account', 'resource', 'subject', 'source', 'series', 'trafficType']);
const MAX_DIMENSIONS = 32;
const MAX_FILTERS = 16;
const MAX_FILTER_VALUES = 1_000;
const MAX_OF = 16;
const MAX_VALID_FOR = 35 * 86_400_000;

const FIELDS = new Set([
  'key',
  'name',
  'kind',
  'eventType',
  'aggregation',
  'valuePath',
  'epochPath',
  'startPath',
  'groupBy',
  'filters',
  'unit',
  'validFor',
  'rank',
  'of',
  'direction',
  'billable',
  'deleted',
]);

/**
 * A meter from what someone sent, or all that is wrong with it. Absent fields take their defaults. With `previous`, the
 * result is its next version: key and kind may not change, because the records of a key must stay of one kind.
 * The receipt is 0 until the definition is stored as a fact.
 */
export function defineMeter(input: unknown, previous?: Meter): Meter | MeterProblem[] {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return [{ pointer: '', code: 'meter.invalid', detail: 'a meter is an object' }];
  }
  return new Definition(input as Readonly<Record<string, unknown>>, previous).read();
}

class Definition {
  private readonly input: Readonly<Record<string, unknown>>;
  private readonly previous: Meter | undefined;
  private readonly problems: MeterProblem[] = [];

  constructor(input: Readonly<Record<string, unknown>>, previous: Meter | undefined) {
    this.input = input;
    this.previous = previous;
  }

  read(): Meter | MeterProblem[] {
    for (const field of Object.keys(this.input)) {
      if (!FIELDS.has(field)) this.wrong(`/${pointerPart(field)}`, 'unknown field');
    }
    const kind = this.oneOf('kind', Object.keys(AGGREGATIONS) as MeterKind[], this.previous?.kind ?? 'delta');
    const allowed = AGGREGATIONS[kind];
    const aggregation = this.oneOf('aggregation', allowed, allowed[0] ?? 'sum');
    const key = this.text('key', this.previous?.key ?? '', 63);
    if (!KEY.test(key)) this.wrong('/key', 'lower case letters, digits, dots, dashes and underscores, at most 63');
    const meter: Meter = {
      key,
      version: (this.previous?.version ?? 0) + 1,
      name: this.text('name', key, 200),
      kind,
      eventType: this.text('eventType', '', 255),
      aggregation,
      valuePath: this.path('valuePath'),
      epochPath: this.path('epochPath'),
      startPath: this.path('startPath'),
      groupBy: this.groupBy(),
      filters: this.filters(),
      unit: this.text('unit', '1', 64),
      validFor: this.integer('validFor', 0, 0, MAX_VALID_FOR),
      rank: this.integer('rank', kind === 'percentile' ? 950 : 0, 0, 1000),
      of: this.list('of', MAX_OF),
      direction: this.oneOf('direction', DIRECTIONS, 'max-of-percentiles'),
      billable: this.flag('billable', true),
      deleted: this.flag('deleted', false),
      receipt: 0,
    };
    this.agree(meter);
    return this.problems.length > 0 ? this.problems : meter;
  }

  /** What each kind needs, and what would silently do nothing. */
  private agree(m: Meter): void {
    const { previous } = this;
    if (previous !== undefined && m.key !== previous.key) this.wrong('/key', `the key stays ${previous.key}`);
    if (previous !== undefined && m.kind !== previous.kind) this.wrong('/kind', `the kind stays ${previous.kind}`);
    if (m.kind === 'percentile') {
      if (m.of.length === 0) this.wrong('/of', 'names the cumulative meters whose samples are ranked');
      if (m.of.includes(m.key)) this.wrong('/of', 'a meter cannot be made of itself');
      if (m.rank < 1) this.wrong('/rank', 'a rank in per mille, 1 to 1000');
      this.unused(m.eventType !== '', '/eventType', 'a percentile reads the meters in `of`');
      this.unused(m.filters.length > 0, '/filters', 'a percentile reads the meters in `of`');
      this.unused(Object.keys(m.groupBy).length > 0, '/groupBy', 'a percentile reads the meters in `of`');
    } else {
      if (m.eventType === '') this.wrong('/eventType', 'names the type of the events that feed the meter');
      this.unused(m.of.length > 0, '/of', 'only for percentile meters');
      this.unused(m.rank !== 0, '/rank', 'only for percentile meters');
    }
    const valueless = m.kind === 'percentile' || m.aggregation === 'count';
    if (valueless) this.unused(m.valuePath !== '', '/valuePath', 'nothing is read from the event');
    else if (m.valuePath === '') this.wrong('/valuePath', 'says where the value stands, for example $.bytes');
    if (m.kind !== 'cumulative') {
      this.unused(m.epochPath !== '', '/epochPath', 'only for cumulative meters');
      this.unused(m.startPath !== '', '/startPath', 'only for cumulative meters');
    }
    this.unused(m.kind !== 'gauge' && m.validFor !== 0, '/validFor', 'only for gauges');
  }

  private groupBy(): Record<string, string> {
    const value = this.input.groupBy ?? {};
    const out: Record<string, string> = {};
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.wrong('/groupBy', 'an object from dimension to JSON path');
      return out;
    }
    const entries = Object.entries(value);
    if (entries.length > MAX_DIMENSIONS) this.wrong('/groupBy', `at most ${MAX_DIMENSIONS} dimensions`);
    // Names sorted, as series keys have them.
    for (const [name, path] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
      const pointer = `/groupBy/${pointerPart(name)}`;
      if (!DIMENSION.test(name) || name === '__proto__') this.wrong(pointer, 'letters, digits, _ . -, at most 63');
      else if (RESERVED.has(name))
        this.wrong(pointer, `${name} is what every row can be grouped by; name it otherwise`);
      else if (!isDotted(path)) this.wrong(pointer, 'a JSON path such as $.region');
      else out[name] = path;
    }
    return out;
  }

  private filters(): MeterFilter[] {
    const value = this.input.filters ?? [];
    if (!Array.isArray(value) || value.length > MAX_FILTERS) {
      this.wrong('/filters', `a list of at most ${MAX_FILTERS} filters`);
      return [];
    }
    return value.map((filter: unknown, i) => this.filter(filter, `/filters/${i}`));
  }

  private filter(value: unknown, pointer: string): MeterFilter {
    const {
      path,
      in: values,
      ...rest
    } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
    for (const field of Object.keys(rest)) this.wrong(`${pointer}/${pointerPart(field)}`, 'unknown field');
    if (!isDotted(path)) this.wrong(`${pointer}/path`, 'a JSON path such as $.region');
    const texts = isTexts(values) && values.length > 0 && values.length <= MAX_FILTER_VALUES;
    if (!texts) this.wrong(`${pointer}/in`, `a list of 1 to ${MAX_FILTER_VALUES} texts`);
    return { path: String(path), in: texts ? values : [] };
  }

  private path(field: string): string {
    const path = this.text(field, '', 512);
    if (path !== '' && !isDotted(path)) this.wrong(`/${field}`, 'a JSON path such as $.bytes or $.usage.bytes');
    return path;
  }

  private list(field: string, most: number): readonly string[] {
    const value = this.input[field] ?? [];
    if (isTexts(value) && value.length <= most && new Set(value).size === value.length) return value;
    this.wrong(`/${field}`, `a list of at most ${most} different texts`);
    return [];
  }

  private text(field: string, absent: string, most: number): string {
    const value = this.input[field] ?? absent;
    if (typeof value === 'string' && value.length <= most && isPrintable(value)) return value;
    this.wrong(`/${field}`, `a text of at most ${most} characters without control characters`);
    return absent;
  }

  private integer(field: string, absent: number, least: number, most: number): number {
    const value = this.input[field] ?? absent;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    this.wrong(`/${field}`, `a whole number from ${least} to ${most}`);
    return absent;
  }

  private flag(field: string, absent: boolean): boolean {
    const value = this.input[field] ?? absent;
    if (typeof value === 'boolean') return value;
    this.wrong(`/${field}`, 'true or false');
    return absent;
  }

  private oneOf<T extends string>(field: string, words: readonly T[], absent: T): T {
    const value = this.input[field] ?? absent;
    const word = words.find((w) => w === value);
    if (word === undefined) this.wrong(`/${field}`, `one of ${words.join(', ')}`);
    return word ?? absent;
  }

  private unused(set: boolean, pointer: string, detail: string): void {
    if (set) this.wrong(pointer, `must be left away: ${detail}`);
  }

  private wrong(pointer: string, detail: string): void {
    this.problems.push({ pointer, code: 'meter.invalid', detail });
  }
}

/** Names with dots between them: the one form that SQL and the pure functions read alike. */
const isDotted = (path: unknown): path is string =>
  typeof path === 'string' &&
  isPrintable(path) &&
  (parsePath(path)?.every((step) => typeof step === 'string') ?? false) &&
  !path.includes('[');

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((v) => typeof v === 'string' && v.length <= 255 && isPrintable(v));

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** No control characters: names of meters and dimensions come back in tables, CSV and logs. */
function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 32 || c === 127) return false;
  }
  return !LONE_SURROGATE.test(text);
}

const pointerPart = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
