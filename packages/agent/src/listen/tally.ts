/** What one tenant's requests come to, until it is recorded. */
import type { Measure, Recorder } from '../measure/recorder.ts';

export class Tally {
  // The same objects every time: a recorder may know them by identity.
  readonly #received: Measure;
  readonly #sent: Measure;
  readonly #requests: Measure;
  readonly #faults: Measure;
  readonly #responseMs: Measure;
  /** Holds something that is not recorded. */
  isTouched = false;
  #bytesIn = 0;
  #bytesOut = 0;
  #count = 0;
  #faultCount = 0;
  #answers = 0;
  /** Of the answers, and part of a millisecond not yet recorded, so that many quick ones add up to what they took. */
  #ms = 0;

  constructor(subject: string, dimensions: Readonly<Record<string, string>>) {
    const measure = (meter: string): Measure => Object.freeze({ meter, subject, dimensions });
    this.#received = measure('service.bytes.received');
    this.#sent = measure('service.bytes.sent');
    this.#requests = measure('service.requests');
    this.#faults = measure('service.faults');
    this.#responseMs = measure('service.response_ms');
  }

  bytes(received: number, sent: number): void {
    this.isTouched = true;
    this.#bytesIn += received;
    this.#bytesOut += sent;
  }

  request(): void {
    this.isTouched = true;
    this.#count += 1;
  }

  /** The end of a request. */
  answer(ms: number, fault: boolean): void {
    this.request();
    this.#answers += 1;
    if (ms > 0) this.#ms += ms;
    if (fault) this.#faultCount += 1;
  }

  record(recorder: Recorder): void {
    const [received, sent, requests, faults] = [this.#bytesIn, this.#bytesOut, this.#count, this.#faultCount];
    const [answers, ms] = [this.#answers, Math.floor(this.#ms)];
    this.isTouched = false;
    this.#bytesIn = this.#bytesOut = this.#count = this.#faultCount = this.#answers = 0;
    this.#ms -= ms;
    if (received > 0) recorder.add(this.#received, received);
    if (sent > 0) recorder.add(this.#sent, sent);
    if (requests > 0) recorder.add(this.#requests, requests);
    if (faults > 0) recorder.add(this.#faults, faults);
    // Its count is the number of answers, which makes it a mean.
    if (answers > 0) recorder.add(this.#responseMs, ms, answers);
  }
}
