/** What a server has opened, and in which order it lets go of it. */
import type { Logger } from 'pino';
import { systemClock as clock } from './system.ts';

/** What was opened, to be closed in the opposite order; a failure to close one does not keep the others open. */
export class Closers {
  readonly #steps: { name: string; close: () => Promise<void> | void; outlives: boolean }[] = [];

  /** `outlives`: it would go on running without this process, so it is closed also when time has run out. */
  add(name: string, close: () => Promise<void> | void, outlives = false): void {
    this.#steps.push({ name, close, outlives });
  }

  /** Time has run out: only what would outlive us is closed, as far as `ms` reach. */
  async abandon(ms: number): Promise<void> {
    const steps = this.#steps.splice(0).filter((step) => step.outlives);
    await Promise.race([Promise.allSettled(steps.map(async (step) => step.close())), clock.sleep(ms)]);
  }

  /** False: something did not close cleanly; the log says what. */
  async closeAll(log: Logger): Promise<boolean> {
    let clean = true;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const begun = clock.elapsed();
      try {
        await step.close();
        log.info({ part: step.name, ms: Math.round(clock.elapsed() - begun) }, 'closed');
      } catch (error) {
        clean = false;
        log.error({ part: step.name, err: error }, 'did not close cleanly');
      }
    }
    return clean;
  }
}
