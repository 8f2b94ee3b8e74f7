/**
 * What is on its way: the events of a batch, as texts that do not change any more, and the pieces still to be sent. At
 * first one piece; one that is refused as a whole is cut until the culprit is found.
 */
import type { Batch } from '../spool/lines.ts';

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
    return this.#pieces.length === 1 ? this.batch.completeThrough : 0;
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
