/** Records as CloudEvents. The same record gives the same bytes, in every life: a repetition must not differ. */
import type { PortionRecord } from '../spool/portion.ts';

export class Encoder {
  readonly #source: string;
  /** Texts that come again in most events: meters, dimensions, times. */
  readonly #json = new Map<string, string>();
  readonly #times = new Map<number, string>();

  constructor(source: string) {
    this.#source = JSON.stringify(source);
  }

  event(run: string, sequence: number, { key, at, value, count }: PortionRecord): string {
    // An id is ours, without anything to escape.
    let text = `{"specversion":"1.0","id":"${run}-${sequence}","source":${this.#source},"type":${this.#text(key.meter)}`;
    if (key.subject !== '') text += `,"subject":${JSON.stringify(key.subject)}`;
    text += `,"time":"${this.#time(at)}","data":{"value":"${value}"`;
    if (count > 0) text += `,"count":"${count}"`;
    const { dimensions } = key;
    for (let i = 0; i < dimensions.length; i += 2)
      text += `,${this.#text(dimensions[i] as string)}:${this.#text(dimensions[i + 1] as string)}`;
    return `${text}}}`;
  }

  #text(text: string): string {
    let json = this.#json.get(text);
    if (json === undefined) {
      json = JSON.stringify(text);
      if (this.#json.size >= 1000) this.#json.clear();
      this.#json.set(text, json);
    }
    return json;
  }

  #time(at: number): string {
    let text = this.#times.get(at);
    if (text === undefined) {
      text = new Date(at).toISOString();
      if (this.#times.size >= 1000) this.#times.clear();
      this.#times.set(at, text);
    }
    return text;
  }
}
