/** Whether two events say the same, however their JSON is written: key order and white space do not matter. */
import type { StoredEvent } from '../domain/fact.ts';
import { JsonNumber, type JsonValue, readJson } from '../domain/json-exact.ts';

type Content = Pick<StoredEvent, 'type' | 'subject' | 'data'>;

/** Numbers are compared as written: 1 and 1.0 may be two amounts of work to someone who sums digits, and are two contents. */
function canonical(value: JsonValue): string {
  if (value instanceof JsonNumber) return value.text;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof Map)
    return `{${[...(value as ReadonlyMap<string, JsonValue>)]
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`)
      .join(',')}}`;
  return `[${(value as readonly JsonValue[]).map(canonical).join(',')}]`;
}

export function sameContent(a: Content, b: Content): boolean {
  if (a.type !== b.type || a.subject !== b.subject) return false;
  if (a.data === b.data) return true;
  if (a.data === '' || b.data === '') return false;
  try {
    return canonical(readJson(a.data)) === canonical(readJson(b.data));
  } catch {
    // Stored by an older version that took more: then only the same bytes are the same.
    return false;
  }
}
