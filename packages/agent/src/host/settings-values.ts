/** One value: from the text a person wrote to what the program works with, or refused with its bounds. */

export interface Kinds {
  text: string;
  /** A file or folder; relative to the settings file that names it, else to the current folder. */
  path: string;
  /** http:// or https:// */
  address: string;
  whole: number;
  /** Milliseconds; written with a unit, `10s`. */
  duration: number;
  /** Bytes; written with or without a unit, `64MiB`. */
  bytes: number;
  switch: boolean;
  /** Words separated by commas. */
  words: readonly string[];
  /** Words by name, as a YAML map. */
  pairs: Readonly<Record<string, string>>;
  /** A YAML list of maps, each with the columns of its setting. */
  rows: readonly Row[];
}
export type Row = Readonly<Record<string, unknown>>;
export type Kind = keyof Kinds;

export interface Setting<K extends Kind = Kind> {
  kind: K;
  fallback: Kinds[K];
  /** Inclusive, in the unit of the kind. Of texts and words: their length. */
  min: number;
  max: number;
  /** What a whole number counts. */
  unit: string;
  /** Allowed texts; empty: any. */
  oneOf: readonly string[];
  /** Of rows: what each may have. One without a fallback must be there. */
  columns?: Readonly<Record<string, Setting & { required?: boolean }>>;
  about: string;
}

const scales: Readonly<Record<'duration' | 'bytes', readonly (readonly [unit: string, factor: number])[]>> = {
  duration: [
    ['ms', 1],
    ['s', 1000],
    ['m', 60_000],
    ['h', 3_600_000],
    ['d', 86_400_000],
  ],
  bytes: [
    ['', 1],
    ['B', 1],
    ['kB', 1000],
    ['KiB', 1024],
    ['MB', 1e6],
    ['MiB', 1024 ** 2],
    ['GB', 1e9],
    ['GiB', 1024 ** 3],
    ['TB', 1e12],
    ['TiB', 1024 ** 4],
  ],
};

/** As a person would write it: the largest unit that says it in a whole number. */
const scaled = (kind: 'duration' | 'bytes', value: number): string => {
  if (value === 0) return kind === 'duration' ? '0s' : '0';
  const fit = scales[kind].filter(([unit, factor]) => value % factor === 0 && unit !== 'B');
  const [unit, factor] = fit.sort((a, b) => b[1] - a[1])[0] ?? ['', 1];
  return `${value / factor}${unit}`;
};

export const showValue = (setting: Pick<Setting, 'kind'>, value: unknown): string => {
  if (setting.kind === 'duration' || setting.kind === 'bytes') return scaled(setting.kind, Number(value));
  if (setting.kind === 'pairs' || setting.kind === 'rows') return JSON.stringify(value);
  return Array.isArray(value) ? value.join(',') : String(value);
};

/** What a value must be, as the rest of a sentence that begins with "wants". */
export const boundsOf = (s: Setting): string => {
  const span = `from ${showValue(s, s.min)} to ${showValue(s, s.max)}`;
  switch (s.kind) {
    case 'switch':
      return 'true or false';
    case 'duration':
      return `a time with its unit (ms, s, m, h, d), ${span}`;
    case 'bytes':
      return `bytes, with or without a unit (kB, KiB, MB, MiB ...), ${span}`;
    case 'whole':
      return `a whole number${s.unit === '' ? '' : ` of ${s.unit}`} ${span}`;
    case 'address':
      return `an address, http://... or https://..., of at most ${s.max} characters`;
    case 'words':
      return s.oneOf.length > 0 ? `some of ${s.oneOf.join(', ')}` : 'words separated by commas';
    case 'pairs':
      return `lines of "name: word"${s.oneOf.length > 0 ? `, each word one of ${s.oneOf.join(', ')}` : ''}`;
    case 'rows':
      return `a list, each with ${Object.keys(s.columns ?? {}).join(', ')}`;
    case 'path':
      return `a path of at most ${s.max} characters`;
    case 'text':
      return s.oneOf.length > 0 ? `one of ${s.oneOf.join(', ')}` : `a text of ${s.min} to ${s.max} characters`;
  }
};

const within = (s: Setting, n: number): number | undefined => (n >= s.min && n <= s.max ? n : undefined);

const measured = (s: Setting, kind: 'duration' | 'bytes', text: string): number | undefined => {
  const [, digits = '', unit = ''] = /^(\d{1,15}) ?([A-Za-z]*)$/.exec(text) ?? [];
  if (digits === '') return undefined;
  // Zero is zero in any unit; any other time without a unit could be seconds or milliseconds.
  const factor = scales[kind].find(([name]) => name === unit)?.[1] ?? (Number(digits) === 0 && unit === '' ? 1 : 0);
  const n = Number(digits) * factor;
  return factor === 0 || !Number.isSafeInteger(n) ? undefined : within(s, n);
};

const switches: Readonly<Record<string, boolean>> = { true: true, yes: true, on: true, 1: true };
const offs: Readonly<Record<string, boolean>> = { false: false, no: false, off: false, 0: false };

const isAddress = (text: string): boolean => /^https?:\/\/[^\s/]+/.test(text) && URL.canParse(text);
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;

/** undefined: refused. Pairs and rows are no text: see config-pollers.ts. */
export const parseValue = (s: Setting, text: string): Kinds[Kind] | undefined => {
  if (CONTROL.test(text)) return undefined;
  switch (s.kind) {
    case 'switch':
      return switches[text.toLowerCase()] ?? offs[text.toLowerCase()];
    case 'duration':
    case 'bytes':
      return measured(s, s.kind, text);
    case 'whole':
      return /^\d{1,15}$/.test(text) ? within(s, Number(text)) : undefined;
    case 'address':
      return text.length <= s.max && isAddress(text) ? text : undefined;
    case 'words': {
      const words = text.split(/\s*,\s*/).filter((word) => word !== '');
      return s.oneOf.length === 0 || words.every((word) => s.oneOf.includes(word)) ? words : undefined;
    }
    case 'pairs':
    case 'rows':
      return undefined;
    case 'path':
    case 'text':
      if (text.length < s.min || text.length > s.max) return undefined;
      return s.oneOf.length === 0 || s.oneOf.includes(text) ? text : undefined;
  }
};
