/** A page and rules to counters: pure. */
import { counterMax, limits } from '@tollgate/event';
import { type Decimal, decimal, FLOAT_EXACT } from './exact.ts';
import type { Exposition, Sample } from './exposition.ts';
import { lifeOf, type Past } from './openmetrics-life.ts';
import { joiner, type Labels, type MetricRule, textOf } from './openmetrics-rules.ts';
import type { Trouble } from './poller.ts';
import type { Seen } from './tracker.ts';

export interface ReadSettings {
  rules: readonly MetricRule[];
  /** What becomes of values above 2^53, which a float no longer holds exactly: counted and reported, or left out. */
  inexact: 'count' | 'skip';
  /** When the page was read, ms since 1970. */
  at: number;
  /** A counter as the pass before left it; null: it was not known. */
  pastOf(counter: Pick<Seen, 'object' | 'meter' | 'dimensions'>): Past | null;
}

export interface Reading {
  seen: Seen[];
  /** Metrics that were not, or not wholly, readable. */
  unread: string[];
  troubles: Trouble[];
}

export const readPage = (page: Exposition, settings: ReadSettings): Reading => {
  const reader = new Reader(page, settings);
  for (const rule of settings.rules) reader.read(rule);
  return reader.reading();
};

class Reader {
  readonly #page: Exposition;
  readonly #settings: ReadSettings;
  readonly #byMetric = new Map<string, Sample[]>();
  readonly #seen = new Map<string, Seen | null>();
  readonly #unread = new Set<string>();
  readonly #troubles: Trouble[] = [];

  constructor(page: Exposition, settings: ReadSettings) {
    this.#page = page;
    this.#settings = settings;
    for (const sample of page.samples) {
      const list = this.#byMetric.get(sample.metric);
      if (list) list.push(sample);
      else this.#byMetric.set(sample.metric, [sample]);
    }
  }

