/**
 * What happened on the connections, put down as it happens and recorded later, many at a time. At the end of a request
 * everything else is more urgent, and code and tenants have left the processor's caches since the last one: noting
 * five values costs a fraction of finding the tenant and adding.
 */
import type { Recorder } from '../measure/recorder.ts';
import { Tally } from './tally.ts';
import { type TenantLimits, Tenants, type Unattributed } from './tenants.ts';

export const happened = { bytes: 0, upgrade: 1, answer: 2, fault: 3 } as const;
export type Happened = (typeof happened)[keyof typeof happened];

const ROOM = 256;
/** Bytes in, bytes out, what happened, ms. */
const COLUMNS = 4;

export class Batch {
  readonly #recorder: Recorder;
  readonly #tenants: Tenants<Tally>;
  readonly #failed: () => void;
  readonly #flush = (): void => this.flush();
  /** Ends the recorder's asking; undefined: it does not ask, so each turn of the event loop ends with a flush. */
  readonly #leave: (() => void) | undefined;
  readonly #names: (string | undefined)[] = Array.from({ length: ROOM }, () => undefined);
  readonly #columns = new Float64Array(ROOM * COLUMNS);
  #length = 0;
  #isDue = false;
  /** Tallies with something to record. */
  #touched: Tally[] = [];

  /** `failed` is called when the recorder or `allow` throws, which they should not. */
  constructor(
    recorder: Recorder,
    limits: TenantLimits,
    dimensions: Readonly<Record<string, string>>,
    failed: () => void,
  ) {
    this.#recorder = recorder;
    this.#tenants = new Tenants(limits, (tenant) => new Tally(tenant, dimensions));
    this.#failed = failed;
    this.#leave = recorder.beforeTake?.(this.#flush);
  }

  /** `tenant` as the rules say it; undefined: nobody. `ms`: how long an answer took, of other things nothing. */
  put(tenant: string | undefined, bytesIn: number, bytesOut: number, what: Happened, ms: number): void {
    if (this.#length === ROOM) this.settle();
    const columns = this.#columns;
    const at = this.#length * COLUMNS;
    this.#names[this.#length] = tenant;
    columns[at] = bytesIn;
    columns[at + 1] = bytesOut;
    columns[at + 2] = what;
    columns[at + 3] = ms;
    this.#length += 1;
    if (this.#leave !== undefined || this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#flush);
  }

  /** Adds what was put down to its tenants. */
  settle(): void {
    for (let i = 0; i < this.#length; i += 1) this.#settleOne(i);
    this.#length = 0;
  }

  /** Records everything. */
  flush(): void {
    this.#isDue = false;
    this.settle();
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = [];
    for (const tally of touched) {
      try {
        tally.record(this.#recorder);
      } catch {
        this.#failed();
      }
    }
  }

  /** The last flush. */
  close(): void {
    this.#leave?.();
    this.flush();
  }

  /** Forgets tenants that nothing happened to since the last time this was called. */
  age(): void {
    this.#tenants.age();
  }

  get unattributed(): Readonly<Unattributed> {
    return this.#tenants.unattributed;
  }

  #settleOne(i: number): void {
    const columns = this.#columns;
    const at = i * COLUMNS;
    const tally = this.#tallyOf(this.#names[i]);
    this.#names[i] = undefined;
    const what = columns[at + 2] as Happened;
    if (!tally.isTouched) this.#touched.push(tally);
    tally.bytes(columns[at] as number, columns[at + 1] as number);
    if (what === happened.upgrade) tally.request();
    else if (what !== happened.bytes) tally.answer(columns[at + 3] as number, what === happened.fault);
  }

  #tallyOf(name: string | undefined): Tally {
    try {
      return this.#tenants.get(name);
    } catch {
      this.#failed();
      return this.#tenants.nobody;
    }
  }
}
