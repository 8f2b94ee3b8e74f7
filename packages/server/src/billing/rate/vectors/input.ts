/** Reading a vector's input: fields by name, numbers exactly. */
import { parseInstant } from '../../../domain/calendar.ts';
import { safeInteger } from '../../../domain/money/integer.ts';
import { divide, ofDecimal, type Ratio, ratio, roundTo } from '../../../domain/money/ratio.ts';
import type { Instant } from '../../../domain/window.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** A vector that cannot be rated: says which field and why. */
export class VectorError extends Error {
  override name = 'VectorError';
}

const shown = (value: Json | undefined): string => JSON.stringify(value)?.slice(0, 80) ?? 'nothing';

/** An object of a vector, with its place for messages. */
export class Fields {
  readonly place: string;
  private readonly values: { readonly [name: string]: Json };

  constructor(value: Json | undefined, place: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new VectorError(`${place} must be an object, not ${shown(value)}`);
    this.place = place;
    this.values = value as { readonly [name: string]: Json };
  }

  names(): string[] {
    return Object.keys(this.values);
  }

  has(name: string): boolean {
    return this.values[name] !== undefined && this.values[name] !== null;
  }

  raw(name: string): Json | undefined {
    return Object.hasOwn(this.values, name) ? this.values[name] : undefined;
  }

  object(name: string): Fields {
    return new Fields(this.raw(name), `${this.place}.${name}`);
  }

  list(name: string): Json[] {
    const value = this.raw(name);
    if (!Array.isArray(value)) throw this.wrong(name, 'a list', value);
    return value as Json[];
  }

  objects(name: string): Fields[] {
    return this.list(name).map((value, at) => new Fields(value, `${this.place}.${name}[${at}]`));
  }

  text(name: string): string {
    const value = this.raw(name);
    if (typeof value !== 'string') throw this.wrong(name, 'a text', value);
    return value;
  }

  flag(name: string): boolean {
    const value = this.raw(name);
    if (typeof value !== 'boolean') throw this.wrong(name, 'true or false', value);
    return value;
  }

  /** A decimal as it is written; a JSON number only where it is a whole one, because others have lost digits. */
  decimal(name: string): string {
    return this.decimalOf(this.raw(name), name);
  }

  decimalOr<T>(name: string, otherwise: T): string | T {
    return this.has(name) ? this.decimal(name) : otherwise;
  }

  ratio(name: string): Ratio {
    return ofDecimal(this.decimal(name));
  }

  ratioOr(name: string, otherwise: Ratio): Ratio {
    return this.has(name) ? this.ratio(name) : otherwise;
  }

  decimals(name: string): Ratio[] {
    return this.list(name).map((value) => ofDecimal(this.decimalOf(value, name)));
  }

  integer(name: string): bigint {
    const value = this.ratio(name);
    if (value.d !== 1n) throw this.wrong(name, 'a whole number', this.raw(name));
    return value.n;
  }

  integers(name: string): bigint[] {
    return this.list(name).map((value) => {
      const r = ofDecimal(this.decimalOf(value, name));
      if (r.d !== 1n) throw this.wrong(name, 'whole numbers', value);
      return r.n;
    });
  }

  count(name: string): number {
    return safeInteger(this.integer(name));
  }

  /** A day or a time, of UTC where it does not say. */
  instant(name: string): Instant {
    return instantOf(this.text(name));
  }

  /** [first day, first day after). */
  span(name: string): { from: Instant; to: Instant } {
    const [from, to] = this.list(name);
    if (typeof from !== 'string' || typeof to !== 'string') throw this.wrong(name, 'two days', this.raw(name));
    return { from: instantOf(from), to: instantOf(to) };
  }

  /** `719/60` or `24`, hours after an instant. */
  hoursAfter(start: Instant, name: string): Instant {
    const value = this.raw(name);
    const [n = '', d = '1'] = (typeof value === 'string' ? value : this.decimal(name)).split('/');
    const ms = divide(ratio(ofDecimal(n).n * 3_600_000n, ofDecimal(n).d), ofDecimal(d));
    return start + safeInteger(roundTo(ms, 0, 'half-even'));
  }

  private decimalOf(value: Json | undefined, name: string): string {
    if (typeof value === 'string') return value;
    if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
    throw this.wrong(name, 'a decimal as text', value);
  }

  private wrong(name: string, what: string, value: Json | undefined): VectorError {
    return new VectorError(`${this.place}.${name} must be ${what}, not ${shown(value)}`);
  }
}

export const DAY_MS = 86_400_000;

const instantOf = (text: string): Instant => parseInstant(text, 'UTC');
