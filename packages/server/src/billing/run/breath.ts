/** Long work in one process with everything else: it lets others have their turn every few milliseconds. */
import type { Clock } from '../../domain/environment.ts';

/** Answers of the stores wait this long at most: at 8 a run took an eighth longer. */
const WORK_MS = 2;

export class Breath {
  private readonly clock: Clock;
  private readonly pause: () => Promise<void>;
  private begun: number;

  constructor(clock: Clock, pause: () => Promise<void>) {
    this.clock = clock;
    this.pause = pause;
    this.begun = clock.elapsed();
  }

  /** Null: there is nothing to wait for. */
  due(): Promise<void> | null {
    if (this.clock.elapsed() - this.begun < WORK_MS) return null;
    return this.pause().then(() => {
      this.begun = this.clock.elapsed();
    });
  }
}
