/** What CloudEvents and the readers of JSON forbid in a text. */

/** Half of a surrogate pair, standing alone. */
export const LONE = /\p{Surrogate}/u;

/** JSON.stringify writes a half that stands alone as an escape, and whole pairs not: look for the escape. */
export const holdsHalfPair = (json: string): boolean =>
  /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(JSON.stringify(JSON.parse(json)));

/** C0, DEL, C1, noncharacters and lone surrogates: what CloudEvents forbids in a string. */
export const forbidden = (text: string): boolean => {
  if (LONE.test(text)) return true;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0xfdd0 && c <= 0xfdef)) return true;
    if ((c & 0xfffe) === 0xfffe) return true;
    // The last two code points of every plane, as surrogate pairs.
    if (c >= 0xd800 && c < 0xdc00 && (c & 0x3f) === 0x3f && (text.charCodeAt(i + 1) & 0x3fe) === 0x3fe) return true;
  }
  return false;
};
