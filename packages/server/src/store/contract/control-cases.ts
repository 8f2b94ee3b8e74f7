/** What the cases of the contract share: the fixture, refusals, and texts that have broken somebody's store before. */
import assert from 'node:assert/strict';
import type { ControlStore } from '../control-store.ts';

export interface ControlFixture {
  store: ControlStore;
  again(): Promise<ControlStore>;
  /** Closes every handle and forgets the data. */
  drop(): Promise<void>;
}

export type Case = (fixture: ControlFixture) => Promise<void>;
export type Cases = Readonly<Record<string, Case>>;

/** The call is refused with this code, and the message tells why in words. */
export const refused = (call: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(call, (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, /\w+ \w+/);
    return true;
  });

/** Texts that have broken somebody's store before. All of them must come back as they went in. */
export const hostile: readonly string[] = [
  '',
  ' ',
  "'; DROP TABLE fact; --",
  '"quoted" \'single\' `tick` $1 $$ \\ \\\\ \\n %s %',
  'line\nline\r\n\n\ttab\b\f\v\u007f\u0001',
  '{"json": [1, null]}',
  '{a,b}',
  'NULL',
  '(1,2)',
  'ünïcödé 日本語 \u{1f9ff} e\u0301 \u202e rtl \ufeff bom \u2028 \ufffe',
  '__proto__',
  'x'.repeat(5000),
];
/** No store takes these: a NUL, and halves of surrogate pairs. */
export const unstorable: readonly string[] = ['a\0b', '\0', 'half \ud83e', '\udfff half'];