  reading(): Reading {
    const malformed = this.#page.malformed.map(
      ({ line, text }): Trouble => ({ code: 'malformed', object: `line ${line}`, message: text }),
    );
    const seen = [...this.#seen.values()].filter((one): one is Seen => one !== null);
    return { seen, unread: [...this.#unread], troubles: [...malformed, ...this.#troubles] };
  }

  read(rule: MetricRule): void {
    const { metric } = rule;
    const type = this.#typeOf(metric);
    const samples = this.#byMetric.get(metric) ?? [];
    if (type === 'gauge' || type === 'stateset' || type === 'info') {
      this.#leave(metric, metric, 'not_counter', `is a ${type}: a cumulative meter wants a counter`);
      return;
    }
    if (samples.length === 0 && type === undefined) this.#leave(metric, metric, 'missing', 'is not on the page');
    // A line that could not be read may have been one of these.
    if (this.#page.malformed.some(({ text }) => text.startsWith(metric))) this.#unread.add(metric);
    const others = (rule.joins ?? []).flatMap((join) => this.#byMetric.get(join.metric) ?? []);
    const labelsOf = joiner(others, rule.joins ?? []);
    const created = this.#createdOf(metric);
    for (const sample of samples) {
      if (!Object.entries(rule.where ?? {}).every(([label, value]) => sample.labels.get(label) === value)) continue;
      const label = labelOf(sample);
      const seen = this.#seenOf(rule, sample, { label, labels: labelsOf(sample), created });
      if (seen !== null) this.#keep(seen, metric, label);
    }
  }

  #keep(seen: Seen, metric: string, label: string): void {
    const key = JSON.stringify([seen.object, seen.meter, seen.dimensions]);
    const isFirst = !this.#seen.has(key);
    this.#seen.set(key, isFirst ? seen : null);
    if (!isFirst) this.#leave(metric, label, 'ambiguous', 'two samples name the same object: none of them is counted');
  }

  #seenOf(
    rule: MetricRule,
    sample: Sample,
    { label, labels, created }: { label: string; labels: Labels; created: ReadonlyMap<string, string> },
  ): Seen | null {
    const { metric, meter } = rule;
    const object = textOf(labels, rule.identity);
    if (object === null) return this.#leave(metric, label, 'no_identity', `lacks one of ${rule.identity.join(', ')}`);
    const dimensions = dimensionsOf(rule, labels);
    if ([object, ...Object.values(dimensions ?? {})].some((text) => Buffer.byteLength(text) > limits.dimensionBytes))
      return this.#leave(
        metric,
        label.slice(0, 200),
        'too_long',
        `a label has more than ${limits.dimensionBytes} bytes`,
      );
    const counter = { object, meter, ...(dimensions === undefined ? {} : { dimensions }) };
    const life = this.#life(rule, labels, created.get(keyOf(sample.labels)), counter);
    if (life === null) return this.#leave(metric, label, 'no_epoch', lacking(rule));
    const value = this.#value(rule, sample, label);
    if (value === null) return null;
    return {
      scope: metric,
      ...counter,
      value,
      ...life,
      ...(sample.at === undefined ? {} : { at: sample.at }),
      ...toldOf(rule, labels),
    };
  }

  /** Null: it is there and cannot be counted. */
  #value(rule: MetricRule, sample: Sample, label: string): bigint | null {
    const { metric, scale = 0 } = rule;
    if (/nan/i.test(sample.value)) {
      // Also Prometheus' stale marker: nothing is known now, and nothing has ended.
      this.#unread.add(metric);
      return null;
    }
    const number: Decimal | null = decimal(sample.value, scale);
    if (number === null || number.whole < 0n || number.whole > counterMax)
      return this.#leave(metric, label, 'bad_value', `${sample.value} is no counter from 0 to 2^64-1`);
    if (!number.exact && scale === 0)
      this.#troubles.push({ code: 'fraction', object: label, message: `${sample.value} is cut to ${number.whole}` });
    if (number.whole > FLOAT_EXACT) {
      this.#troubles.push({
        code: 'inexact',
        object: label,
        message: `${sample.value} is above 2^53: a float is off by one and more`,
      });
      if (this.#settings.inexact === 'skip') {
        this.#unread.add(metric);
        return null;
      }
    }
    return number.whole;
  }

  /** Epoch and start. Null: what they are told by is not all there. */
  #life(
    rule: MetricRule,
    labels: Labels,
    created: string | undefined,
    counter: Pick<Seen, 'object' | 'meter' | 'dimensions'>,
  ): Pick<Seen, 'epoch' | 'start' | 'fromZero'> | null {
    if (rule.epoch !== undefined) {
      const epoch = textOf(labels, rule.epoch);
      return epoch === null ? null : { epoch, fromZero: rule.fromZero ?? true };
    }
    const process = this.#byMetric.get('process_start_time_seconds')?.[0]?.value;
    return lifeOf(rule, { created, process }, this.#settings.pastOf(counter), this.#settings.at);
  }

  /** Labels -> the value of `<name>_created`. */
  #createdOf(metric: string): ReadonlyMap<string, string> {
    const samples = this.#byMetric.get(`${metric.replace(/_total$/, '')}_created`) ?? [];
    return new Map(samples.map(({ labels, value }) => [keyOf(labels), value]));
  }

  #typeOf(metric: string): string | undefined {
    return this.#page.types.get(metric) ?? this.#page.types.get(metric.replace(/_(total|sum|count|bucket)$/, ''));
  }

  #leave(metric: string, object: string, code: string, message: string): null {
    this.#unread.add(metric);
    this.#troubles.push({ code, object, message });
    return null;
  }
}

const lacking = ({ metric, epoch, ownProcess }: MetricRule): string => {
  if (epoch !== undefined) return `lacks one of ${epoch.join(', ')}`;
  const created = `${metric.replace(/_total$/, '')}_created`;
  return `left out while its start is not told as before: ${created}${ownProcess ? ' or process_start_time_seconds' : ''}`;
};

const keyOf = (labels: Labels): string => JSON.stringify([...labels].sort());

const labelOf = ({ metric, labels }: Sample): string =>
  `${metric}{${[...labels].map(([name, value]) => `${name}="${value}"`).join(',')}}`;

const toldOf = (rule: MetricRule, labels: Labels): Pick<Seen, 'name' | 'tag' | 'mac' | 'alias'> => {
  const told: Record<string, string> = {};
  for (const field of ['name', 'tag', 'mac', 'alias'] as const) {
    const label = rule[field];
    const text = label === undefined ? '' : (labels.get(label) ?? '');
    if (text !== '') told[field] = text;
  }
  return told;
};

const dimensionsOf = (rule: MetricRule, labels: Labels): Record<string, string> | undefined => {
  const pairs = Object.entries(rule.dimensions ?? {}).flatMap(([dimension, label]) => {
    const value = labels.get(label);
    return value === undefined || value === '' ? [] : [[dimension, value]];
  });
  return pairs.length === 0 ? undefined : (Object.fromEntries(pairs) as Record<string, string>);
};
