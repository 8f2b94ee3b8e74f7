/**
 * An invoice as PDF, A4. The same document and standing make the same bytes: the file's date is the invoice's, its id the
 * document's digest, its fonts come with the program, or by name.
 */
import PDFDocument from 'pdfkit';
import type { Instant } from '../../domain/window.ts';
import { breath } from '../../usage/breath.ts';
import { digestOf } from '../invoice/canonical.ts';
import type { InvoiceDocument } from '../invoice/document.ts';
import { loadFonts } from './fonts.ts';
import { INK, LEFT, Pages, RIGHT, RULE, SOFT, type Strip, WARN, WIDTH } from './pages.ts';
import { drawLines } from './pdf-lines.ts';
import { type Doc, Pen, type Style } from './pen.ts';
import { type Block, type Sheet, sheetOf } from './sheet.ts';
import type { Standing } from './standing.ts';
import type { Sum } from './sums.ts';

const TITLE: Style = { face: 'bold', size: 18, color: INK };
const NORMAL: Style = { face: 'regular', size: 8, color: INK };
const STRONG: Style = { ...NORMAL, face: 'bold' };
const SMALL: Style = { face: 'regular', size: 7, color: SOFT };
const LABEL: Style = { ...SMALL, face: 'bold' };
const TOTAL: Style = { ...STRONG, size: 10 };
const LINE = 11;

/**
 * `font`: a file with what DejaVu lacks; '' for none. Everything else has its turn every few milliseconds while it draws;
 * memory is about 0.1 MB a line.
 */
export async function renderPdf(document: InvoiceDocument, standing: Standing, font = ''): Promise<Buffer> {
  const fonts = await loadFonts(font);
  const sheet = sheetOf(document, standing);
  const doc = new PDFDocument({
    size: 'A4',
    margin: 0,
    bufferPages: true,
    font: '',
    lang: 'en',
    displayTitle: true,
    info: { Title: sheet.title, Author: sheet.seller.lines[0] ?? '', Creator: 'Tollgate', Producer: 'Tollgate' },
  });
  const whole = bytesOf(doc);
  datedAndNamed(doc, standing.issuedAt ?? document.to, `${sheet.title} ${sheet.digest}`);
  const pages = new Pages(new Pen(doc, fonts));
  drawTop(pages, sheet);
  await drawLines(pages, sheet.groups, sheet.currency, breath);
  pages.gap(14);
  pages.together(sheet.sums.map((sum) => sumStrip(pages, sum)));
  for (const block of sheet.closing) drawBlock(pages, block);
  await drawEdges(pages, sheet);
  doc.end();
  return whole;
}

function bytesOf(doc: Doc): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    doc.on('data', (chunk: Buffer) => chunks.push(chunk));
    doc.on('end', () => resolve(Buffer.concat(chunks)));
    doc.on('error', reject);
  });
}

/** In place of the clock's time and what the library makes of it. */
function datedAndNamed(doc: Doc, at: Instant, name: string): void {
  doc.info.CreationDate?.setTime(at);
  (doc as unknown as { _id: Buffer })._id = Buffer.from(digestOf(name).slice(0, 32), 'hex');
}

function drawTop(pages: Pages, { title, seller, buyer, notices, facts }: Sheet): void {
  const { pen } = pages;
  for (const [i, text] of pen.wrap(title, TITLE, WIDTH).entries())
    pages.place(textStrip(pages, text, TITLE, i === 0 ? 18 : 22, LEFT));
  pages.gap(7);
  pages.rule(pages.y, INK);
  pages.gap(12);
  for (const notice of notices) drawNotice(pages, notice);
  const columns = [partyLines(pages, seller, LEFT), partyLines(pages, buyer, 212), factLines(pages, facts)];
  // Side by side, line by line: an address longer than the page goes on with the next one.
  const most = Math.max(...columns.map((column) => column.length));
  for (let i = 0; i < most; i++) {
    pages.place({
      height: LINE,
      draw(y) {
        for (const column of columns) column[i]?.(y);
      },
    });
  }
  pages.gap(16);
}

type Draw = (y: number) => void;

const PARTY_WIDTH = 150;

function partyLines({ pen }: Pages, { title, lines }: Block, x: number): Draw[] {
  const draw = (text: string, style: Style): Draw[] =>
    pen
      .wrap(text, style, PARTY_WIDTH)
      .map((line) => (y) => pen.put(line, style, { x, y: y + 8, width: PARTY_WIDTH, align: 'left' }));
  return [...draw(title, LABEL), ...lines.flatMap((line, i) => draw(line, i === 0 ? STRONG : NORMAL))];
}

