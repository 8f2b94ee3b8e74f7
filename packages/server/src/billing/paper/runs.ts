/**
 * One line of text as the runs that are drawn from left to right: each in one font and one direction. Words that are
 * written from right to left change places among themselves; characters within them are turned by the font's shaping.
 */
import type { Face, FontName } from './fonts.ts';
import { PLACEHOLDER } from './texts.ts';

export interface Run {
  font: FontName;
  text: string;
}

type Has = (codePoint: number) => 'own' | 'fallback' | 'none';

/** Latin with its common signs: DejaVu has all of it, and it runs one way. */
const SIMPLE = /^[\x20-\x7e\xa0-\xac\xae-\u017f×…–’]*$/;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
/** Parts of a word that run one way; what has no direction goes with what is before it. */
const PARTS = new RegExp(`${RIGHT_TO_LEFT.source}[^\\p{L}\\p{N}]*|[^]`, 'gu');

export function runsOf(text: string, face: Face, has: Has): Run[] {
  if (SIMPLE.test(text)) return text === '' ? [] : [{ font: face, text }];
  return RIGHT_TO_LEFT.test(text)
    ? inVisualOrder(text).flatMap((part) => inFonts(part, face, has))
    : inFonts(text, face, has);
}

/** Each character in the first font that has it. */
function inFonts(text: string, face: Face, has: Has): Run[] {
  const runs: Run[] = [];
  for (const character of text) {
    const found = has(character.codePointAt(0) ?? 0);
    const font = found === 'fallback' ? 'fallback' : face;
    const shown = found === 'none' ? PLACEHOLDER : character;
    const last = runs.at(-1);
    if (last?.font === font) last.text += shown;
    else runs.push({ font, text: shown });
  }
  return runs;
}

/** Pieces from left to right; each runs one way. */
function inVisualOrder(text: string): string[] {
  const words = text.split(/(?<= )/);
  const pieces: string[] = [];
  for (let i = 0; i < words.length; ) {
    if (!startsRight(words[i] as string)) {
      pieces.push(...partsOf(words[i] as string));
      i++;
      continue;
    }
    let end = i + 1;
    while (end < words.length && startsRight(words[end] as string)) end++;
    pieces.push(...turned(words.slice(i, end).join('')));
    i = end;
  }
  return pieces;
}

/** Words from right to left. Signs and blanks at either end belong to the text round them and stay where they are. */
function turned(text: string): string[] {
  const [, head = '', body = '', tail = ''] = ENDS.exec(text) ?? [];
  const words = body.split(' ').reverse();
  const inside = words.flatMap((word, i) => [...(i === 0 ? [] : [' ']), ...partsOf(word).reverse()]);
  return [head, ...inside, tail].filter((piece) => piece !== '');
}
const ENDS = /^([^\p{L}\p{N}]*)(.*?)([^\p{L}\p{N}\p{M}]*)$/su;

/** The first letter or digit of the word is of a script that runs from right to left. */
function startsRight(word: string): boolean {
  const first = /[\p{L}\p{N}]/u.exec(word);
  return first !== null && RIGHT_TO_LEFT.test(first[0]);
}

function partsOf(word: string): string[] {
  const parts: { right: boolean; text: string }[] = [];
  for (const [text] of word.matchAll(PARTS)) {
    const right = RIGHT_TO_LEFT.test(text);
    const last = parts.at(-1);
    if (last?.right === right) last.text += text;
    else parts.push({ right, text });
  }
  return parts.map(({ text }) => text);
}
