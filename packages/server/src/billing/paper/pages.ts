/** Paper of A4 that fills from top to bottom: what is kept together goes on the next page when it does not fit. */
import type { Pen } from './pen.ts';

/** Points. */
export const LEFT = 48;
export const RIGHT = 547;
export const WIDTH = RIGHT - LEFT;
const TOP = 48;
const BOTTOM = 776;

export const INK = '#1a2230';
export const SOFT = '#5a6575';
export const RULE = '#d5dae1';
export const WARN = '#8a4b00';

/** A piece of a page over its whole width; never cut. */
export interface Strip {
  height: number;
  /** `y`: its top. */
  draw(y: number): void;
}

export class Pages {
  readonly pen: Pen;
  y = TOP;
  /** Drawn at the top of each page that begins, such as the heads of a table's columns. */
  repeated: Strip | null = null;

  constructor(pen: Pen) {
    this.pen = pen;
  }

  /** Strips on one page if any page can hold them; else as they come, the first two together. */
  together(strips: readonly Strip[]): void {
    const height = heightOf(strips);
    const fits = height <= BOTTOM - TOP - (this.repeated?.height ?? 0);
    this.ensure(fits ? height : heightOf(strips.slice(0, 2)));
    for (const strip of strips) this.place(strip);
  }

  place(strip: Strip): void {
    this.ensure(strip.height);
    strip.draw(this.y);
    this.y += strip.height;
  }

  /** Nothing stands above it on its page but what is repeated. */
  isTop(y: number): boolean {
    return y <= TOP + (this.repeated?.height ?? 0);
  }

  gap(height: number): void {
    this.y += height;
  }

  rule(y: number, color: string, x = LEFT, to = RIGHT): void {
    this.pen.doc.moveTo(x, y).lineTo(to, y).lineWidth(1).strokeColor(color).stroke();
  }

  private ensure(height: number): void {
    const { repeated } = this;
    if (this.y + height <= BOTTOM || this.isTop(this.y)) return;
    this.pen.doc.addPage();
    this.y = TOP;
    if (repeated === null) return;
    repeated.draw(this.y);
    this.y += repeated.height;
  }
}

const heightOf = (strips: readonly Strip[]): number => strips.reduce((sum, { height }) => sum + height, 0);
