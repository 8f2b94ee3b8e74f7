/** What takes long to answer: one piece of it at a time, and of a key, and of all together, only so many at once. */
import { Readable } from 'node:stream';
import { Problem } from '../errors.ts';
import { newTurn, type Turn } from './catalogue-change.ts';

/** Asked for at once: each holds what it is about (ids, a book, a document). */
export interface Places {
  /** Stands in the refusal. */
  what: string;
  all: number;
  ofKey: number;
}

export interface LongAnswer<S> {
  /** Id of the key that asks. */
  key: string;
  /** Its refusals are problems of the request. */
  begin(): Promise<AsyncIterable<S>>;
  lineOf(step: S): string;
}

export class LongWork {
  private readonly places: Places;
  /** A short answer waits for a step of a long one, and not for its end. */
  private readonly turn: Turn = newTurn();
  private readonly open = new Map<string, number>();
  private all = 0;

  constructor(places: Places) {
    this.places = places;
  }

  /** Throws `server.busy`. */
  async piece<T>(key: string, work: () => Promise<T>): Promise<T> {
    const leave = this.enter(key);
    try {
      return await this.turn(work);
    } finally {
      leave();
    }
  }

  /**
   * The lines. The first step is awaited: what cannot be asked is a problem, and not a torn answer. Who stops reading keeps
   * a place, and takes no turn. Throws `server.busy`.
   */
  async lines<S>({ key, begin, lineOf }: LongAnswer<S>): Promise<Readable> {
    const leave = this.enter(key);
    try {
      const steps = (await this.turn(begin))[Symbol.asyncIterator]();
      const next = (): Promise<IteratorResult<S>> => this.turn(() => steps.next());
      return Readable.from(linesOf(await next(), { next, lineOf, end: () => ended(steps, leave) }));
    } catch (error) {
      leave();
      throw error;
    }
  }

  private enter(key: string): () => void {
    const own = this.open.get(key) ?? 0;
    const { what, all, ofKey } = this.places;
    if (own >= ofKey || this.all >= all) {
      const why = `${own} ${what} are in work for this key, ${this.all} in all`;
      throw new Problem('server.busy', why, { retryAfterSeconds: 2 });
    }
    this.open.set(key, own + 1);
    this.all++;
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.all--;
      const left = (this.open.get(key) ?? 1) - 1;
      if (left === 0) this.open.delete(key);
      else this.open.set(key, left);
    };
  }
}

/** Ends after the step under way, so that nobody has more steps in work than places. */
const ended = async <S>(steps: AsyncIterator<S>, leave: () => void): Promise<void> => {
  try {
    await steps.return?.();
  } finally {
    leave();
  }
};

interface Lines<S> {
  next(): Promise<IteratorResult<S>>;
  lineOf(step: S): string;
  end(): Promise<void>;
}

/** Not a generator: one that was never asked for anything runs no `finally`, and the place would be lost. */
function linesOf<S>(first: IteratorResult<S>, { next, lineOf, end }: Lines<S>): AsyncIterable<string> {
  let ahead: IteratorResult<S> | null = first;
  const stop = async (): Promise<IteratorResult<string>> => {
    await end();
    return { done: true, value: undefined };
  };
  const iterator: AsyncIterator<string> = {
    next: async () => {
      const step = ahead ?? (await next());
      ahead = null;
      return step.done === true ? stop() : { done: false, value: lineOf(step.value) };
    },
    return: stop,
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
