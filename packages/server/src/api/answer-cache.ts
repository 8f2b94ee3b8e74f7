/**
 * Answers that have further pages, for a minute: the pages of one question are cut from one answer, so they fit together
 * while facts go on coming in, and the sums are made once and not once a page. A first page is never taken from here.
 *
 * The frontier in the cursor finds the answer again. One that is gone (too old, pushed out by others, another process)
 * is computed anew at the present frontier, and the page goes on after the same row.
 */
import type { Clock } from '../domain/environment.ts';
import type { UsageRow } from '../usage/index.ts';

export interface CachedAnswer {
  rows: readonly UsageRow[];
  frontier: number;
}

const KEPT_MS = 60_000;
/** Of all answers together, about half a kilobyte each: the largest single answer just fits. */
const ROWS_MAX = 200_000;
const ANSWERS_MAX = 64;

export class AnswerCache {
  readonly #clock: Pick<Clock, 'elapsed'>;
  /** Oldest first. */
  readonly #answers = new Map<string, CachedAnswer & { until: number }>();
  #rows = 0;

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock;
  }

  /** `question` holds all the answer depends on besides the frontier: the query and who asks. */
  get(question: string, frontier: number): CachedAnswer | null {
    const found = this.#answers.get(keyOf(question, frontier));
    return found === undefined || found.until < this.#clock.elapsed() ? null : found;
  }

  put(question: string, answer: CachedAnswer): void {
    const key = keyOf(question, answer.frontier);
    this.#drop(key);
    if (answer.rows.length > ROWS_MAX) return;
    const now = this.#clock.elapsed();
    this.#answers.set(key, { ...answer, until: now + KEPT_MS });
    this.#rows += answer.rows.length;
    for (const [oldest, { until }] of this.#answers) {
      if (until >= now && this.#rows <= ROWS_MAX && this.#answers.size <= ANSWERS_MAX) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#rows -= this.#answers.get(key)?.rows.length ?? 0;
    this.#answers.delete(key);
  }
}

const keyOf = (question: string, frontier: number): string => `${frontier}:${question}`;
