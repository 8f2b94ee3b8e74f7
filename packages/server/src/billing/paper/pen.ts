/** Text on a page of a PDF: measured, broken into lines, drawn. All lengths are points. */
import type PDFDocument from 'pdfkit';
import type { Face, Fonts } from './fonts.ts';
import { type Run, runsOf } from './runs.ts';

export type Doc = InstanceType<typeof PDFDocument>;

export interface Style {
  face: Face;
  /** 5 .. 20, or that of a stamp. */
  size: number;
  color: string;
}

export interface Place {
  x: number;
  /** Of the text's baseline. */
  y: number;
  /** Where `align` is right: the place it ends. */
  width: number;
  align: 'left' | 'right';
}

/** Least size of figures: below it they are broken into lines instead. */
const SIZE_MIN = 5;

export class Pen {
  readonly doc: Doc;
  private readonly fonts: Fonts;

  constructor(doc: Doc, fonts: Fonts) {
    this.doc = doc;
    this.fonts = fonts;
    // A font that is open already may be given too: it is not parsed again for each document.
    for (const [name, font] of fonts.entries()) doc.registerFont(name, font as unknown as Uint8Array);
  }

  width(text: string, { face, size }: Style): number {
    return this.runs(text, face).reduce((sum, run) => sum + this.runWidth(run, size), 0);
  }

  /** Lines that fit the width: broken at blanks, and within a word only where it is too long by itself. */
  wrap(text: string, style: Style, width: number): string[] {
    if (this.width(text, style) <= width) return [text];
    const blank = this.width(' ', style);
    const lines: string[] = [];
    let [line, used] = ['', 0];
    for (const word of text.split(' ').flatMap((one) => this.pieces(one, style, width))) {
      const wide = this.width(word.text, style);
      const gap = line === '' || word.glued ? 0 : blank;
      if (line !== '' && used + gap + wide > width) {
        lines.push(line);
        [line, used] = [word.text, wide];
      } else {
        [line, used] = [line + (gap === 0 ? '' : ' ') + word.text, used + gap + wide];
      }
    }
    return [...lines, line];
  }

  /** The style, with the largest size at which the text fits the width: figures are not broken while that can be helped. */
  fitting(text: string, style: Style, width: number): Style {
    let { size } = style;
    while (size > SIZE_MIN && this.width(text, { ...style, size }) > width) size--;
    return { ...style, size };
  }

  put(text: string, { face, size, color }: Style, { x, y, width, align }: Place): void {
    const runs = this.runs(text, face);
    const wide = align === 'right' ? this.width(text, { face, size, color }) : 0;
    let at = align === 'right' ? x + width - wide : x;
    this.doc.fillColor(color);
    for (const run of runs) {
      this.doc.font(run.font, size).text(run.text, at, y, { lineBreak: false, baseline: 'alphabetic' });
      at += this.runWidth(run, size);
    }
  }

  private runs(text: string, face: Face): Run[] {
    return runsOf(text, face, (codePoint) => this.fonts.has(codePoint));
  }

  private runWidth({ font, text }: Run, size: number): number {
    return this.doc.font(font, size).widthOfString(text);
  }

  /** A word, or what of it fits a line each. */
  private pieces(word: string, style: Style, width: number): { text: string; glued: boolean }[] {
    if (this.width(word, style) <= width) return [{ text: word, glued: false }];
    const pieces: string[] = [];
    let [piece, used] = ['', 0];
    for (const character of word) {
      const wide = this.width(character, style);
      if (piece !== '' && used + wide > width) {
        pieces.push(piece);
        [piece, used] = ['', 0];
      }
      piece += character;
      used += wide;
    }
    return [...pieces, piece].map((text, i) => ({ text, glued: i > 0 }));
  }
}
