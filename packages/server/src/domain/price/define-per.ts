/** What one priced unit is: `GB`, `1000`, `10 GB`, `vm month`. From the unit of a meter to what is divided by. */
import { Misread, quoted, unitsOf } from '../limit/amount.ts';
import type { Metered } from '../limit/metered-unit.ts';
import { exactText, multiply, ofDecimal } from '../money/ratio.ts';
import { plainUnit } from '../quantity.ts';
import { readPositive } from './decimal.ts';
import type { DecimalText, UsagePrice } from './price.ts';

export type Per = Omit<NonNullable<UsagePrice['per']>, 'round'>;

/** Levels are metered in unit-hours. */
const HOURS = '.h';
const TIMES = /^(?:(.*?)[\s.]+)?(h|hours?|months?)$/;

/** In units of the meter; `GB month` of a level is by the hours of the period too. */
export function readPer(text: string, { unit }: Metered): Per | Misread {
  const level = unit.endsWith(HOURS);
  const time = TIMES.exec(text);
  if (level && time === null)
    return new Misread(`${quoted(text)}: a level is metered over time, say \`${text} hour\` or \`${text} month\``);
  if (!level || time === null) {
    const size = sizeOf(text, unit);
    return size instanceof Misread ? size : { divideBy: size, unit: nameOf(text, unit) };
  }
  const own = unit.slice(0, -HOURS.length);
  const amount = time[1] ?? '1';
  const size = sizeOf(amount, own);
  if (size instanceof Misread) return size;
  if (!time[2]?.startsWith('month')) return { divideBy: size, unit: `${nameOf(amount, own)} h` };
  const by: Per = { divideBy: 'month', unit: `${nameOf(amount, own)} month` };
  return size === '1' ? by : { ...by, size };
}

/** Units of the meter, exactly: `GB` is 1000000000 bytes. */
function sizeOf(text: string, unit: string): DecimalText | Misread {
  const [, digits = '', word = ''] = /^(\d[\d.]*)?\s*(.*)$/.exec(text) ?? [];
  const units = unitsOf(unit);
  const factor = word === '' ? 1n : units.get(word);
  if (factor === undefined) {
    const allowed = units.size === 0 ? 'a number' : `a number, and ${[...units.keys()].join(', ')}`;
    return new Misread(
      `${quoted(word)} does not fit the meter, which counts ${plainUnit(unit)}; allowed is ${allowed}`,
    );
  }
  const count = readPositive(digits === '' ? '1' : digits);
  if (count instanceof Misread) return count;
  return exactText(multiply(ofDecimal(count), { n: factor, d: 1n }));
}

/** What the invoice writes behind a quantity. */
const nameOf = (text: string, unit: string): string => {
  if (text === '1') return plainUnit(unit);
  return /^[\d.]+$/.test(text) ? `${text} ${plainUnit(unit)}` : text;
};
