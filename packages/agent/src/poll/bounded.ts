/** A deadline around a poller: one that hangs fails its pass and holds up nobody. */
import type { Clock } from '../environment.ts';
import type { Poller, PollPass } from './poller.ts';

/**
 * A pass that is not through after `deadlineMs` is abandoned: its signal is raised, and what it may still find is thrown
 * away. While it hangs, further passes fail at once instead of piling up behind it.
 */
export const bounded = (poller: Poller, clock: Clock, deadlineMs: number): Poller => {
  let hanging = false;
  return {
    name: poller.name,
    declaration: poller.declaration,
    async poll(signal) {
      if (hanging) throw new Error(`${poller.name}: the pass before still hangs`);
      const stop = new AbortController();
      const done = new AbortController();
      hanging = true;
      const pass = poller.poll(signal ? AbortSignal.any([signal, stop.signal]) : stop.signal).finally(() => {
        hanging = false;
        done.abort();
      });
      // Whoever loses the race must not end the process.
      pass.catch(() => undefined);
      const late = clock.sleep(deadlineMs, done.signal).then((): Promise<PollPass> => {
        // The sleep also ends when the pass is through.
        if (done.signal.aborted) return pass;
        stop.abort();
        throw new Error(`${poller.name}: no answer within ${deadlineMs} ms`);
      });
      late.catch(() => undefined);
      return Promise.race([pass, late]);
    },
  };
};
