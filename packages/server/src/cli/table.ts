/** Tables for people: columns as wide as they need to be, numbers to the right. */
export interface Column<R> {
  title: string;
  cell(row: R): string;
  right?: boolean;
}

/** Code points above this are drawn two columns wide (CJK, emoji), near enough for alignment. */
const WIDE_FROM = 0x1100;
const widthOf = (text: string): number => {
  let width = 0;
  for (const c of text) width += (c.codePointAt(0) ?? 0) >= WIDE_FROM ? 2 : 1;
  return width;
};

/** Names come from tenants: nothing in them may move the cursor, colour the terminal, or turn round what is beside them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;
export const plain = (text: string): string => text.replace(HARMFUL, '�');

const pad = (text: string, width: number, right: boolean): string => {
  const gap = ' '.repeat(Math.max(0, width - widthOf(text)));
  return right ? gap + text : text + gap;
};

/** Lines with a head; '' for no rows. Columns that are empty in every row are left out. */
export const table = <R>(rows: readonly R[], columns: readonly Column<R>[]): string => {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => columns.map((column) => plain(column.cell(row))));
  const used = columns.map((_, i) => cells.some((line) => line[i] !== ''));
  const widths = columns.map((column, i) =>
    Math.max(widthOf(column.title), ...cells.map((line) => widthOf(line[i] ?? ''))),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => pad(text, widths[i] ?? 0, columns[i]?.right === true))
      .filter((_, i) => used[i])
      .join('  ')
      .trimEnd();
  return [line(columns.map((c) => c.title)), ...cells.map(line)].map((l) => `${l}\n`).join('');
};
