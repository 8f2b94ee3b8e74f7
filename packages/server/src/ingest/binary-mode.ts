/** CloudEvents in binary mode: attributes in `ce-` headers, the body is the data. */
import { nameBytes, nameCode } from './attribute-names.ts';
import type { EventColumns } from './columns.ts';
import { attribute, beginEvent, type EventLimits, endEvent, takeData } from './event-parts.ts';
import { resetNotes, wholeValue } from './scan.ts';

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A header value by the HTTP binding of CloudEvents: percent-encoded UTF-8, perhaps in double quotes. Null: not decodable. */
const headerText = (value: string): string | null => {
  const plain = /^"(.*)"$/s.exec(value.trim())?.[1]?.replace(/\\(.)/gs, '$1') ?? value.trim();
  try {
    return decodeURIComponent(plain.replace(/%(?![0-9A-Fa-f]{2})/g, '%25'));
  } catch {
    return null;
  }
};

const jsonType = (type: string): boolean => /^[^;]*[/+]json\s*(;|$)/i.test(type);

/** Binary mode: attributes in `ce-` headers, the body is the data. Throws JsonError when a JSON body is broken. */
export function binaryEvent(cols: EventColumns, headers: Headers, limits: EventLimits): void {
  const body = cols.bytes;
  cols.single = true;
  const p = beginEvent(cols);
  const parts: Buffer[] = [body];
  let at = body.length;
  const given: [number, Buffer][] = [];
  for (const { name } of nameBytes) {
    const raw = headers[`ce-${name}`];
    if (raw === undefined || name === 'data' || name === 'data_base64') continue;
    const text = typeof raw === 'string' ? headerText(raw) : null;
    if (text === null) cols.reject(p, 'event.bad_attribute', name, `The header ce-${name} cannot be decoded.`);
    // Written as a JSON string, so that one piece of code checks attributes of every mode.
    else given.push([nameCode[name] as number, Buffer.from(JSON.stringify(text))]);
  }
  for (const [, text] of given) parts.push(text);
  cols.bytes = Buffer.concat(parts);
  for (const [code, text] of given) {
    attribute(cols, p, code, at, limits.attributeBytes);
    at += text.length;
  }
  binaryData(cols, p, body, String(headers['content-type'] ?? ''), limits);
  endEvent(cols, p);
}

function binaryData(cols: EventColumns, p: number, body: Buffer, type: string, limits: EventLimits): void {
  if (body.length === 0) return;
  if (type !== '' && !jsonType(type)) {
    cols.reject(p, 'event.bad_data', 'data', `The data must be JSON; ${type} is not read.`);
    return;
  }
  resetNotes();
  const [start, end] = wholeValue(body);
  takeData(cols, p, start, end, limits);
}