function factLines({ pen }: Pages, facts: Sheet['facts']): Draw[] {
  const [names, values] = [
    { x: 378, width: 50, align: 'left' },
    { x: 431, width: RIGHT - 431, align: 'left' },
  ] as const;
  return facts.flatMap(([name, value]) =>
    pen.wrap(value, NORMAL, values.width).map(
      (line, i): Draw =>
        (y) => {
          if (i === 0) pen.put(name, { ...NORMAL, color: SOFT }, { ...names, y: y + 8 });
          pen.put(line, NORMAL, { ...values, y: y + 8 });
        },
    ),
  );
}

const textStrip = ({ pen }: Pages, text: string, style: Style, height: number, x: number): Strip => ({
  height,
  draw: (y) => pen.put(text, style, { x, width: RIGHT - x, align: 'left', y: y + height - 3 }),
});

/** With a bar beside it, so that nobody overlooks it. */
function drawNotice(pages: Pages, { title, lines }: Block): void {
  const strips = blockStrips(pages, title, lines, { ...STRONG, color: WARN }, LEFT + 10);
  const barred = strips.map(
    (strip): Strip => ({
      height: strip.height,
      draw(y) {
        pages.pen.doc.rect(LEFT, y, 3, strip.height).fill(WARN);
        strip.draw(y);
      },
    }),
  );
  pages.together(barred);
  pages.gap(12);
}

function drawBlock(pages: Pages, { title, lines }: Block): void {
  pages.gap(12);
  pages.together(blockStrips(pages, title, lines, STRONG, LEFT));
}

function blockStrips(pages: Pages, title: string, lines: readonly string[], heading: Style, x: number): Strip[] {
  const strips = (text: string, style: Style): Strip[] =>
    pages.pen.wrap(text, style, RIGHT - x).map((line) => textStrip(pages, line, style, LINE, x));
  return [...strips(title, heading), ...lines.flatMap((line) => strips(line, NORMAL))];
}

const SUM_LEFT = 300;

function sumStrip(pages: Pages, { text, note, amount, weight }: Sum): Strip {
  const { pen } = pages;
  const style = weight === 'plain' ? NORMAL : weight === 'total' ? TOTAL : STRONG;
  const figure = { x: 440, width: RIGHT - 440, align: 'right' } as const;
  const names = [
    ...pen.wrap(text, style, figure.x - SUM_LEFT - 8).map((line) => [line, style] as const),
    ...(note === '' ? [] : pen.wrap(note, SMALL, figure.x - SUM_LEFT - 8).map((line) => [line, SMALL] as const)),
  ];
  return {
    height: names.length * LINE + 7,
    draw(y) {
      pages.rule(y, weight === 'total' ? INK : RULE, SUM_LEFT);
      names.forEach(([line, of], i) => {
        pen.put(line, of, { x: SUM_LEFT, width: figure.x - SUM_LEFT, align: 'left', y: y + 13 + i * LINE });
      });
      pen.put(amount, pen.fitting(amount, style, figure.width), { ...figure, y: y + 13 });
    },
  };
}

/** What every page has: its number of all, the footer, the stamp. */
async function drawEdges(pages: Pages, { stamp, footer, title }: Sheet): Promise<void> {
  const { pen } = pages;
  const { doc } = pen;
  const { count } = doc.bufferedPageRange();
  const foot = { x: LEFT, width: WIDTH } as const;
  const [line = ''] = pen.wrap(title, SMALL, WIDTH - 60);
  for (let i = 0; i < count; i++) {
    doc.switchToPage(i);
    if (stamp !== '') drawStamp(pen, stamp);
    pages.rule(788, RULE);
    pen.put(line, LABEL, { ...foot, align: 'left', y: 800 });
    pen.put(`${i + 1} / ${count}`, SMALL, { ...foot, align: 'right', y: 800 });
    const [first = ''] = pen.wrap(footer, SMALL, WIDTH);
    pen.put(first, SMALL, { ...foot, align: 'left', y: 811 });
    packFirst(doc);
    await breath();
  }
}

/** The library packs all pages in one go at the end, 3 ms each; so the first that is left is packed as it does it. */
function packFirst(doc: Doc): void {
  const inner = doc as unknown as {
    _pageBuffer: { end(): void }[];
    _pageBufferStart: number;
    endPageMarkings(page: unknown): void;
  };
  const page = inner._pageBuffer.shift();
  if (page === undefined) return;
  inner._pageBufferStart++;
  inner.endPageMarkings(page);
  page.end();
}

function drawStamp(pen: Pen, stamp: string): void {
  const { doc } = pen;
  const style: Style = { face: 'bold', size: 120, color: '#c0392b' };
  const [x, y] = [(LEFT + RIGHT) / 2, 460];
  doc.save();
  doc.rotate(-32, { origin: [x, y] }).fillOpacity(12 / 100);
  const width = pen.width(stamp, style);
  pen.put(stamp, style, { x: x - width / 2, y, width, align: 'left' });
  doc.restore();
}
