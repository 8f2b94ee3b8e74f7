/**
 * A small JSON reader that loses nothing: numbers stay the text they were written as. JSON.parse would turn 2^53 + 1
 * into 2^53 before anyone could object. Strict as RFC 8259, and stricter where readers differ from each other: a name
 * twice in one object and half a surrogate pair are refused, because two readers would not agree on what they say.
 */

/** A number as it was written. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
export type JsonObject = ReadonlyMap<string, JsonValue>;
export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | JsonObject;

export type JsonCode = 'json.syntax' | 'json.too_deep' | 'json.too_long' | 'json.repeated_name' | 'json.surrogate';

export class JsonError extends Error {
  readonly code: JsonCode;
  /** Index into the text, in UTF-16 units. */
  readonly position: number;
  constructor(code: JsonCode, position: number, message: string) {
    super(`${message} at position ${position}`);
    this.code = code;
    this.position = position;
  }
}

export interface JsonBounds {
  /** Characters. */
  readonly maxLength: number;
  /** Arrays and objects inside each other. */
  readonly maxDepth: number;
}
export const JSON_BOUNDS: JsonBounds = { maxLength: 8 * 1024 * 1024, maxDepth: 64 };

/** Reads one JSON text. Throws JsonError. */
export function readJson(text: string, bounds: JsonBounds = JSON_BOUNDS): JsonValue {
  if (text.length > bounds.maxLength) {
    throw new JsonError('json.too_long', bounds.maxLength, `more than ${bounds.maxLength} characters`);
  }
  return new Reader(text, bounds.maxDepth).document();
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Up to the next quote, escape or control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings, so they are looked for.
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class Reader {
  private readonly text: string;
  private readonly maxDepth: number;
  private at = 0;

  constructor(text: string, maxDepth: number) {
    this.text = text;
    this.maxDepth = maxDepth;
  }

  document(): JsonValue {
    const value = this.value(0);
    this.space();
    if (this.at < this.text.length) throw this.unexpected();
    return value;
  }

  private value(depth: number): JsonValue {
    this.space();
    switch (this.text[this.at]) {
      case '{':
        return this.object(this.deeper(depth));
      case '[':
        return this.array(this.deeper(depth));
      case '"':
        return this.string();
      case 't':
        return this.word('true', true);
      case 'f':
        return this.word('false', false);
      case 'n':
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private deeper(depth: number): number {
    if (depth >= this.maxDepth) throw new JsonError('json.too_deep', this.at, `deeper than ${this.maxDepth} levels`);
    return depth + 1;
  }

  private object(depth: number): JsonObject {
    const out = new Map<string, JsonValue>();
    this.at++;
    this.space();
    if (this.take('}')) return out;
    do {
      this.space();
      const nameAt = this.at;
      if (this.text[this.at] !== '"') throw this.unexpected();
      const name = this.string();
      if (out.has(name)) throw new JsonError('json.repeated_name', nameAt, 'a name stands twice in one object');
      this.space();
      if (!this.take(':')) throw this.unexpected();
      out.set(name, this.value(depth));
      this.space();
    } while (this.take(','));
    if (!this.take('}')) throw this.unexpected();
    return out;
  }

  private array(depth: number): readonly JsonValue[] {
    const out: JsonValue[] = [];
    this.at++;
    this.space();
    if (this.take(']')) return out;
    do {
      out.push(this.value(depth));
      this.space();
    } while (this.take(','));
    if (!this.take(']')) throw this.unexpected();
    return out;
  }

  private string(): string {
    const from = this.at++;
    let out = '';
    for (;;) {
      PLAIN.lastIndex = this.at;
      const plain = PLAIN.exec(this.text)?.[0] ?? '';
      out += plain;
      this.at += plain.length;
      if (this.take('"')) break;
      if (this.text[this.at] !== '\\') throw this.unexpected();
      out += this.escape();
    }
    if (LONE_SURROGATE.test(out)) throw new JsonError('json.surrogate', from, 'half of a surrogate pair in a string');
    return out;
  }

  private escape(): string {
    const letter = this.text[this.at + 1] ?? '';
    if (letter === 'u') {
      const hex = this.text.slice(this.at + 2, this.at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.unexpected();
      this.at += 6;
      return String.fromCharCode(Number.parseInt(hex, 16));
    }
    const plain = ESCAPES[letter];
    if (plain === undefined || !Object.hasOwn(ESCAPES, letter)) throw this.unexpected();
    this.at += 2;
    return plain;
  }

  private number(): JsonNumber {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) throw this.unexpected();
    this.at += match[0].length;
    return new JsonNumber(match[0]);
  }

  private word<T extends JsonValue>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) throw this.unexpected();
    this.at += word.length;
    return value;
  }

  private space(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.at++;
    }
  }

  private take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private unexpected(): JsonError {
    const what = this.at < this.text.length ? 'unexpected character' : 'unexpected end';
    return new JsonError('json.syntax', this.at, what);
  }
}
