import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadFonts } from './fonts.ts';
import { runsOf } from './runs.ts';

/** Runs as they are drawn, from left to right: `font:text`. */
async function check(cases: readonly (readonly [text: string, runs: readonly string[]])[]): Promise<void> {
  const fonts = await loadFonts();
  for (const [text, expected] of cases) {
    const runs = runsOf(text, 'regular', (codePoint) => fonts.has(codePoint));
    assert.deepEqual(
      runs.map((run) => `${run.font}:${run.text}`),
      expected,
      text,
    );
  }
}

test('each character is drawn in a font that has it, or as a placeholder', () =>
  check([
    ['', []],
    ['Straße 1', ['regular:Straße 1']],
    ['Ελλάδα Москва ქართული', ['regular:Ελλάδα Москва ქართული']],
    ['東 \u0e01', ['regular:\ufffd \ufffd']],
  ]));

test('what DejaVu lacks is drawn in the font that was named for it', () => {
  const fallback = new Set('株式会社서울東');
  const has = (codePoint: number) => {
    if (fallback.has(String.fromCodePoint(codePoint))) return 'fallback';
    return codePoint < 0x250 ? 'own' : 'none';
  };
  const runs = (text: string) => runsOf(text, 'bold', has).map((run) => `${run.font}:${run.text}`);
  assert.deepEqual(runs('株式会社 A'), ['fallback:株式会社', 'bold: A']);
  assert.deepEqual(runs('서울'), ['fallback:서울']);
  assert.deepEqual(runs('東\u0e01'), ['fallback:東', 'bold:\ufffd']);
});

test('a font that cannot be read is an error that names the file', async () => {
  await assert.rejects(loadFonts('/nowhere/font.ttf'), /\/nowhere\/font\.ttf/);
});

test('words from right to left change places among themselves, signs round them stay', () =>
  check([
    ['שלום עולם', ['regular:עולם', 'regular: ', 'regular:שלום']],
    ['A שלום עולם B', ['regular:A ', 'regular:עולם', 'regular: ', 'regular:שלום', 'regular: ', 'regular:B']],
    ['(שלום)', ['regular:(', 'regular:שלום', 'regular:)']],
  ]));
