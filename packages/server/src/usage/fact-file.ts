/**
 * A file of facts, one JSON object a line: what `tollgate export` writes and `tollgate replay` reads. Receipt numbers,
 * stamps and series ids are kept, so that replay computes the same records from nothing else.
 *
 *   {"kind":"header","format":1,"from":..,"to":..,"frontier":.. , "accounts":[..] when it is a tenant's}
 *   {"kind":"series", ...Series}          before the readings that name it
 *   {"kind":"reading", series, t, value:"text", epoch, start, receipt, stamps, sourceTime}
 *   {"kind":"event", ...StoredEvent}
 *   {"kind":"declaration", ...Declaration}
 *   {"kind":"control", ...ControlFact}
 */
import type { ControlFact } from '../domain/control-fact.ts';
import type { Declaration, Receipt, SeriesReading, StoredEvent } from '../domain/fact.ts';
import type { Series } from '../domain/series.ts';
import { GROUPS_MAX } from '../domain/series.ts';
import type { Instant } from '../domain/window.ts';
import { UsageError } from './errors.ts';

export interface FactHeader {
  from: Instant;
  to: Instant;
  frontier: Receipt;
  /** Only usage of these accounts can be computed from the file; left away: all there is. */
  accounts?: readonly string[];
}

export type FactLine =
  | ({ kind: 'header'; format: 1 } & FactHeader)
  | ({ kind: 'series' } & Series)
  | ({ kind: 'reading' } & SeriesReading)
  | ({ kind: 'event' } & StoredEvent)
  | ({ kind: 'declaration' } & Declaration)
  | ({ kind: 'control' } & ControlFact);

export const writeLine = (line: FactLine): string =>
  `${JSON.stringify(line, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`;

const counterMax = 2n ** 64n - 1n;

/** Reads one line; `number` (from 1) is named when it is not one. */
export function readLine(text: string, number: number): FactLine {
  const line = parse(text, number);
  const wrong = (field: string): UsageError =>
    new UsageError('replay.line', `line ${number}: ${field} is missing or not allowed`);
  const whole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  switch (line.kind) {
    case 'header':
      for (const field of ['from', 'to', 'frontier'] as const) if (!whole(line[field])) throw wrong(field);
      if (line.format !== 1)
        throw new UsageError('replay.format', `line ${number}: format ${line.format} is not known here`);
      if (line.accounts !== undefined && !isTexts(line.accounts)) throw wrong('accounts');
      return line;
    case 'series':
      if (!whole(line.id) || line.id >= 2 ** 26 * GROUPS_MAX) throw wrong('id');
      for (const field of ['tenant', 'source', 'resource', 'meter'] as const)
        if (typeof line[field] !== 'string') throw wrong(field);
      return line;
    case 'reading':
      for (const field of ['series', 't', 'epoch', 'start', 'receipt', 'stamps', 'sourceTime'] as const)
        if (!whole(line[field])) throw wrong(field);
      return { ...line, value: counterValue(line.value, wrong) };
    case 'event':
      for (const field of ['tenant', 'source', 'id', 'type', 'subject', 'data', 'set'] as const)
        if (typeof line[field] !== 'string') throw wrong(field);
      for (const field of ['t', 'receipt', 'stamps'] as const) if (!whole(line[field])) throw wrong(field);
      return line;
    case 'declaration':
    case 'control':
      if (!whole(line.receipt)) throw wrong('receipt');
      return line;
    default:
      throw new UsageError(
        'replay.line',
        `line ${number}: kind is none of header, series, reading, event, declaration, control`,
      );
  }
}

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((v) => typeof v === 'string');

function counterValue(value: unknown, wrong: (field: string) => UsageError): bigint {
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) throw wrong('value');
  const read = BigInt(value);
  if (read > counterMax) throw wrong('value');
  return read;
}

function parse(text: string, number: number): FactLine {
  try {
    const line: unknown = JSON.parse(text);
    if (typeof line === 'object' && line !== null) return line as FactLine;
  } catch {
    // Falls through to the same answer as for a number or a text: this is no line of facts.
  }
  throw new UsageError('replay.line', `line ${number} is not a JSON object`);
}
