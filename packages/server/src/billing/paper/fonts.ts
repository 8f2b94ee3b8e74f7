/**
 * Which characters print, and with which font. DejaVu has Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic and
 * most signs; for what it lacks an operator names a font of his own (`--invoice-font`). What neither has prints as
 * PLACEHOLDER. No font of the machine is looked for: the same document must be the same bytes everywhere. One for Chinese,
 * Japanese and Korean in this package would be 3.4 MB in every installation.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { create, type Font } from 'fontkit';

export type Face = 'regular' | 'bold';
export type FontName = Face | 'fallback';

type Opened = Readonly<Record<Face, Font>> & { readonly fallback: Font | null };

export class Fonts {
  private readonly fonts: Opened;
  private readonly known = new Map<number, 'own' | 'fallback' | 'none'>();

  constructor(fonts: Opened) {
    this.fonts = fonts;
  }

  entries(): [string, Font][] {
    const { fallback, ...own } = this.fonts;
    return Object.entries(fallback === null ? own : { ...own, fallback });
  }

  /** `none`: nobody has it. The faces have the same characters. */
  has(codePoint: number): 'own' | 'fallback' | 'none' {
    const known = this.known.get(codePoint);
    if (known !== undefined) return known;
    const { regular, bold, fallback } = this.fonts;
    const isOwn = regular.hasGlyphForCodePoint(codePoint) && bold.hasGlyphForCodePoint(codePoint);
    const found = isOwn ? 'own' : fallback?.hasGlyphForCodePoint(codePoint) ? 'fallback' : 'none';
    this.known.set(codePoint, found);
    return found;
  }
}

async function openFont(path: string): Promise<Font> {
  const font = create(await readFile(path));
  if ('fonts' in font) throw new Error(`${path} is a collection of fonts, not one`);
  return font;
}

/** `more`: a TrueType or OpenType file for what DejaVu lacks; '' for none. */
async function openFonts(more: string): Promise<Fonts> {
  const { resolve } = createRequire(import.meta.url);
  const dejavu = (name: string): Promise<Font> => openFont(resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`));
  const [regular, bold, fallback] = await Promise.all([
    dejavu('DejaVuSansCondensed'),
    dejavu('DejaVuSansCondensed-Bold'),
    more === '' ? null : openFont(more),
  ]);
  return new Fonts({ regular, bold, fallback });
}

const opened = new Map<string, Promise<Fonts>>();

/** As openFonts; read once for the life of the process, a failure is tried again. */
export function loadFonts(more = ''): Promise<Fonts> {
  const known = opened.get(more);
  if (known !== undefined) return known;
  const opening = openFonts(more).catch((error: unknown) => {
    opened.delete(more);
    throw error;
  });
  opened.set(more, opening);
  return opening;
}
