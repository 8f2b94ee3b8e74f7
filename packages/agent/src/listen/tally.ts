/**
 * What one tenant's requests are recorded under. What happens in one turn of the event loop is added up here first: a
 * busy server handles dozens of requests a turn, and one addition for all of them is cheaper than one for each.
 */
import type { Measure, Recorder } from '../measure/recorder.ts';

/** The tallies touched in this turn of the loop. */
export class Turn {
  readonly #failed: () => void;
  readonly #flush = () => this.flush();
  #touched: Tally[] = [];

  /** `failed` is called when a recorder throws, which it should not. */
  constructor(failed: () => void) {
    this.#failed = failed;
  }

  touch(tally: Tally): void {
    if (this.#touched.push(tally) === 1) setImmediate(this.#flush);
  }

  flush(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = [];
    for (const tally of touched) {
      try {
        tally.flush();
      } catch {
        this.#failed();
      }
    }
  }
}

export class Tally {
  readonly #recorder: Recorder;
  readonly #turn: Turn;
  // The same objects every time: a recorder may know them by identity.
  readonly #received: Measure;
  readonly #sent: Measure;
  readonly #requests: Measure;
  readonly #faults: Measure;
  readonly #responseMs: Measure;
  #isTouched = false;
  #bytesIn = 0;
  #bytesOut = 0;
  #count = 0;
  #faultCount = 0;
  /** Part of a millisecond not yet recorded, so that many quick answers add up to what they took. */
  #rest = 0;

  constructor(recorder: Recorder, turn: Turn, subject: string, dimensions: Readonly<Record<string, string>>) {
    const measure = (meter: string): Measure => Object.freeze({ meter, subject, dimensions });
    this.#recorder = recorder;
    this.#turn = turn;
    this.#received = measure('service.bytes.received');
    this.#sent = measure('service.bytes.sent');
    this.#requests = measure('service.requests');
    this.#faults = measure('service.faults');
    this.#responseMs = measure('service.response_ms');
  }

  bytesIn(n: number): void {
    this.#bytesIn += n;
    if (!this.#isTouched) this.#touch();
  }

  bytesOut(n: number): void {
    this.#bytesOut += n;
    if (!this.#isTouched) this.#touch();
  }

  request(): void {
    this.#count += 1;
    if (!this.#isTouched) this.#touch();
  }

  fault(): void {
    this.#faultCount += 1;
  }

  /** Not added up: the recorder's count of this meter is the number of answers, which makes it a mean. */
  answeredIn(ms: number): void {
    const sum = this.#rest + Math.max(0, ms);
    const whole = Math.floor(sum);
    this.#rest = sum - whole;
    this.#recorder.add(this.#responseMs, whole);
  }

  flush(): void {
    const [received, sent, requests, faults] = [this.#bytesIn, this.#bytesOut, this.#count, this.#faultCount];
    this.#isTouched = false;
    this.#bytesIn = this.#bytesOut = this.#count = this.#faultCount = 0;
    if (received > 0) this.#recorder.add(this.#received, received);
    if (sent > 0) this.#recorder.add(this.#sent, sent);
    if (requests > 0) this.#recorder.add(this.#requests, requests);
    if (faults > 0) this.#recorder.add(this.#faults, faults);
  }

  #touch(): void {
    this.#isTouched = true;
    this.#turn.touch(this);
  }
}
