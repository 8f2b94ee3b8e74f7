/**
 * What is on its way: the events of a batch, as texts that do not change any more, and the pieces still to be sent. At
 * first one piece; one that is refused as a whole is cut until the culprit is found.
 */
import type { Batch } from '../spool/lines.ts';
import type { Spool } from '../spool/spool.ts';
import type { Encoder } from './encode.ts';

interface Piece {
  /** Events [from, to) of the flight. */
  readonly from: number;
  readonly to: number;
}

export class Flight {
  readonly batch: Batch;
  readonly events: readonly string[];
  #pieces: Piece[];
  #body: { piece: Piece; text: string } | null = null;

  constructor(batch: Batch, events: readonly string[]) {
    this.batch = batch;
    this.events = events;
    this.#pieces = [{ from: 0, to: events.length }];
  }

  /** The next piece; undefined: all are settled. */
  get piece(): Piece | undefined {
    return this.#pieces[0];
  }

  /** Number of the piece's first event. */
  get sequence(): number {
    return this.batch.first + (this.piece?.from ?? 0);
  }

  /** Only the last piece has everything before it. */
  get completeThrough(): number {
    if (this.#pieces.length > 1) return 0;
    // The clock may have been set back since the batch was made: the portion then knows.
    return Math.min(this.batch.completeThrough, this.batch.portions.at(-1)?.completeThrough ?? 0);
  }

  get body(): string {
    const piece = this.piece as Piece;
    if (this.#body?.piece !== piece) {
      const text = `[${this.events.slice(piece.from, piece.to).join(',')}]`;
      this.#body = { piece, text };
    }
    return this.#body.text;
  }

  settle(): void {
    this.#pieces.shift();
  }

  /** Cuts the piece in two halves. */
  halve(): void {
    const { from, to } = this.#pieces.shift() as Piece;
    const middle = (from + to) >> 1;
    this.#pieces.unshift({ from, to: middle }, { from: middle, to });
  }

  /** Takes out the event at a position of the piece and returns it. */
  cut(position: number): string {
    const { from, to } = this.#pieces.shift() as Piece;
    const at = from + position;
    const rest = [
      { from, to: at },
      { from: at + 1, to },
    ];
    this.#pieces.unshift(...rest.filter((piece) => piece.to > piece.from));
    return this.events[at] as string;
  }
}

/** The batch, or as many portions of it as fit and can be read; at least one. Rejects when the first cannot be read. */
export async function freeze(batch: Batch, spool: Spool, encoder: Encoder, maxBytes: number): Promise<Flight> {
  const events: string[] = [];
  let bytes = 0;
  let portions = 0;
  for (const portion of batch.portions) {
    const records = await spool.records(portion).catch((error: unknown) => {
      // Those before it go, and then it stands first.
      if (portions > 0) return null;
      throw error;
    });
    if (records === null) break;
    const first = batch.first + events.length;
    const texts = records.map((record, i) => encoder.event(batch.run, first + i, record));
    for (const text of texts) bytes += text.length + 1;
    if (portions > 0 && bytes > maxBytes) break;
    for (const text of texts) events.push(text);
    portions++;
  }
  if (portions === batch.portions.length) return new Flight(batch, events);
  return new Flight({ ...batch, portions: batch.portions.slice(0, portions), completeThrough: 0 }, events);
}
