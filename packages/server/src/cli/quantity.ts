/** Quantities for people: exact digits in groups of three, and near it in words. */
import { plainUnit } from '../domain/quantity.ts';

/** `447922137` to `447,922,137`; decimals stay as they are. */
export const grouped = (quantity: string): string => {
  const [whole = '', fraction] = quantity.split('.');
  const digits = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? digits : `${digits}.${fraction}`;
};

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'] as const;

/** Bytes with decimal prefixes, cut (never rounded up) to three figures: `447 MB`. '' for small or other figures. */
export const near = (quantity: string | null, unit: string): string => {
  const whole = quantity?.split('.')[0] ?? '';
  if (unit !== 'By' || whole.startsWith('-') || whole.length < 4) return '';
  const step = Math.min(Math.floor((whole.length - 1) / 3), PREFIXES.length - 1);
  const before = whole.slice(0, whole.length - step * 3);
  const after = whole.slice(before.length, before.length + Math.max(0, 3 - before.length));
  return `${grouped(before)}${after === '' ? '' : `.${after}`} ${PREFIXES[step]}B`;
};

/** What stands behind a quantity: nothing where things are only counted. */
export const unitText = (unit: string): string => (unit === '1' || unit === '' ? '' : plainUnit(unit));
