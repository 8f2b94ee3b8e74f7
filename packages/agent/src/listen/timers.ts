/** One-shot timers as an argument, so that tests turn the clock by hand. */
export interface Timers {
  /** Runs `run` once, `ms` from now. The answer calls it off. Never keeps the process alive. */
  after(ms: number, run: () => void): () => void;
}

export const realTimers: Timers = {
  after: (ms, run) => {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};
