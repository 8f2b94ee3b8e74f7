/** The table of lines on paper: figures in columns, the small print below over the width that is left. */
import type { Group } from './groups.ts';
import { INK, LEFT, type Pages, RIGHT, RULE, SOFT, type Strip, WARN, WIDTH } from './pages.ts';
import type { Place, Style } from './pen.ts';
import type { Row, StepRow } from './rows.ts';

const NORMAL: Style = { face: 'regular', size: 8, color: INK };
const STRONG: Style = { ...NORMAL, face: 'bold' };
const SMALL: Style = { face: 'regular', size: 7, color: SOFT };
const HEAD: Style = { ...SMALL, face: 'bold' };
const LARGE: Style = { ...STRONG, size: 10 };

/** Height of a line of text, by its size. */
const NORMAL_LINE = 11;
const SMALL_LINE = 9;

type Column = Omit<Place, 'y'>;

const NO: Column = { x: LEFT, width: 20, align: 'left' };
const WHAT: Column = { x: 70, width: 215, align: 'left' };
const QUANTITY: Column = { x: 293, width: 92, align: 'right' };
const PRICE: Column = { x: 393, width: 72, align: 'right' };
const AMOUNT: Column = { x: 473, width: RIGHT - 473, align: 'right' };
const SMALL_PRINT: Column = { ...WHAT, width: PRICE.x + PRICE.width - WHAT.x };
const STEP: readonly [Column, Column, Column] = [
  { x: WHAT.x + 6, width: 170, align: 'left' },
  { x: 254, width: 131, align: 'right' },
  PRICE,
];

/** Lines between two pauses. A line takes about a millisecond: shaping its text is most of it. */
const BETWEEN_PAUSES = 8;

export async function drawLines(
  pages: Pages,
  groups: readonly Group[],
  currency: string,
  pause: () => Promise<void>,
): Promise<void> {
  const heads = headStrip(pages, currency);
  pages.place(heads);
  pages.repeated = heads;
  let drawn = 0;
  for (const group of groups) {
    const above = headingStrips(pages, group);
    for (const [i, row] of group.rows.entries()) {
      const strips = rowStrips(pages, row);
      const below = i === group.rows.length - 1 && group.sum !== null ? [sumStrip(pages, group.sum)] : [];
      pages.together([...(i === 0 ? above : []), ...strips, ...below]);
      if (++drawn % BETWEEN_PAUSES === 0) await pause();
    }
  }
  pages.repeated = null;
}

function headStrip(pages: Pages, currency: string): Strip {
  const names: [string, Column][] = [
    ['No', NO],
    ['What', WHAT],
    ['Quantity', QUANTITY],
    ['Unit price', PRICE],
    [`Amount ${currency}`, AMOUNT],
  ];
  return {
    height: 18,
    draw(y) {
      for (const [name, column] of names) pages.pen.put(name, HEAD, { ...column, y: y + 9 });
      pages.rule(y + 14, INK);
    },
  };
}

function headingStrips(pages: Pages, { account, title }: Group): Strip[] {
  const heading = (text: string, style: Style, height: number): Strip[] => {
    const [first = '', ...rest] = text === '' ? [] : pages.pen.wrap(text, style, WIDTH);
    if (first === '') return [];
    return [textStrip(pages, first, style, height, LEFT), ...rest.map((one) => textStrip(pages, one, style, 13, LEFT))];
  };
  return [...heading(account, LARGE, 22), ...heading(title, { ...STRONG, color: SOFT }, 17)];
}

/** One line of text that stands at the bottom of its strip. */
const textStrip = (pages: Pages, text: string, style: Style, height: number, x: number): Strip => ({
  height,
  draw: (y) => pages.pen.put(text, style, { x, width: RIGHT - x, align: 'left', y: y + height - 5 }),
});

function rowStrips(pages: Pages, row: Row): Strip[] {
  return [
    figures(pages, row),
    ...smallPrint(pages, [row.span], SMALL),
    ...row.steps.map((step) => stepStrip(pages, step)),
    ...smallPrint(pages, row.notes, SMALL),
    ...smallPrint(pages, row.warnings, { ...SMALL, color: WARN }),
    { height: 4, draw: () => undefined },
  ];
}

/** Each text in its column, broken into as many lines as it needs. */
function cells(pages: Pages, of: readonly (readonly [string, Style, Column])[], lead: number, top: number): Strip {
  const { pen } = pages;
  const broken = of.map(([text, style, column]) => ({ column, style, lines: pen.wrap(text, style, column.width) }));
  const most = Math.max(...broken.map(({ lines }) => lines.length));
  return {
    height: most * lead + top,
    draw(y) {
      for (const { column, style, lines } of broken) {
        lines.forEach((text, i) => {
          pen.put(text, style, { ...column, y: y + top + (i + 1) * lead - 3 });
        });
      }
    },
  };
}

function figures(pages: Pages, { no, name, quantity, price, amount }: Row): Strip {
  const figure = (text: string, column: Column): [string, Style, Column] => [
    text,
    pages.pen.fitting(text, NORMAL, column.width),
    column,
  ];
  const strip = cells(
    pages,
    [[no, NORMAL, NO], [name, NORMAL, WHAT], figure(quantity, QUANTITY), figure(price, PRICE), figure(amount, AMOUNT)],
    NORMAL_LINE,
    4,
  );
  return {
    height: strip.height,
    draw(y) {
      if (!pages.isTop(y)) pages.rule(y, RULE);
      strip.draw(y);
    },
  };
}

const smallPrint = (pages: Pages, texts: readonly string[], style: Style): Strip[] =>
  texts.flatMap((text) =>
    pages.pen
      .wrap(text, style, SMALL_PRINT.width)
      .map((line) => cells(pages, [[line, style, SMALL_PRINT]], SMALL_LINE, 0)),
  );

function stepStrip(pages: Pages, { text, reckoning, amount }: StepRow): Strip {
  const [what, how, much] = STEP;
  const fitted = (figure: string, column: Column): [string, Style, Column] => [
    figure,
    pages.pen.fitting(figure, SMALL, column.width),
    column,
  ];
  return cells(pages, [[text, SMALL, what], fitted(reckoning, how), fitted(amount, much)], SMALL_LINE, 0);
}

function sumStrip(pages: Pages, { text, amount }: { text: string; amount: string }): Strip {
  const column = { ...WHAT, width: PRICE.x + PRICE.width - WHAT.x };
  const fitted = pages.pen.fitting(amount, STRONG, AMOUNT.width);
  const strip = cells(
    pages,
    [
      [text, STRONG, column],
      [amount, fitted, AMOUNT],
    ],
    NORMAL_LINE,
    5,
  );
  return {
    height: strip.height + 4,
    draw(y) {
      pages.rule(y, INK);
      strip.draw(y);
    },
  };
}
