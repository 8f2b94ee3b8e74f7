/** Thread of the identity index: takes jobs, answers with what to look things up by. Memory is shared, not copied. */
import { setImmediate } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { type Job, runJob } from './jobs.ts';

const port = parentPort;
if (port === null) throw new Error('this file runs as a worker');
port.on('message', ({ id, job }: { id: number; job: Job }) => {
  runJob(job, () => setImmediate()).then(
    (result) => port.postMessage({ id, result }),
    (error: unknown) => port.postMessage({ id, error: error instanceof Error ? error.message : String(error) }),
  );
});
