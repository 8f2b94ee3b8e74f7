/** The one interface every listener measures through. */

/** What a measurement is summed under. */
export interface Measure {
  /** Key of a delta or gauge meter on the server; also the CloudEvent type it is published with. */
  meter: string;
  /** Whom or what it is about: an account id or a resource id. '' = unattributed. */
  subject: string;
  /** Group-by dimensions, few distinct values each. */
  dimensions?: Readonly<Record<string, string>>;
}

export interface Recorder {
  /**
   * Adds to the sum of the current time bucket. Whole number >= 0 (negative for delta of a correction is refused). Never
   * throws, never waits, never does I/O: a refused measurement is counted in `refused`. `times`: how many measurements the
   * quantity is the sum of, 1 when left away.
   */
  add(measure: Measure, quantity: number | bigint, times?: number): void;
  /** The level stands at this from now on. Every change is kept (with its time), the last one of each flush interval wins. */
  set(measure: Measure, level: number | bigint): void;
  /**
   * A recorder that has this calls `tell` each time before it takes its sums, so who measures very often may add up for
   * itself in between and is no less durable. The answer ends it.
   */
  beforeTake?(tell: () => void): () => void;
}
