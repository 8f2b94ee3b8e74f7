/**
 * One poller on its own beat. It never has two passes at a time, whatever becomes late or hangs, and its failures are
 * its own: they make its own beats rarer, nobody else's.
 */
import type { Clock } from '../environment.ts';
import type { Poller, PollPass } from '../poll/poller.ts';
import type { Report } from '../publisher.ts';

export interface Seat {
  poller: Poller;
  kind: string;
  intervalMs: number;
  timeoutMs: number;
}

/** What is known of a poller's passes. Instants are ms since 1970; 0 never. */
export interface BeatState {
  passes: number;
  failures: number;
  /** Failures since the last pass that came through. */
  inARow: number;
  lastPassAt: number;
  lastTookMs: number;
  lastError: string;
  lastErrorAt: number;
  /** Since when a pass is under way beyond its time. */
  overdueSince: number;
}

/** A failing poller is asked again at least this often, or at its interval if that is longer. */
const BACKOFF_MAX_MS = 300_000;

export class Beat {
  readonly seat: Seat;
  readonly state: BeatState = {
    passes: 0,
    failures: 0,
    inARow: 0,
    lastPassAt: 0,
    lastTookMs: 0,
    lastError: '',
    lastErrorAt: 0,
    overdueSince: 0,
  };
  readonly #clock: Clock;
  readonly #report: (report: Report) => void;
  readonly #deliver: (pass: PollPass) => void;
  #abandoned = false;
  /** Of the pass under way: one signal a pass, because a signal that lives on collects what listens to it. */
  #limit = new AbortController();
  #running: Promise<boolean> | null = null;

  constructor(seat: Seat, clock: Clock, report: (report: Report) => void, deliver: (pass: PollPass) => void) {
    this.seat = seat;
    this.#clock = clock;
    this.#report = report;
    this.#deliver = deliver;
  }

  /** A pass; the one under way if there is one. True: it came through. Never rejects. */
  pass(): Promise<boolean> {
    this.#running ??= this.#poll().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Passes until the signal comes; a pass under way then goes on. */
  async run(signal: AbortSignal): Promise<void> {
    const begun = this.#clock.elapsed();
    const told = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    while (!signal.aborted) {
      await Promise.race([this.pass(), told]);
      const since = this.#clock.elapsed() - begun;
      // The rest of the beat, so that passes do not drift; failures skip beats.
      const { intervalMs } = this.seat;
      await this.#clock.sleep(intervalMs * this.#beats() - (since % intervalMs), signal);
    }
  }

  /** Gives up on a pass under way. */
  abandon(): void {
    this.#abandoned = true;
    this.#limit.abort(new Error('the agent stops'));
  }

  #beats(): number {
    const most = Math.max(1, Math.floor(BACKOFF_MAX_MS / this.seat.intervalMs));
    return Math.min(most, 2 ** Math.min(30, Math.max(0, this.state.inARow - 1)));
  }

  async #poll(): Promise<boolean> {
    const begun = this.#clock.elapsed();
    const limit = new AbortController();
    this.#limit = limit;
    const over = new AbortController();
    void this.#clock.sleep(this.seat.timeoutMs, over.signal).then(() => {
      if (over.signal.aborted) return;
      this.#overdue();
      limit.abort(new Error(`no result within ${this.seat.timeoutMs} ms`));
    });
    try {
      const pass = await this.seat.poller.poll(limit.signal);
      this.#deliver(pass);
      this.#success(pass.at, this.#clock.elapsed() - begun);
      return true;
    } catch (error) {
      if (!this.#abandoned) this.#failure(error);
      return false;
    } finally {
      over.abort();
      this.state.overdueSince = 0;
    }
  }

  #overdue(): void {
    const { state, seat } = this;
    state.overdueSince = this.#clock.now();
    state.lastError = `no result within ${seat.timeoutMs} ms, still waiting`;
    state.lastErrorAt = state.overdueSince;
    this.#report({ level: 'warn', message: `${seat.poller.name}: ${state.lastError}` });
  }

  #success(at: number, tookMs: number): void {
    const { state, seat } = this;
    if (state.inARow > 0)
      this.#report({ level: 'info', message: `${seat.poller.name}: reads again after ${state.inARow} failures` });
    state.passes++;
    state.inARow = 0;
    state.lastPassAt = at;
    state.lastTookMs = Math.round(tookMs);
  }

  #failure(error: unknown): void {
    const { state, seat } = this;
    const message = error instanceof Error ? error.message : String(error);
    const news = message !== state.lastError;
    state.failures++;
    state.inARow++;
    state.lastError = message;
    state.lastErrorAt = this.#clock.now();
    // The 1st, 2nd, 4th, 8th ... of a row: a log must not fill with one sentence.
    if (news || Number.isInteger(Math.log2(state.inARow)))
      this.#report({
        level: 'error',
        message: `${seat.poller.name}: pass failed: ${message}; next in ${Math.round((this.#beats() * seat.intervalMs) / 1000)} s`,
      });
  }
}
