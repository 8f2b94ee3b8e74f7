/** What a daemon tells the server of itself: how much waits, so that the server can show who falls behind, and what is lost. */
import type { Clock, Network } from '../environment.ts';
import { lossOf } from '../publish/self-report.ts';
import type { Report } from '../publisher.ts';
import type { LostInterval } from '../spool/snapshot.ts';

const EVERY_MS = 60_000;
/** Intervals of one request. */
const LOST_MAX = 1000;

export interface Telling {
  clock: Clock;
  network: Network;
  source: string;
  waiting(): number;
  lost(): readonly LostInterval[];
  report(report: Report): void;
}

/** Until the signal comes. Not worth a repetition: the next one says more. */
export const tellOfItself = async (telling: Telling, signal: AbortSignal): Promise<void> => {
  const { clock, network, source, report } = telling;
  const path = `/api/v1/sources/${encodeURIComponent(source)}/report`;
  // The server knows what it was told twice; this only keeps requests small.
  let told: readonly LostInterval[] = [];
  while (!signal.aborted) {
    await clock.sleep(EVERY_MS, signal);
    if (signal.aborted) return;
    const lost = [...telling.lost()];
    const fresh = lost.filter((interval) => !told.includes(interval)).slice(-LOST_MAX);
    const body = JSON.stringify({
      spoolDepth: telling.waiting(),
      ...(fresh.length > 0 && { lost: fresh.map(lossOf) }),
    });
    try {
      const answer = await network.post(path, body, 'application/json', signal);
      if (answer.status < 300) told = lost;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      report({ level: 'debug', message: `cannot tell what waits: ${why}` });
    }
  }
};
