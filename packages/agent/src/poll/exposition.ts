/** Prometheus text 0.0.4 and OpenMetrics 1.0: lines to samples. Values stay text, so that nothing is rounded here. */

export interface Sample {
  metric: string;
  labels: ReadonlyMap<string, string>;
  /** As written: `5.35976912e+08`, `NaN`. */
  value: string;
  /** ms since 1970, where the line has one. */
  at?: number;
}

export interface Exposition {
  samples: Sample[];
  /** Metric -> the type its `# TYPE` line names. */
  types: Map<string, string>;
  malformed: { line: number; text: string }[];
}

const NAME = /^[A-Za-z_:][\w:]*$/;
const LABEL = /\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)/y;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', '\\': '\\', '"': '"' };

/** Throws when an OpenMetrics text has no `# EOF`: it was cut off, and what is missing has not ended. */
export const parseExposition = (text: string, isOpenMetrics: boolean): Exposition => {
  const found: Exposition = { samples: [], types: new Map(), malformed: [] };
  let ended = false;
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || ended) continue;
    if (line.startsWith('#')) {
      const [, word, metric = '', type = ''] = line.split(/\s+/);
      if (word === 'TYPE') found.types.set(metric, type);
      ended = isOpenMetrics && line === '# EOF';
      continue;
    }
    const sample = parseLine(line, isOpenMetrics);
    if (sample === null) found.malformed.push({ line: i + 1, text: line.slice(0, 120) });
    else found.samples.push(sample);
  }
  if (isOpenMetrics && !ended) throw new Error('the text has no # EOF: it was cut off');
  return found;
};

const parseLine = (line: string, isOpenMetrics: boolean): Sample | null => {
  const open = line.indexOf('{');
  const blank = line.search(/\s/);
  const hasLabels = open >= 0 && (blank < 0 || open < blank || line.slice(blank, open).trim() === '');
  const close = hasLabels ? closing(line, open) : -1;
  if (hasLabels ? close < 0 : blank < 0) return null;
  const metric = (hasLabels ? line.slice(0, open) : line.slice(0, blank)).trim();
  const labels = hasLabels ? parseLabels(line.slice(open + 1, close)) : new Map<string, string>();
  if (!NAME.test(metric) || labels === null) return null;
  // An exemplar follows after a `#` of its own.
  const rest = (hasLabels ? line.slice(close + 1) : line.slice(blank)).split(' #')[0] ?? '';
  const [value = '', time, ...more] = rest.trim().split(/\s+/);
  if (value === '' || more.length > 0 || !isNumber(value)) return null;
  if (time === undefined) return { metric, labels, value };
  const at = Number(time) * (isOpenMetrics ? 1000 : 1);
  return isNumber(time) && Number.isFinite(at) ? { metric, labels, value, at: Math.floor(at) } : null;
};

const isNumber = (text: string): boolean =>
  /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) || /^(?:[+-]?Inf(?:inity)?|NaN)$/i.test(text);

/** Place of the brace that closes; one inside a text closes nothing. */
const closing = (line: string, open: number): number => {
  let quoted = false;
  for (let i = open + 1; i < line.length; i++) {
    const c = line[i];
    if (quoted && c === '\\') i++;
    else if (c === '"') quoted = !quoted;
    else if (c === '}' && !quoted) return i;
  }
  return -1;
};

const parseLabels = (text: string): Map<string, string> | null => {
  const labels = new Map<string, string>();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length && text.slice(LABEL.lastIndex).trim() !== '') {
    const match = LABEL.exec(text);
    if (match === null) return null;
    const [, name = '', value = ''] = match;
    if (labels.has(name)) return null;
    labels.set(
      name,
      value.replace(/\\(.)/g, (whole, c: string) => ESCAPES[c] ?? whole),
    );
  }
  return labels;
};
