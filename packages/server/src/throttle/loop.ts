/** Work that is done again and again in the background, until it is told to stop. */
import type { Clock } from '../domain/environment.ts';

export interface LoopParts {
  clock: Clock;
  /** Between the end of one round and the beginning of the next. */
  paceMs: number;
  /** One round. It may look at `signal` to end early. */
  work(): Promise<void> | void;
  /** A round threw or rejected: the next one comes all the same. */
  failed(error: unknown): void;
}

export class Loop {
  private readonly parts: LoopParts;
  private readonly stopping = new AbortController();
  private running: Promise<void> | null = null;

  constructor(parts: LoopParts) {
    this.parts = parts;
  }

  /** Aborted by `stop`. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** Once; after a stop nothing begins. */
  start(): void {
    this.running ??= this.repeat();
  }

  /** Resolves when the round that is under way has ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async repeat(): Promise<void> {
    const { clock, paceMs, work, failed } = this.parts;
    while (!this.signal.aborted) {
      try {
        await work();
      } catch (error) {
        failed(error);
      }
      if (!this.signal.aborted) await clock.sleep(paceMs, this.signal).catch(() => undefined);
    }
  }
}
