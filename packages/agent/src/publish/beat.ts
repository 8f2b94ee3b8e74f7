import type { Clock } from '../environment.ts';

/**
 * Milliseconds to just behind the next multiple of `everyMs`, so that loops of one interval wake the process together. A
 * millisecond behind, because a timer may fire one early, and a loop that then waits for the rest of it turns twice.
 */
export const untilBeat = (clock: Pick<Clock, 'elapsed'>, everyMs: number): number =>
  Math.ceil(everyMs - (clock.elapsed() % everyMs)) + 1;

/** Says, once for each multiple of `everyMs` that passes, that it has passed. */
export const beatOf = (everyMs: number): ((elapsed: number) => boolean) => {
  let last = -1;
  return (elapsed) => {
    const turn = Math.floor(elapsed / everyMs);
    if (turn === last) return false;
    last = turn;
    return true;
  };
};
