/** Where the index's jobs run: in a worker thread, or in place when a test wants one thread and no waiting. */
import { Worker } from 'node:worker_threads';
import { type Job, type JobResult, runJob } from './jobs.ts';

export interface Background {
  run(job: Job): Promise<JobResult>;
  close(): Promise<void>;
}

export const inPlace = (): Background => ({
  run: (job) => runJob(job, async () => {}),
  close: async () => {},
});

interface Answer {
  id: number;
  result?: JobResult;
  error?: string;
}
interface Waiting {
  resolve(result: JobResult): void;
  reject(error: Error): void;
}

export class WorkerBackground implements Background {
  private readonly waiting = new Map<number, Waiting>();
  private worker: Worker | null = null;
  private closing = false;
  private last = 0;

  run(job: Job): Promise<JobResult> {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      if (this.closing) return reject(new Error('the identity index is closing'));
      this.waiting.set(id, { resolve, reject });
      this.thread().postMessage({ id, job });
    });
  }

  async close(): Promise<void> {
    this.closing = true;
    await this.worker?.terminate();
    this.fail(new Error('the identity index is closing'));
  }

  /** Started with the first job, and again after it died: the jobs it had are failed and their callers try again. */
  private thread(): Worker {
    if (this.worker !== null) return this.worker;
    const worker = new Worker(new URL('./worker.js', import.meta.url), { name: 'tollgate-identity' });
    worker.unref();
    worker.on('message', (answer: Answer) => this.answer(answer));
    worker.on('error', (error) => this.lost(worker, error));
    worker.on('exit', () => this.lost(worker, new Error('the identity worker ended')));
    this.worker = worker;
    return worker;
  }

  private answer({ id, result, error }: Answer): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (result !== undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error ?? 'the identity worker failed'));
  }
  private lost(worker: Worker, error: Error): void {
    if (this.worker !== worker) return;
    this.worker = null;
    this.fail(error);
  }
  private fail(error: Error): void {
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}
