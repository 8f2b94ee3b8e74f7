/** A line that is drawn over while something lasts; on anything but a terminal, nothing. */
import type { Io } from './io.ts';

const WIDTH = 30;
/** What takes less than this needs no bar. */
const PATIENCE_MS = 1000;
const POLL_MS = 250;

const bar = (part: number): string => {
  const full = Math.round(Math.min(1, Math.max(0, part)) * WIDTH);
  return `${'#'.repeat(full)}${'.'.repeat(WIDTH - full)} ${String(Math.floor(part * 100)).padStart(3)}%`;
};

export interface Step {
  /** 0 .. 1, or null when nobody knows how much there is to do. */
  part: number | null;
  text: string;
}

/** Waits for `work`, asking `look` how far it is. */
export const withProgress = async <T>(io: Io, work: Promise<T>, look: () => Promise<Step>): Promise<T> => {
  let open = true;
  const done = work.finally(() => {
    open = false;
  });
  const begun = io.now();
  let drawn = false;
  const draw = async (): Promise<void> => {
    while (open) {
      await Promise.race([io.sleep(POLL_MS), done.catch(() => undefined)]);
      if (!open || !io.interactive || io.now() - begun < PATIENCE_MS) continue;
      // A look that fails says nothing about the work: the bar stands still.
      const step = await look().catch(() => null);
      if (!open || step === null) continue;
      const seconds = Math.round((io.now() - begun) / 1000);
      io.err(`\r\u001b[K${step.part === null ? '' : `${bar(step.part)}  `}${step.text}  ${seconds} s`);
      drawn = true;
    }
  };
  const drawing = draw();
  try {
    return await done;
  } finally {
    await drawing;
    if (drawn) io.err('\r\u001b[K');
  }
};
