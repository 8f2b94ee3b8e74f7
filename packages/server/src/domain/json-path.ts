/**
 * Paths into an event's data: `$`, `$.a.b`, `$['a b']`, `$.list[0]`. No wildcards and no filters: a path names at most
 * one value, so that a meter never has to say which of several it meant.
 */
import { JsonNumber, type JsonObject, type JsonValue } from './json-exact.ts';

/** Steps from the root: names of objects, indexes of arrays. */
export type JsonPath = readonly (string | number)[];

const MAX_LENGTH = 512;
const MAX_STEPS = 32;
const STEP = /\.([^.[\]'"\s]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\['\\])*)'\]|\["((?:[^"\\]|\\["\\])*)"\]/y;

/** The steps of a path, or null when the text is not one. */
export function parsePath(text: string): JsonPath | null {
  if (!text.startsWith('$') || text.length > MAX_LENGTH) return null;
  const steps: (string | number)[] = [];
  for (let at = 1; at < text.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const match = STEP.exec(text);
    if (match === null || steps.length === MAX_STEPS) return null;
    const [, name, index, single, double] = match;
    if (index !== undefined) steps.push(Number(index));
    else steps.push(name ?? (single ?? double ?? '').replace(/\\(.)/g, '$1'));
  }
  // `*` would read as a name: refuse what other path languages give another meaning.
  return steps.some((s) => s === '*') ? null : steps;
}

/** The value the path names, or undefined when there is none. */
export function valueAt(root: JsonValue, path: JsonPath): JsonValue | undefined {
  let value: JsonValue | undefined = root;
  for (const step of path) {
    if (typeof step === 'number') value = Array.isArray(value) ? (value[step] as JsonValue | undefined) : undefined;
    else value = value instanceof Map ? (value as JsonObject).get(step) : undefined;
    if (value === undefined) return undefined;
  }
  return value;
}

/** JSON pointer (RFC 6901) of a path, below `prefix`. */
export const pointerOf = (path: JsonPath, prefix = ''): string =>
  prefix + path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/**
 * A value as the text of a dimension, a filter or a distinct value: strings as they are, numbers as they were written,
 * `true` and `false`; '' for null, what is missing, and arrays and objects.
 */
export function textOf(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  if (value instanceof JsonNumber) return value.text;
  return typeof value === 'boolean' ? String(value) : '';
}
