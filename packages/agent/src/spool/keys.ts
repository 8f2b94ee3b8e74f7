/** Keys in a frame: texts that come again are written once. */
import type { Key } from '../measure/table.ts';
import type { Reader, Writer } from './bytes.ts';

class Texts {
  readonly #seen = new Map<string, number>();

  write(writer: Writer, text: string): void {
    const known = this.#seen.get(text);
    writer.varint(known ?? 0);
    if (known !== undefined) return;
    writer.text(text);
    this.#seen.set(text, this.#seen.size + 1);
  }
}

class TextsRead {
  readonly #seen: string[] = [];

  read(reader: Reader): string {
    const index = reader.varint();
    if (index > 0) {
      const known = this.#seen[index - 1];
      if (known === undefined) throw new RangeError('unknown text');
      return known;
    }
    const text = reader.text();
    this.#seen.push(text);
    return text;
  }
}

export class KeyWriter {
  readonly #texts = new Texts();

  /** Dimensions are joined by NUL, which no text of a key holds. */
  write(writer: Writer, key: Key): void {
    this.#texts.write(writer, key.meter);
    this.#texts.write(writer, key.dimensions.length === 0 ? '' : key.dimensions.join('\0'));
    writer.text(key.subject);
  }
}

export class KeyReader {
  readonly #texts = new TextsRead();

  read(reader: Reader): Key {
    const meter = this.#texts.read(reader);
    const joined = this.#texts.read(reader);
    return { meter, subject: reader.text(), dimensions: joined === '' ? [] : joined.split('\0') };
  }
}
