/** Failures in a row, and how long to wait after each. */
import type { HttpAnswer, Randomness } from '../environment.ts';
import type { Report } from '../publisher.ts';
import type { PaceSettings } from './settings.ts';

export class Backoff {
  readonly #random: Randomness;
  readonly #settings: PaceSettings;
  readonly #report: (report: Report) => void;
  #failures = 0;
  #last = '';

  constructor(random: Randomness, settings: PaceSettings, report: (report: Report) => void) {
    this.#random = random;
    this.#settings = settings;
    this.#report = report;
  }

  success(): void {
    this.#failures = 0;
    this.#last = '';
  }

  /**
   * Returns the wait, ms. It doubles from waitFirst to waitMax, then half of it by lot, so that agents do not come back
   * all at once. A message is reported when it is another one than before.
   */
  failure(message: string, answer: HttpAnswer | null): number {
    const { waitFirstMs, waitMaxMs, retryAfterMaxMs } = this.#settings;
    if (message !== this.#last) this.#report({ level: 'warn', message });
    this.#last = message;
    const full = Math.min(waitMaxMs, waitFirstMs * 2 ** Math.min(this.#failures++, 20));
    const wait = full / 2 + (full / 2) * this.#random.fraction();
    return Math.max(wait, Math.min(answer?.retryAfter ?? 0, retryAfterMaxMs));
  }
}
