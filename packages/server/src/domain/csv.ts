/** CSV as RFC 4180 writes it, safe to open in a spreadsheet. */

/**
 * A cell that begins with one of these is run as a formula by spreadsheets; names come from tenants. A leading
 * apostrophe makes it text. Numbers of ours (a minus and digits) stay as they are.
 */
const FORMULA = /^[=+@\t\r]|^-(?!\d+(\.\d+)?$)/;

const cell = (value: string | null): string => {
  if (value === null) return '';
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** Unknown quantities are empty cells, never 0. The heads of the columns are a row too. */
export const csvRows = (rows: Iterable<readonly (string | null)[]>): string => {
  let text = '';
  for (const row of rows) text += `${row.map(cell).join(',')}\r\n`;
  return text;
};

export const csvText = (columns: readonly string[], rows: readonly (readonly (string | null)[])[]): string =>
  csvRows([columns, ...rows]);
